"""Values of any origin: made plain, shortened for messages."""

from __future__ import annotations

import math
import numbers
from typing import Any


class Unfit(ValueError):
    """A value that is not of a kind."""


def shortened(value: Any) -> str:
    """The text of a value for a message, which may come from a file and be of any length."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no more than 4300 digits
        text = f'a number of {value.bit_length()} bits'
    return text if len(text) <= 300 else f'{text[:300]}...'


def plain(value: Any) -> Any:
    """A value without NumPy's types, at any depth of lists and dicts."""
    if hasattr(value, 'tolist') and hasattr(value, 'dtype'):
        value = value.tolist()
        # NumPy's widest float has no type of Python's own.
        return float(value) if isinstance(value, numbers.Real) and not isinstance(value, (int, float)) else value
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
