"""Values of any origin: converted to plain Python, shortened for messages."""

from __future__ import annotations

import math
import numbers
from typing import Any


class Unfit(ValueError):
    """Raised for a value that is not of the required kind."""


def shortened(value: Any) -> str:
    """Return the repr of a value, shortened for a message; values from files may be of any length."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        text = f'a number of {value.bit_length()} bits'
    return text if len(text) <= 300 else f'{text[:300]}...'


def plain(value: Any) -> Any:
    """Replace NumPy types in a value by Python's own, at any depth of lists and dicts."""
    if hasattr(value, 'tolist') and hasattr(value, 'dtype'):
        value = value.tolist()
        # `tolist` leaves NumPy's longdouble as it is.
        return float(value) if isinstance(value, numbers.Real) and not isinstance(value, (int, float)) else value
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False do not count as numbers."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer larger than any float
        return False
