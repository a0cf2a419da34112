"""Helpers of the Ops on batches of images: checks of arguments, windows of a NumPy batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

if TYPE_CHECKING:
    from utils.annotations import Shared, Tensor


def pair(value: Any, name: str, least: int = 1) -> tuple[int, int]:
    """Return `value`, or (value, value) for a single number, as a pair of ints >= `least`; ValueError otherwise."""
    pair = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(pair) != 2 or any(v != int(v) or v < least for v in pair):
        raise ValueError(f'{name} must be an integer >= {least} or a pair of them, got {value!r}')
    return int(pair[0]), int(pair[1])


def as_images(x: Shared | Tensor, name: str = 'images') -> Shared | Tensor:
    """Convert to a tensor of 4 dimensions, (n, height, width, channels); ValueError if there are more or fewer."""
    x = pt.as_tensor_variable(x)
    if x.ndim != 4:
        raise ValueError(f'{name} must have 4 dimensions (n, height, width, channels), got {x.ndim}')
    return x


def windows_of(x: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """View a padded batch (n, h, w, c) as its filter-sized windows (n, h', w', c, kh, kw)."""
    return np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
