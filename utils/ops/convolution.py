"""2-D convolution of a batch of images, stride 1.

======================  =======================================================================
`conv2d`                convolution with checked arguments: what layers call
`Conv2d`                the Op
`Conv2dFilterGrad`      its gradient with respect to the filters
======================  =======================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph import Apply
from pytensor.graph.op import Op
from pytensor.scalar.basic import upcast

from utils.ops.images import as_images, pair, windows_of

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Shared, Tensor


class Conv2d(Op):
    """Cross-correlation of zero-padded images with filters, stride 1.

    ``y[n, i, j, o] = sum over a, b, c of x[n, i + a - ph, j + b - pw, c] * W[a, b, c, o]``

    Parameters
    ----------
    pad : pair of int
        Rows and columns (ph, pw) of zeros added on each side.
    """

    __props__ = ('pad',)

    def __init__(self, pad: int | tuple[int, ...]) -> None:
        self.pad = pair(pad, 'pad', least=0)

    def output_size(self, height: Tensor, width: float, kh: Tensor, kw: Tensor) -> tuple[Tensor, Tensor]:
        return height + 2 * self.pad[0] - kh + 1, width + 2 * self.pad[1] - kw + 1

    def make_node(self, x: Tensor, W: Tensor | Shared) -> Apply:
        x, W = as_images(x), as_images(W, 'filters')
        n, height, width, channels = x.type.shape
        kh, kw, n_in, n_out = W.type.shape
        if None not in (channels, n_in) and channels != n_in:
            raise ValueError(f'filters of {n_in} input channels applied to images of {channels}')
        sides = [
            None if None in (side, k) else side + 2 * p - k + 1
            for side, k, p in zip((height, width), (kh, kw), self.pad)
        ]
        if any(side is not None and side < 1 for side in sides):
            raise ValueError(f'{kh}x{kw} filters do not fit in images of {height}x{width} pixels padded by {self.pad}')
        out = pt.tensor(dtype=upcast(x.dtype, W.dtype), shape=(n, *sides, n_out))
        return Apply(self, [x, W], [out])

    def infer_shape(
        self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]
    ) -> list[tuple[Tensor, ...]]:
        (n, height, width, _), (kh, kw, _, n_out) = shapes
        return [(n, *self.output_size(height, width, kh, kw), n_out)]

    def pullback(
        self, inputs: Sequence[Any], outputs: Sequence[Tensor], cotangents: Sequence[Variable]
    ) -> list[Tensor]:
        x, W = inputs
        (g,) = cotangents
        flipped = W[::-1, ::-1].transpose(0, 1, 3, 2)
        kh, kw = W.type.shape[:2]
        if None in (kh, kw):
            raise ValueError('the gradient of a convolution needs filters of known height and width')
        return [
            Conv2d((kh - 1 - self.pad[0], kw - 1 - self.pad[1]))(g, flipped),
            Conv2dFilterGrad(self.pad, (kh, kw))(x, g),
        ]

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        x, W = inputs
        ph, pw = self.pad
        x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
        y = np.tensordot(windows_of(x, W.shape[:2]), W.transpose(2, 0, 1, 3), axes=3)
        outputs[0][0] = np.ascontiguousarray(y.astype(node.outputs[0].dtype, copy=False))


class Conv2dFilterGrad(Op):
    """Gradient of `Conv2d` with respect to its filters: (x, g) -> (kh, kw, n_in, n_out).

    ``dW[a, b, c, o] = sum over n, i, j of x[n, i + a - ph, j + b - pw, c] * g[n, i, j, o]``
    """

    __props__ = ('pad', 'size')

    def __init__(self, pad: tuple[int, int], size: tuple[int, int]) -> None:
        self.pad, self.size = pair(pad, 'pad', least=0), pair(size, 'size')

    def make_node(self, x: Tensor, g: Tensor) -> Apply:
        x, g = as_images(x), as_images(g, 'gradient')
        shape = (*self.size, x.type.shape[3], g.type.shape[3])
        return Apply(self, [x, g], [pt.tensor(dtype=upcast(x.dtype, g.dtype), shape=shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        return [(*self.size, shapes[0][3], shapes[1][3])]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Variable]
    ) -> list[Tensor]:
        x, g = inputs
        (W,) = cotangents
        flipped = W[::-1, ::-1].transpose(0, 1, 3, 2)
        back = tuple(k - 1 - p for k, p in zip(self.size, self.pad))
        return [Conv2d(back)(g, flipped), Conv2d(self.pad)(x, W)]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        x, g = inputs
        ph, pw = self.pad
        x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
        windows = windows_of(x, g.shape[1:3])  # (n, kh, kw, c, i, j)
        dW = np.einsum('nabcij,nijo->abco', windows, g, optimize=True)
        outputs[0][0] = np.ascontiguousarray(dW.astype(node.outputs[0].dtype, copy=False))


def conv2d(x: Tensor, W: Shared, border: str = 'same') -> Tensor:
    """Convolve a batch of images with a bank of filters, stride 1.

    As in every current library the filters are not mirrored (cross-correlation).

    Parameters
    ----------
    x : tensor (n, height, width, n_in)
    W : tensor (kh, kw, n_in, n_out)
        Filters with odd sides.
    border : {'same', 'valid'}
        'same' pads with zeros so that images keep their size; 'valid' keeps the positions at which
        the filter lies within the image: (height - kh + 1, width - kw + 1).

    Returns
    -------
    tensor (n, height', width', n_out)

    Raises
    ------
    ValueError
        Another border, even filter sides, channels that do not fit, a filter larger than the image.
    """
    W = as_images(W, 'filters')
    kh, kw = W.type.shape[:2]
    if kh is None or kw is None or kh % 2 == 0 or kw % 2 == 0:
        raise ValueError(f'filters must have known, odd sides, got {kh}x{kw}')
    if border not in ('same', 'valid'):
        raise ValueError(f"border must be 'same' or 'valid', got {border!r}")
    return Conv2d((kh // 2, kw // 2) if border == 'same' else 0)(x, W)
