"""``python -m loaders`` is the same as ``symfer data``: build data sets, or ``audit``, ``show`` and ``check`` them.

This is the only module of loaders that imports from outside loaders. It is an entry point, not part of the library.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line of `symfer data` and return the exit status."""
    from utils.cli import main

    return main(['data', *(sys.argv[1:] if words is None else words)])


if __name__ == '__main__':
    sys.exit(main())
