"""Counter-based random draws: pure functions of (seed, stream, counter).

========================  =====================================================================
`uniform`, `normal`       functions that layers call
`Uniform`, `Normal`       their Ops
`DropoutMask`             ``uniform >= p`` without storing the numbers
`RandomBits`              32 reproducible bits for each of some given numbers
`threefry2x32`            the block function of all draws
========================  =====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph import Apply
from pytensor.graph.op import Op

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor


def threefry2x32(key: tuple[Any, Any], counter: tuple[Any, Any]) -> tuple[Any, Any]:
    """Compute the Threefry-2x32 block function with 20 rounds [1]_, for NumPy and JAX arrays.

    Parameters
    ----------
    key, counter : pair of uint32 arrays
        Arrays of the same shape, or that broadcast.

    Returns
    -------
    pair of uint32 arrays
        64 random bits for each key and counter.

    References
    ----------
    .. [1] Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC'11,
       section 3.3. Passes BigCrush from 13 rounds on.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x0, x1 = counter[0] + keys[0], counter[1] + keys[1]
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    for block in range(5):
        for r in rotations[block % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r)))
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x0, x1


class Draw(Op):
    """Random array as a pure function of (seed, stream, counter).

    Element i of draw number `counter` is made from the block ``threefry2x32((seed, stream), (counter, i))``. With one
    block per element, no arrays need to be concatenated.

    Parameters
    ----------
    shape : tuple of int
    stream : int
        Number of the random stream. Different streams are independent; each random layer of a network has its own.

    Raises
    ------
    ValueError
        If there are more than 2**32 elements: the draws would repeat.
    """

    __props__ = ('shape', 'stream')
    dtype = 'float32'

    def __init__(self, shape: Sequence[int], stream: int) -> None:
        self.shape, self.stream = tuple(int(s) for s in shape), int(stream)
        if math.prod(self.shape) > 2**32:
            raise ValueError(
                f'a draw must have at most 2**32 = {2**32:,} elements, got {math.prod(self.shape):,} of shape '
                f'{self.shape}: choose a smaller minibatch'
            )

    def make_node(self, seed: Tensor, counter: Tensor) -> Apply:
        seed, counter = pt.as_tensor_variable(seed), pt.as_tensor_variable(counter)
        for name, v in (('seed', seed), ('counter', counter)):
            if v.ndim or v.dtype != 'uint32':
                raise ValueError(f'{name} of a draw must be a uint32 scalar, got {v.type}')
        return Apply(self, [seed, counter], [pt.tensor(dtype=self.dtype, shape=self.shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Any) -> list[tuple[Tensor, ...]]:
        return [tuple(pt.constant(s, dtype='int64') for s in self.shape)]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Sequence[Variable]) -> list[Any]:
        return [disconnected_type(), disconnected_type()]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [False]]

    def words(self, seed: Any, counter: Any, index: Any, xp: Any) -> Any:
        """The 32-bit words (two arrays) that elements are made from; `index` uint32 has the numbers of the elements."""
        whole = xp.zeros_like(index)
        return threefry2x32((whole + seed, whole + np.uint32(self.stream)), (whole + counter, index))

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        index = np.arange(np.prod(self.shape), dtype=np.uint32).reshape(self.shape)
        seed, counter = inputs
        outputs[0][0] = self.values(*self.words(seed, counter, index, np), np)


class Uniform(Draw):
    """Uniform draws in [0, 1), multiples of 2**-24."""

    def values(self, a: Any, b: Any, xp: Any) -> Any:
        return (a >> np.uint32(8)).astype('float32') * np.float32(2**-24)


class DropoutMask(Draw):
    """True where `Uniform` of the same draw is >= `p`; `utils.backend.rewrites` makes it from dropout masks."""

    __props__ = (*Draw.__props__, 'p')
    dtype = 'bool'

    def __init__(self, shape: Sequence[int], stream: int, p: float) -> None:
        super().__init__(shape, stream)
        self.p = float(np.float32(p))

    def values(self, a: Any, b: Any, xp: Any) -> Any:
        return (a >> np.uint32(8)) >= np.uint32(np.ceil(self.p * 2**24))


class Normal(Draw):
    """Normal draws of mean 0 and variance 1, by the Box-Muller transform (1958)."""

    def values(self, a: Any, b: Any, xp: Any) -> Any:
        u = ((a >> np.uint32(8)) + np.uint32(1)).astype('float32') * np.float32(2**-24)  # (0, 1]
        angle = (b >> np.uint32(8)).astype('float32') * np.float32(2 * np.pi * 2**-24)
        return xp.sqrt(np.float32(-2) * xp.log(u)) * xp.cos(angle)


class RandomBits(Op):
    """32 random bits for each of some whole numbers, as a pure function of (seed, stream, number).

    The bits of number i are the first word of the block ``threefry2x32((seed, stream), (0, i))``.

    Parameters
    ----------
    stream : int
        Number of the random stream; different streams are independent.
    """

    __props__ = ('stream',)

    def __init__(self, stream: int) -> None:
        self.stream = int(stream)

    def make_node(self, seed: Tensor, numbers: Tensor) -> Apply:
        seed, numbers = pt.as_tensor_variable(seed), pt.as_tensor_variable(numbers)
        if seed.ndim or seed.dtype != 'uint32' or numbers.dtype not in ('int32', 'uint32'):
            raise ValueError(
                f'random bits need a uint32 seed and numbers of type int32 or uint32, got {seed.type}, {numbers.type}'
            )
        return Apply(self, [seed, numbers], [pt.tensor(dtype='uint32', shape=numbers.type.shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Any) -> list[Any]:
        return [shapes[1]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Sequence[Variable]) -> list[Any]:
        return [disconnected_type(), disconnected_type()]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [False]]

    def words(self, seed: Any, numbers: Any, xp: Any) -> Any:
        """The bits, for NumPy and JAX arrays; `numbers` uint32."""
        whole = xp.zeros_like(numbers)
        return threefry2x32((whole + seed, whole + np.uint32(self.stream)), (whole, numbers))[0]

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        seed, numbers = inputs
        outputs[0][0] = self.words(seed, numbers.astype(np.uint32), np)


def uniform(shape: Sequence[int], seed: Tensor, counter: Tensor, stream: int = 0) -> Tensor:
    """Uniform draws in [0, 1), float32 of a static shape; `seed` and `counter` are uint32 scalars."""
    return Uniform(shape, stream)(seed, counter)


def normal(shape: Sequence[int], seed: Tensor, counter: Tensor, stream: int = 0) -> Tensor:
    """Normal draws of mean 0 and variance 1, float32; arguments as in `uniform`."""
    return Normal(shape, stream)(seed, counter)
