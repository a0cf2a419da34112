"""Texts for a terminal and for spreadsheets, which both obey what stands in them.

==================  ===========================================================================
`visible`           a text without what a terminal would obey
`write_line`        prints a line; standard output that is gone stops nothing
`cell`, `uncell`    a text that no spreadsheet takes for a formula, and back
==================  ===========================================================================
"""

from __future__ import annotations

import os
import sys
from typing import Any

FORMULA = ('=', '+', '-', '@', '\t', '\r')


def visible(text: object) -> str:
    """A text in which what is not printable, line ends excepted, is written out: names in it may come from a file."""
    return ''.join(c if c.isprintable() or c == '\n' else repr(c)[1:-1] for c in str(text))


def write_line(text: str = '') -> bool:
    """Print a line at once; what a terminal would obey is written out.

    Where the reader of standard output has gone away (``| head``), it is from then on thrown away.

    Returns
    -------
    bool
        False where nobody reads it.
    """
    try:
        print(visible(text), flush=True)
        return True
    except BrokenPipeError:
        # The interpreter would fail again when it ends, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False


def cell(value: Any) -> float | str:
    """A cell of a table, guarded: a text that a spreadsheet would take for a formula gets an apostrophe [1]_.

    Numbers, and texts that are numbers, stay as they are.

    References
    ----------
    .. [1] OWASP, CSV Injection.
    """
    if not isinstance(value, str) or not value.startswith((*FORMULA, "'")):
        return value
    try:
        float(value)
        return value
    except ValueError:
        return f"'{value}"


def uncell(text: str) -> str:
    """What `cell` was given."""
    guarded = isinstance(text, str) and text.startswith("'") and text[1:].startswith((*FORMULA, "'"))
    return text[1:] if guarded else text
