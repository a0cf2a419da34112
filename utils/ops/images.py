"""What the Ops on batches of images share: checks of their arguments, windows of a NumPy batch."""

import numpy as np
import pytensor.tensor as pt


def pair(value, name, least=1):
    """`value` or (value, value) as a pair of ints that are at least `least`."""
    pair = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(pair) != 2 or any(v != int(v) or v < least for v in pair):
        raise ValueError(f'{name} must be an integer >= {least} or a pair of them, got {value!r}')
    return int(pair[0]), int(pair[1])


def as_images(x, name='images'):
    """A tensor of 4 dimensions, (n, height, width, channels); ValueError for another."""
    x = pt.as_tensor_variable(x)
    if x.ndim != 4:
        raise ValueError(f'{name} must have 4 dimensions (n, height, width, channels), got {x.ndim}')
    return x


def windows_of(x, window):
    """View of a padded batch (n, h, w, c) as its filter-sized windows (n, h', w', c, kh, kw)."""
    return np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
