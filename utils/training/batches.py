"""Splits rows of a data set into minibatches of one size; puts images on the device.

==================  ===========================================================================
`minibatches`       rows of a subset, or its images, in minibatches
`to_device`         puts a subset's images and labels on the device, as `DeviceData`
==================  ===========================================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytensor

from utils import backend

if TYPE_CHECKING:
    from utils.annotations import Subset


class DeviceData(NamedTuple):
    """A stored subset on the device: images uint8 (n, h, w) and labels uint8 (n,), shared variables."""

    x: Any
    y: Any
    subset: Any


def to_device(subset: Subset, devices: int = 1) -> DeviceData:
    """Put images and labels of a stored subset on one or several devices; return a `DeviceData`.

    Each of several devices holds all of them; arrays of more than `backend.MOST_BYTES` are divided among the devices.
    """
    arrays = []
    for name, value in (('x', subset.images()), ('y', np.ascontiguousarray(subset.y, dtype=np.uint8))):
        cut = devices > 1 and value.nbytes > backend.MOST_BYTES
        if cut:  # padded to equal parts; the padding is no row of the subset
            value = np.concatenate([value, np.zeros((-len(value) % devices, *value.shape[1:]), value.dtype)])
        arrays.append(pytensor.shared(value, name=name, shape=value.shape, borrow=True))
        backend.assign(arrays[-1:], devices, cut)
        backend.to_device(arrays[-1], value)
    return DeviceData(arrays[0], arrays[1], subset)


def minibatches(
    subset: Subset,
    order: np.ndarray,
    batch_size: int,
    resident: bool = False,
    further: Sequence[np.ndarray] = (),
    identified: bool = False,
) -> Iterator[tuple[list[np.ndarray], np.ndarray, int]]:
    """Split rows of a subset into minibatches of one size.

    The last minibatch is filled up with the first rows of `order`. These have weight 0 there, so every image counts
    exactly once.

    Parameters
    ----------
    subset : loaders.Subset
    order : int array (n,)
        Rows of the subset, in the order of the minibatches.
    batch_size : int
    resident : bool
        True yields rows of the stored subset (`subset.base`); False reads the images in a prefetching thread.
    further : sequence of array (rows of the stored subset, ...)
        Further arrays that are yielded with images, after the labels.
    identified : bool
        Also yield the rows of the images in the stored subset.

    Yields
    ------
    inputs : list of arrays
        [rows int32] or [images uint8, labels uint8, with `identified` rows int32, those of `further`].
    weights : float32 array (batch_size,)
        1 for images that count, 0 for those that only fill up the minibatch.
    count : int
        Number of images that count.
    """
    order = np.asarray(order)
    n_batches = -(-len(order) // batch_size)
    filled = np.resize(order, n_batches * batch_size).reshape(n_batches, batch_size)
    counts = [min(batch_size, len(order) - k * batch_size) for k in range(n_batches)]

    own = backend.own_rows(batch_size)

    def images(rows):
        if own == slice(0, batch_size):
            return subset.images(rows)
        read = subset.images(rows[own])  # other hosts read the rest
        whole = np.zeros((batch_size, *read.shape[1:]), read.dtype)
        whole[own] = read
        return whole

    def read(rows):
        stored = [np.ascontiguousarray(subset.rows[rows], dtype=np.int32)] if resident or identified else []
        if resident:
            return stored
        beside = [values[subset.rows[rows]] for values in further]
        return [images(rows), np.ascontiguousarray(subset.y[rows], dtype=np.uint8), *stored, *beside]

    batches = map(read, filled) if resident else _ahead(read, filled)
    for count, inputs in zip(counts, batches):
        yield inputs, (np.arange(batch_size) < count).astype(np.float32), count


def _ahead(read, items, depth=4):
    """``map(read, items)`` in a thread that prefetches up to `depth` results."""
    with ThreadPoolExecutor(1, 'minibatches') as pool:
        waiting = deque()
        items = iter(items)
        try:
            for item in items:
                waiting.append(pool.submit(read, item))
                if len(waiting) >= depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
