"""``python -m docs``: builds the documentation into build/docs; a warning is an error.

Options are those of sphinx-build. ``SYMFER_DOCS_EXECUTE=off`` leaves the tutorials unexecuted.
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
    """Raise SystemExit with the name of the extra where a library of it is not installed."""
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        raise SystemExit(
            f'error: the documentation needs {", ".join(missing)}: pip install -e ".[docs]" in symfer\'s folder'
        )


def main(words: Sequence[str]) -> int:
    """Build the documentation; returns the exit status."""
    require()
    from sphinx.cmd.build import main as build

    here = Path(__file__).parent
    return build(['-W', '--keep-going', *words, str(here), str(here.parent / 'build' / 'docs')])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
