"""A random generator with a bound, for networks whose configuration comes from a file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from utils.files.checksums import ModelError


class BoundedGenerator(np.random.Generator):
    """A generator for the weights of a saved network that refuses to draw many more numbers than the file has.

    A configuration with an absurdly large network is thus refused before it takes memory, and one with very many
    layers before it takes time.

    Parameters
    ----------
    bit_generator : numpy.random.BitGenerator
        Source of randomness.
    saved : int
        Number of values in the file.
    calls : int, optional
        Largest number of calls.
    """

    def __init__(self, bit_generator: Any, saved: int, calls: float = math.inf) -> None:
        super().__init__(bit_generator)
        self.left, self.calls = 4 * saved + 2**20, calls

    def _count(self, size):
        self.left -= math.prod(np.atleast_1d(size).tolist()) if size is not None else 1
        self.calls -= 1
        if self.left < 0 or self.calls < 0:
            raise ModelError(
                'the saved model is of another architecture: its arguments make a network much larger '
                'than the parameters in the file'
            )

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:  # type: ignore[override]
        self._count(size)
        return super().uniform(low, high, size)

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Any = None) -> Any:  # type: ignore[override]
        self._count(size)
        return super().normal(loc, scale, size)

    def standard_normal(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        self._count(size)
        return super().standard_normal(size, *args, **kwargs)

    def random(self, size: Any = None, *args: Any, **kwargs: Any) -> Any:
        self._count(size)
        return super().random(size, *args, **kwargs)
