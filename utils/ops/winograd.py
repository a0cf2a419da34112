"""Winograd's minimal filtering [1]_: 3x3 convolutions with fewer multiplications, as Ops.

A 'same' convolution is ``y = A^T [(G W G^T) * (B^T x B)] A`` on tiles of m x m pixels. The products in the middle are
a matrix product (tiles, n_in) @ (n_in, n_out) for each of the (m + 2)^2 positions in a transformed tile. The gradients
use the same factors, transposed, so the forward and backward passes share ``V = B^T x B`` and ``U = G W G^T``, and both
gradients share ``D = A g A^T``:

=========================  ================================================================================
``y = A^T [V @ U] A``      `InverseTileTransform`, `BatchedProducts`, `TileTransform`, `FilterTransform`
``dW = G^T [V^T @ D] G``   `InverseFilterTransform`, `BatchedProducts`, `TileTransform` (twice)
``dx = B [D @ U^T] B^T``   `InverseTileTransform`, `BatchedProducts`, `TileTransform`, `FilterTransform`
=========================  ================================================================================

Only `utils.backend.rewrites` uses these Ops, to replace `utils.ops.Conv2d`. Their NumPy `perform` is the reference of
the translation in `utils.backend.winograd`.

.. [1] Lavin and Gray (2016), Fast Algorithms for Convolutional Neural Networks, CVPR, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph import Apply
from pytensor.graph.op import Op

if TYPE_CHECKING:
    from utils.annotations import Tensor


# Evaluation points of the polynomials, except infinity: small, for little rounding error in float32.
POINTS = (0, 1, -1, 2, -2, Fraction(1, 2))


@lru_cache
def matrices(m: int) -> tuple[np.ndarray, ...]:
    """Matrices B^T (m + 2, m + 2), G (m + 2, 3) and A^T (m, m + 2) that filter m outputs with 3 coefficients.

    They come from Toom-Cook multiplication: polynomials of degree m - 1 and 2 are evaluated at m + 1 points and
    infinity, multiplied there, and interpolated. Filtering is the transpose of this multiplication.

    Parameters
    ----------
    m : int
        Number of outputs, 2 to 5.
    """

    def powers(n):
        finite = [[Fraction(p) ** k for k in range(n)] for p in POINTS[: m + 1]]
        return [*finite, [Fraction(0)] * (n - 1) + [Fraction(1)]]

    # Divisor of the rows of G at finite points, and factor of those of B^T: B^T is integer for integer points.
    scale = [prod(Fraction(p) - q for q in POINTS[: m + 1] if q != p) for p in POINTS[: m + 1]] + [Fraction(1)]
    inverse = _inverse(powers(m + 2))
    BT = [[scale[i] * inverse[k][i] for k in range(m + 2)] for i in range(m + 2)]
    G = [[v / s for v in row] for row, s in zip(powers(3), scale)]
    return tuple(np.array(matrix, dtype=float) for matrix in (BT, G, list(zip(*powers(m)))))


def _inverse(rows):
    """Invert a matrix of fractions by Gauss-Jordan elimination; the pivots of a Vandermonde matrix are not zero."""
    n = len(rows)
    rows = [list(row) + [Fraction(int(i == k)) for k in range(n)] for i, row in enumerate(rows)]
    for i in range(n):
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i])]
    return [row[n:] for row in rows]


def tiles(length: int, m: int) -> int:
    """Number of tiles of `m` pixels that cover `length` pixels."""
    return -(-length // m)


@lru_cache
def axis_map(kind: Any, m: int, length: int) -> Any:
    """One axis of a transform as an array (m + 2, tiles, length), including zero padding.

    Parameters
    ----------
    kind : {'input', 'output'}
        B^T for the m + 2 pixels that each tile reads, or A for the m pixels that it writes.
    m : int
        Side of a tile, in pixels.
    length : int
        Side of the image, in pixels.
    """
    BT, _, AT = matrices(m)
    matrix, first = (BT, -1) if kind == 'input' else (AT.T, 0)
    out = np.zeros((m + 2, tiles(length, m), length))
    for t in range(out.shape[1]):
        for a in range(matrix.shape[1]):
            if 0 <= m * t + first + a < length:
                out[:, t, m * t + first + a] = matrix[:, a]
    return out


class _Tiled(Op):
    """Base class of the transforms of images.

    Parameters
    ----------
    kind : {'input', 'output'}
        See `axis_map`.
    tile : (int, int)
        Rows and columns of a tile, m in the formulas.
    """

    __props__ = ('kind', 'tile')

    def __init__(self, kind, tile):
        self.kind, self.tile = kind, tuple(tile)

    @property
    def places(self):
        return (self.tile[0] + 2) * (self.tile[1] + 2)

    def counts(self, height, width):
        return tiles(height, self.tile[0]), tiles(width, self.tile[1])

    def maps(self, height, width):
        return [axis_map(self.kind, m, length) for m, length in zip(self.tile, (height, width))]


class TileTransform(_Tiled):
    """Transform images (n, h, w, c) to a matrix (n * tiles, c) for each position in a tile, by rows."""

    def make_node(self, x: Tensor) -> Any:
        n, height, width, channels = x.type.shape
        rows = n * prod(self.counts(height, width))
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=(rows, channels)) for _ in range(self.places)])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        (x,) = inputs
        rows, columns = self.maps(*x.shape[1:3])
        v = np.einsum('ith,jsw,nhwc->ijntsc', rows, columns, x, optimize=True).astype(x.dtype)
        for storage, matrix in zip(outputs, v.reshape(self.places, -1, x.shape[3])):
            storage[0] = matrix


class InverseTileTransform(_Tiled):
    """The transpose of `TileTransform`: a matrix for each position -> images (n, h, w, c), with overlaps added.

    Parameters
    ----------
    image : (int, int)
        Height and width of the images.
    """

    __props__ = ('kind', 'tile', 'image')

    def __init__(self, kind: Any, tile: tuple[int, ...], image: tuple[int, int]) -> None:
        super().__init__(kind, tile)
        self.image = tuple(image)

    def make_node(self, *places: Any) -> Apply:
        rows, channels = places[0].type.shape
        n = rows // prod(self.counts(*self.image))
        return Apply(self, list(places), [pt.tensor(dtype=places[0].dtype, shape=(n, *self.image, channels))])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        (rows, columns), (th, tw) = self.maps(*self.image), self.counts(*self.image)
        v = np.reshape(inputs, (self.tile[0] + 2, self.tile[1] + 2, -1, th, tw, inputs[0].shape[1]))
        x = np.einsum('ith,jsw,ijntsc->nhwc', rows, columns, v, optimize=True)
        outputs[0][0] = np.ascontiguousarray(x.astype(inputs[0].dtype))


class _Filters(Op):
    __props__ = ('tile',)

    def __init__(self, tile):
        self.tile = tuple(tile)

    @property
    def places(self):
        return (self.tile[0] + 2) * (self.tile[1] + 2)

    def maps(self):
        return [matrices(m)[1] for m in self.tile]


class FilterTransform(_Filters):
    """Transform filters (3, 3, n_in, n_out) to a matrix (n_in, n_out) for each position in a tile, by rows."""

    def make_node(self, W: Any) -> Any:
        return Apply(self, [W], [pt.tensor(dtype=W.dtype, shape=W.type.shape[2:]) for _ in range(self.places)])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        (W,) = inputs
        u = np.einsum('ia,jb,abco->ijco', *self.maps(), W).astype(W.dtype)
        for storage, matrix in zip(outputs, u.reshape(self.places, *W.shape[2:])):
            storage[0] = matrix


class InverseFilterTransform(_Filters):
    """The transpose of `FilterTransform`."""

    def make_node(self, *places: Any) -> Any:
        return Apply(self, list(places), [pt.tensor(dtype=places[0].dtype, shape=(3, 3, *places[0].type.shape))])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        u = np.reshape(inputs, (self.tile[0] + 2, self.tile[1] + 2, *inputs[0].shape))
        W = np.einsum('ia,jb,ijco->abco', *self.maps(), u)
        outputs[0][0] = np.ascontiguousarray(W.astype(inputs[0].dtype))


class BatchedProducts(Op):
    """Products ``a @ b`` of two lists of matrices: [a0, a1, ..., b0, b1, ...] -> [c0, c1, ...].

    Parameters
    ----------
    transposed : {'', 'a', 'b'}
        Factor to transpose before the product, if any.
    """

    __props__ = ('transposed',)

    def __init__(self, transposed: str = '') -> None:
        self.transposed = transposed

    def make_node(self, *factors: Any) -> Any:
        n = len(factors) // 2
        shape = (factors[0].type.shape[self.transposed == 'a'], factors[n].type.shape[self.transposed != 'b'])
        return Apply(self, list(factors), [pt.tensor(dtype=factors[0].dtype, shape=shape) for _ in range(n)])

    def pairs(self, factors: Any) -> Iterator[Any]:
        n = len(factors) // 2
        for a, b in zip(factors[:n], factors[n:]):
            yield a.T if self.transposed == 'a' else a, b.T if self.transposed == 'b' else b

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        for storage, (a, b) in zip(outputs, self.pairs(inputs)):
            storage[0] = a @ b


def conv(x: Tensor, W: Any, tile: tuple[int, ...]) -> Any:
    """The 'same' convolution of images (n, h, w, n_in) with filters (3, 3, n_in, n_out)."""
    products = BatchedProducts()(*TileTransform('input', tile)(x), *FilterTransform(tile)(W))
    return InverseTileTransform('output', tile, x.type.shape[1:3])(*products)


def input_grad(g: Any, W: Any, tile: tuple[int, ...]) -> Any:
    """Gradient of `conv` with respect to x; g (n, h, w, n_out)."""
    products = BatchedProducts('b')(*TileTransform('output', tile)(g), *FilterTransform(tile)(W))
    return InverseTileTransform('input', tile, g.type.shape[1:3])(*products)


def filter_grad(x: Tensor, g: Any, tile: tuple[int, ...]) -> Any:
    """Gradient of `conv` with respect to W; g (n, h, w, n_out)."""
    products = BatchedProducts('a')(*TileTransform('input', tile)(x), *TileTransform('output', tile)(g))
    return InverseFilterTransform(tile)(*products)
