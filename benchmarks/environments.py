"""Create environments for the frameworks of `benchmarks.train`: `python -m benchmarks.environments [LIBRARY ...]`.

Each framework gets its own virtual environment in the project's folder, ``.venv-torch`` and so on, so that the
frameworks do not restrict each other's versions. Theano 1.0.5 needs Python 3.8 and, for full speed, the development
files of OpenBLAS (``apt install libopenblas-dev``).
"""

import argparse
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    'torch': ['torch==2.13.0', 'numpy'],
    'keras': ['keras', 'jax', 'numpy'],
    'theano': ['theano==1.0.5', 'numpy<1.20', 'scipy<1.6'],
}


def python(library):
    """Path of the interpreter in a library's environment, which need not exist."""
    return ROOT / f'.venv-{library}' / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')


def interpreter(library):
    """Path of the interpreter that has a library: this one, or that of the library's environment."""
    if library == 'symfer' or find_spec(library):
        return sys.executable
    return str(python(library))


def base(library):
    """Path of the interpreter that creates an environment."""
    if library != 'theano':
        return sys.executable
    found = sorted((Path.home() / '.pyenv' / 'versions').glob('3.8*/bin/python')) or [shutil.which('python3.8')]
    if not found[-1]:
        sys.exit('Theano 1.0.5 needs Python 3.8 (python3.8 on the path, or one of pyenv), and none was found')
    return str(found[-1])


def make(library):
    folder = python(library).parent.parent
    subprocess.run([base(library), '-m', 'venv', str(folder)], check=True)
    subprocess.run([str(python(library)), '-m', 'pip', 'install', '--quiet', *PACKAGES[library]], check=True)
    print(f'{library}: {folder}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('libraries', nargs='*', default=list(PACKAGES), help=', '.join(PACKAGES) + ' (default: all)')
    args = parser.parse_args()
    unknown = set(args.libraries) - set(PACKAGES)
    if unknown:
        parser.error(f'expected names among {", ".join(PACKAGES)}, got {", ".join(sorted(unknown))}')
    for library in args.libraries:
        make(library)


if __name__ == '__main__':
    main()
