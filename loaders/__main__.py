"""``python -m loaders`` is ``symfer data``: make data sets, and ``... audit``, ``... show``, ``... check``.

The only module here that reaches outside loaders: it is a door of the command line, not part of the library.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """The command line of `symfer data`; returns the exit status."""
    from utils.cli import main

    return main(['data', *(sys.argv[1:] if words is None else words)])


if __name__ == '__main__':
    sys.exit(main())
