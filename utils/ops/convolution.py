"""2-D convolution of a batch of images, with strides and groups.

=====================================  ========================================================
`conv2d`                               convolution with checked arguments, which layers call
`Conv2d`                               its Op
`Conv2dInputGrad`, `Conv2dFilterGrad`  its gradients with respect to the images and the filters
=====================================  ========================================================
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


class Convolution(Op):
    """Base class of a convolution and its two gradients: padding, stride, groups and the resulting sizes.

    Parameters
    ----------
    pad, stride : pair of int
        Rows and columns of zeros added on each side; vertical and horizontal step of the filter.
    groups : int
        Number of groups that the channels are divided into, each with separate filters.
    """

    __props__ = ('pad', 'stride', 'groups')

    def __init__(self, pad: int | tuple[int, ...], stride: int | tuple[int, ...] = 1, groups: int = 1) -> None:
        self.pad, self.stride, self.groups = pair(pad, 'pad', least=0), pair(stride, 'stride'), int(groups)
        if self.groups != groups or groups < 1:
            raise ValueError(f'groups must be a whole number >= 1, got {groups!r}')

    @property
    def plain(self) -> bool:
        """Whether the stride is 1 and there is one group."""
        return self.stride == (1, 1) and self.groups == 1

    def output_size(self, height: Any, width: Any, kh: Any, kw: Any) -> tuple[Any, Any]:
        """Height and width of the output, for numbers or expressions."""
        (ph, pw), (sh, sw) = self.pad, self.stride
        rows, columns = height + 2 * ph - kh, width + 2 * pw - kw
        return (rows if sh == 1 else rows // sh) + 1, (columns if sw == 1 else columns // sw) + 1

    def windows(self, x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Windows of a NumPy batch, padded: (n, h', w', groups, c / groups, kh, kw)."""
        (ph, pw), (sh, sw) = self.pad, self.stride
        view = windows_of(np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0))), size)[:, ::sh, ::sw]
        return view.reshape(*view.shape[:3], self.groups, -1, *size)

    def adjoint(self, image: tuple[int, int]) -> Conv2dInputGrad:
        """The gradient with respect to images of this height and width."""
        return Conv2dInputGrad(self.pad, self.stride, self.groups, image)

    def forward(self) -> Conv2d:
        """The convolution itself."""
        return Conv2d(self.pad, self.stride, self.groups)


class Conv2d(Convolution):
    """Cross-correlation of zero-padded images with filters.

    ``y[n, i, j, o] = sum over a, b, c of x[n, i * sh + a - ph, j * sw + b - pw, c] * W[a, b, c, o]``. With groups, c
    runs over the channels in the group of o; W is (kh, kw, n_in / groups, n_out).
    """

    def make_node(self, x: Tensor, W: Tensor | Shared) -> Apply:
        x, W = as_images(x), as_images(W, 'filters')
        n, height, width, channels = x.type.shape
        kh, kw, n_in, n_out = W.type.shape
        if None not in (channels, n_in) and channels != n_in * self.groups:
            raise ValueError(
                f'filters of {n_in} input channels'
                + (f' in {self.groups} groups' if self.groups > 1 else '')
                + f' cannot be applied to images of {channels} channels'
            )
        if n_out is not None and n_out % self.groups:
            raise ValueError(f'{n_out} filters cannot be divided into {self.groups} groups')
        known = [None not in sides for sides in ((height, kh), (width, kw))]
        sides = self.output_size(height or 0, width or 0, kh or 0, kw or 0)
        sides = [side if there else None for side, there in zip(sides, known)]
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
        size = W.type.shape[:2]
        if None in size:
            raise ValueError('the gradient of a convolution needs filters of known height and width')
        return [
            input_grad(self, g, W, size, x.type.shape[1:3]),
            Conv2dFilterGrad(self.pad, size, self.stride, self.groups)(x, g),
        ]

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        x, W = inputs
        v, out = self.windows(x, W.shape[:2]), []
        for k, filters in enumerate(np.split(W, self.groups, axis=3)):
            out.append(np.tensordot(v[:, :, :, k], filters.transpose(2, 0, 1, 3), axes=3))
        y = np.concatenate(out, axis=3)
        outputs[0][0] = np.ascontiguousarray(y.astype(node.outputs[0].dtype, copy=False))


def input_grad(op: Convolution, g: Tensor, W: Tensor, size: tuple[int, int], image: tuple[int, int]) -> Tensor:
    """Gradient with respect to images; for a plain convolution, it is a convolution with mirrored filters."""
    if op.plain:
        back = tuple(k - 1 - p for k, p in zip(size, op.pad))
        if min(back) >= 0:
            return Conv2d(back)(g, W[::-1, ::-1].transpose(0, 1, 3, 2))
    if None in image:
        raise ValueError('the gradient of a convolution with strides or groups needs images of known height and width')
    return op.adjoint(image)(g, W)


class Conv2dInputGrad(Convolution):
    """Gradient of `Conv2d` with respect to its images: (g, W) -> (n, height, width, channels).

    Parameters
    ----------
    image : (int, int)
        Height and width of the images.
    """

    __props__ = (*Convolution.__props__, 'image')

    def __init__(self, pad: tuple[int, int], stride: tuple[int, int], groups: int, image: tuple[int, int]) -> None:
        super().__init__(pad, stride, groups)
        self.image = pair(image, 'image')

    def make_node(self, g: Tensor, W: Tensor) -> Apply:
        g, W = as_images(g, 'gradient'), as_images(W, 'filters')
        channels = None if W.type.shape[2] is None else W.type.shape[2] * self.groups
        shape = (g.type.shape[0], *self.image, channels)
        return Apply(self, [g, W], [pt.tensor(dtype=upcast(g.dtype, W.dtype), shape=shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        return [(shapes[0][0], *self.image, shapes[1][2] * self.groups)]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Variable]
    ) -> list[Tensor]:
        g, W = inputs
        (x,) = cotangents
        size = W.type.shape[:2]
        return [self.forward()(x, W), Conv2dFilterGrad(self.pad, size, self.stride, self.groups)(x, g)]

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: Any) -> None:
        g, W = inputs
        (ph, pw), (sh, sw), (height, width) = self.pad, self.stride, self.image
        n, high, wide, _ = g.shape
        out = np.zeros((n, height + 2 * ph, width + 2 * pw, W.shape[2] * self.groups), node.outputs[0].dtype)
        parts = zip(
            np.split(out, self.groups, axis=3), np.split(g, self.groups, axis=3), np.split(W, self.groups, axis=3)
        )
        for part, gradient, filters in parts:
            for a, b in np.ndindex(*W.shape[:2]):
                part[:, a : a + sh * high : sh, b : b + sw * wide : sw] += gradient @ filters[a, b].T
        outputs[0][0] = np.ascontiguousarray(out[:, ph : ph + height, pw : pw + width])


class Conv2dFilterGrad(Convolution):
    """Gradient of `Conv2d` with respect to its filters: (x, g) -> (kh, kw, n_in / groups, n_out).

    ``dW[a, b, c, o] = sum over n, i, j of x[n, i * sh + a - ph, j * sw + b - pw, c] * g[n, i, j, o]``

    Parameters
    ----------
    size : (int, int)
        Height and width of the filters.
    """

    __props__ = ('pad', 'size', 'stride', 'groups')

    def __init__(
        self, pad: tuple[int, int], size: tuple[int, int], stride: int | tuple[int, int] = 1, groups: int = 1
    ) -> None:
        super().__init__(pad, stride, groups)
        self.size = pair(size, 'size')

    def make_node(self, x: Tensor, g: Tensor) -> Apply:
        x, g = as_images(x), as_images(g, 'gradient')
        channels = None if x.type.shape[3] is None else x.type.shape[3] // self.groups
        shape = (*self.size, channels, g.type.shape[3])
        return Apply(self, [x, g], [pt.tensor(dtype=upcast(x.dtype, g.dtype), shape=shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        channels = shapes[0][3] if self.groups == 1 else shapes[0][3] // self.groups
        return [(*self.size, channels, shapes[1][3])]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Variable]
    ) -> list[Tensor]:
        x, g = inputs
        (W,) = cotangents
        return [input_grad(self, g, W, self.size, x.type.shape[1:3]), self.forward()(x, W)]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        x, g = inputs
        high, wide = g.shape[1:3]
        windows = self.windows(x, self.size)[:, :high, :wide]
        parts = [
            np.einsum('nijcab,nijo->abco', windows[:, :, :, k], gradient, optimize=True)
            for k, gradient in enumerate(np.split(g, self.groups, axis=3))
        ]
        dW = np.concatenate(parts, axis=3)
        outputs[0][0] = np.ascontiguousarray(dW.astype(node.outputs[0].dtype, copy=False))


def conv2d(x: Tensor, W: Shared, border: Any = 'same', stride: int | tuple[int, int] = 1, groups: int = 1) -> Tensor:
    """Convolve a batch of images with a bank of filters.

    As in other current libraries, the filters are not mirrored (cross-correlation).

    Parameters
    ----------
    x : tensor (n, height, width, n_in)
    W : tensor (kh, kw, n_in / groups, n_out)
        Filters; with border 'same' their sides must be odd.
    border : {'same', 'valid'}, int or (int, int)
        'same' pads with zeros so that images keep their size if the stride is 1. 'valid' pads nothing: with stride 1
        the size becomes (height - kh + 1, width - kw + 1). Numbers are the rows and columns of zeros on each side.
    stride : int or (int, int)
        Vertical and horizontal step of the filter, in pixels.
    groups : int
        Number of groups that the channels are divided into, each with separate filters [1]_.

    Returns
    -------
    tensor (n, height', width', n_out)
        With padding p and stride s: ``height' = (height + 2 * p - kh) // s + 1``.

    Raises
    ------
    ValueError
        If the border is unknown, the filter sides are even with border 'same', the channels do not fit, or a filter is
        larger than the padded image.

    References
    ----------
    .. [1] Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks,
       NIPS, section 3.2.
    """
    W = as_images(W, 'filters')
    kh, kw = W.type.shape[:2]
    if kh is None or kw is None or (border == 'same' and (kh % 2 == 0 or kw % 2 == 0)):
        raise ValueError(f'filters must have known, odd sides, got {kh}x{kw}')
    if isinstance(border, str) and border not in ('same', 'valid'):
        raise ValueError(f"border must be rows and columns of zeros, 'same' or 'valid', got {border!r}")
    pads: dict[str, Any] = {'same': (kh // 2, kw // 2), 'valid': 0}
    return Conv2d(pads[border] if isinstance(border, str) else border, stride, groups)(x, W)
