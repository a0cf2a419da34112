"""Sphinx configuration of the documentation; ``python -m docs`` builds it into build/docs."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'docs' / 'extensions')]

from docs.__main__ import require  # noqa: E402

require()
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))  # for tutorials

import launch  # noqa: E402, F401  (sets up the process before PyTensor is imported)
from utils import __version__  # noqa: E402

project, author, copyright = 'symfer', 'The symfer developers', 'The symfer developers'
version = release = __version__

extensions = [
    'sphinx.ext.autodoc',
    'sphinx.ext.mathjax',
    'numpydoc',
    'myst_nb',
    'sphinx_copybutton',
    'api',
    'command_line',
]
exclude_patterns = ['results/**']
root_doc = 'index'
source_suffix = {'.rst': 'restructuredtext', '.md': 'myst-nb'}
default_role = 'py:obj'
highlight_language = 'none'
smartquotes = False  # would change the quotes of JSON and code
suppress_warnings = ['ref.citation']  # references that a docstring lists but does not cite by number

# The `Parameters` of numpydoc docstrings give the types, so signatures omit them.
autodoc_typehints = 'none'
# Libraries of other extras that modules import at the top level.
OPTIONAL = ('starlette', 'uvicorn', 'websockets', 'python_multipart')
autodoc_mock_imports = [name for name in OPTIONAL if find_spec(name) is None]
autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
python_maximum_signature_line_length = 100
add_module_names = False

myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath', 'attrs_inline', 'attrs_block']
myst_heading_anchors = 4

# Tutorials run in temporary folders; their output is cached in build/ until their code changes.
nb_execution_mode = os.environ.get('SYMFER_DOCS_EXECUTE', 'cache')
nb_execution_cache_path = str(ROOT / 'build' / 'tutorials')
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = 'remove'  # library warnings contain paths of the build machine

html_theme = 'furo'
html_title = f'symfer {version}'
html_static_path = ['_static']
html_css_files = ['symfer.css']
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = r'>>> |\.\.\. |\$ '
copybutton_prompt_is_regexp = True
