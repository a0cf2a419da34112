"""Make text safe for terminals, which obey control characters, and for spreadsheets, which run formulas.

==================  ===========================================================================
`visible`           replaces control characters by escapes
`write_line`        prints a line, even after standard output was closed
`cell`, `uncell`    protects text that a spreadsheet would take for a formula, and reverts it
==================  ===========================================================================
"""

from __future__ import annotations

import os
import sys
from typing import Any

FORMULA = ('=', '+', '-', '@', '\t', '\r')


def visible(text: object) -> str:
    """Return text with unprintable characters, except line ends, as escapes; names in it may come from a file."""
    return ''.join(c if c.isprintable() or c == '\n' else repr(c)[1:-1] for c in str(text))


def write_line(text: str = '') -> bool:
    """Print a line immediately, with control characters as escapes.

    If the reader of standard output has exited (``| head``), this and all further output is discarded.

    Returns
    -------
    bool
        False if the reader has exited.
    """
    try:
        print(visible(text), flush=True)
        return True
    except BrokenPipeError:
        # Otherwise the interpreter would fail again, with a message, when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False


def cell(value: Any) -> float | str:
    """Protect a cell of a table by prefixing text that a spreadsheet would take for a formula by an apostrophe [1]_.

    Numbers, and text that is a number, are unchanged.

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
    """Return the text that was given to `cell`."""
    guarded = isinstance(text, str) and text.startswith("'") and text[1:].startswith((*FORMULA, "'"))
    return text[1:] if guarded else text
