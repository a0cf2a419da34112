"""``python -m docs`` builds the documentation into build/docs; warnings are errors.

It takes the options of sphinx-build. With ``SYMFER_DOCS_EXECUTE=off`` the tutorials are not executed.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

NEEDED = {
    'sphinx': 'Sphinx',
    'furo': 'furo',
    'myst_nb': 'myst-nb',
    'numpydoc': 'numpydoc',
    'sphinx_copybutton': 'sphinx-copybutton',
    'ipykernel': 'ipykernel',
}


def require() -> None:
    """Raise SystemExit, naming the extra, if one of its libraries is not installed."""
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise SystemExit(
            f'error: the documentation needs {", ".join(missing)}: pip install -e ".[docs]" in symfer\'s folder'
        )


def main(words: Sequence[str]) -> int:
    """Build the documentation and return the exit status."""
    require()
    from sphinx.cmd.build import main as build

    here = Path(__file__).parent
    return build(['-W', '--keep-going', *words, str(here), str(here.parent / 'build' / 'docs')])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
