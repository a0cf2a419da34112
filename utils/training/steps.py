"""The training steps of one pass over rows of a subset, with one or many steps per call."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import backend
from utils.training.batches import minibatches
from utils.training.functions import MOST_STEPS

if TYPE_CHECKING:
    from utils.annotations import Subset
    from utils.training.functions import Functions


CALL_SECONDS = 1.0  # of training per call, and so between updates of the progress bar


def batches_of(functions: Functions, subset: Subset, order: np.ndarray) -> Iterator[Any]:
    """`minibatches` of the rows `order` (n,); of the rows (k, n) of k members, with a first axis (k,)."""
    further = functions.takes_rows_of(subset), functions.soft.streamed, functions.identified
    if order.ndim == 1:
        yield from minibatches(subset, order, functions.batch_size, *further)
        return
    for each in zip(*(minibatches(subset, one, functions.batch_size, *further) for one in order)):
        inputs, weights, counts = zip(*each)
        yield list(map(np.stack, zip(*inputs))), np.stack(weights), sum(counts)


def train_each(functions: Functions, subset: Subset, order: np.ndarray, reporter: Any) -> tuple[np.ndarray, list[int]]:
    """Call `functions.train` for each minibatch of the rows `order`, (n,) or (k, n) for k members.

    Returns
    -------
    values : array (minibatches, 2)
        Costs and cross-entropies, up to the first cost that is not finite.
    counts : list of int
        Number of images that count in each minibatch.
    """
    f, values, counts = functions, [], []
    for inputs, weights, count in batches_of(f, subset, order):
        values.append(f.train(*inputs, weights))
        counts.append(count)
        computed = values[max(0, len(values) - 4)][0]  # finished by now, so reading it does not wait
        reporter.minibatch(count, computed)
        if not math.isfinite(computed):
            break
    return np.array([[float(v) for v in pair] for pair in values]), counts


def train_many(functions: Functions, subset: Subset, order: np.ndarray, reporter: Any) -> tuple[np.ndarray, list[int]]:
    """Like `train_each`, with about a second of minibatches per call; the subset must be on the device."""
    f, values, n = functions, [], 1
    batches = list(batches_of(f, subset, order))
    counts = [count for _, _, count in batches]
    while len(values) < len(batches):
        part = batches[len(values) : len(values) + n]
        start = time.perf_counter()
        cost, entropy = f.train_many(
            np.stack([rows for (rows,), _, _ in part]), np.stack([weights for _, weights, _ in part])
        )
        values += zip(np.asarray(cost, float), np.asarray(entropy, float))
        if not np.isfinite(cost).all():
            break
        reporter.minibatch(sum(count for _, _, count in part), values[-1][0])
        seconds = (time.perf_counter() - start) / len(part)
        n = backend.agreed(int(np.clip(CALL_SECONDS / seconds, 1, min(2 * n, MOST_STEPS))))
    return np.array(values), counts
