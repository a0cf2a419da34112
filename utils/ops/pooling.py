"""Pooling of a batch of images over windows of any size.

========================  =====================================================================
`max_pool`, `avg_pool`    functions that layers call
`MaxPool`                 maximum of each window, and its pixel
`Unpool`, `PickPixel`     its gradient, and the gradient of that
`AvgPool`, `AvgUnpool`    mean of each window, and its gradient
========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph import Apply
from pytensor.graph.op import Op

from utils.ops.images import as_images, pair, windows_of

if TYPE_CHECKING:
    from pytensor.graph.basic import Variable
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor


class Pooling(Op):
    """Base class of the pooling Ops: window, stride, rounding and the resulting sizes.

    Parameters
    ----------
    window, stride : pair of int
        Rows and columns, in pixels.
    ignore_border : bool
        True drops an incomplete last window, False pools over the pixels it has.
    """

    __props__ = ('window', 'stride', 'ignore_border')

    def __init__(self, window: int | tuple[int, int], stride: int | tuple[int, int], ignore_border: bool) -> None:
        self.window, self.stride = pair(window, 'window'), pair(stride, 'stride')
        self.ignore_border = bool(ignore_border)

    def output_length(self, length: Any, axis: int) -> int:
        """Number of outputs along one axis (0 rows, 1 columns) of `length` pixels."""
        k, step = self.window[axis], self.stride[axis]
        if self.ignore_border:
            return (length - k) // step + 1
        # The last window starts inside the image; windows without any pixel do not exist.
        return 1 + max(0, -(-(length - k) // step)) if step < k else -(-length // step)

    def output_size(self, shape: Sequence[int]) -> list[int]:
        if None in shape[1:3]:
            raise ValueError(f'pooling needs images of known height and width, got shape {shape}')
        out = [self.output_length(shape[a + 1], a) for a in (0, 1)]
        if min(out) < 1:
            raise ValueError(
                f'images of {shape[1]}x{shape[2]} pixels are too small for {self.window[0]}x{self.window[1]} pooling'
            )
        return out

    def padding(self, height: int, width: int) -> list[int]:
        """Numbers of rows and columns missing (positive) or left over (negative) at the end of the image."""
        return [
            (self.output_length(length, a) - 1) * self.stride[a] + self.window[a] - length
            for a, length in enumerate((height, width))
        ]

    def fit(self, x: np.ndarray, fill: float) -> np.ndarray:
        """Cut or pad a NumPy batch so that the windows cover it exactly."""
        x = x[
            :,
            : x.shape[1] + min(0, self.padding(*x.shape[1:3])[0]),
            : x.shape[2] + min(0, self.padding(*x.shape[1:3])[1]),
        ]
        ph, pw = self.padding(*x.shape[1:3])
        return np.pad(x, ((0, 0), (0, ph), (0, pw), (0, 0)), constant_values=fill)

    def windows(self, x: np.ndarray) -> np.ndarray:
        """Windows of a fitted NumPy batch: (n, h', w', c, window pixels)."""
        v = windows_of(x, self.window)[:, :: self.stride[0], :: self.stride[1]]
        return v.reshape(*v.shape[:4], -1)

    def pixel_positions(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Row and column, in the image, of pixel `index` of each window; index (n, h', w', c)."""
        _, i, j, _ = np.ogrid[:1, : index.shape[1], : index.shape[2], :1]
        return i * self.stride[0] + index // self.window[1], j * self.stride[1] + index % self.window[1]

    @property
    def index_dtype(self) -> str:
        return 'uint8' if self.window[0] * self.window[1] <= 256 else 'int32'


class MaxPool(Pooling):
    """Maximum of each window, and the index of its pixel (counted by rows, the first of equal ones)."""

    def make_node(self, x: Tensor) -> Apply:
        x = as_images(x)
        shape = (x.type.shape[0], *self.output_size(x.type.shape), x.type.shape[3])
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=shape), pt.tensor(dtype=self.index_dtype, shape=shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        n, _, _, channels = shapes[0]
        return [(n, *node.outputs[0].type.shape[1:3], channels)] * len(node.outputs)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True, False]]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Variable]
    ) -> list[Tensor]:
        return [
            Unpool(self.window, self.stride, self.ignore_border, inputs[0].type.shape[1:3])(cotangents[0], outputs[1])
        ]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        v = self.windows(self.fit(inputs[0], -np.inf))
        index = v.argmax(axis=4)
        outputs[0][0] = np.take_along_axis(v, index[..., None], axis=4)[..., 0]
        outputs[1][0] = index.astype(self.index_dtype)


class Unpool(Pooling):
    """Put the value of each window at its pixel `index` in an image of zeros; overlaps add up."""

    __props__ = (*Pooling.__props__, 'image')

    def __init__(
        self, window: tuple[int, int], stride: tuple[int, int], ignore_border: bool, image: tuple[int, int]
    ) -> None:
        super().__init__(window, stride, ignore_border)
        self.image = tuple(image)

    def make_node(self, g: Tensor, index: Tensor) -> Apply:
        g, index = as_images(g), as_images(index)
        return Apply(
            self, [g, index], [pt.tensor(dtype=g.dtype, shape=(g.type.shape[0], *self.image, g.type.shape[3]))]
        )

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        return [(shapes[0][0], *self.image, shapes[0][3])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Sequence[Variable]) -> list[Any]:
        pick = PickPixel(self.window, self.stride, self.ignore_border)
        return [pick(cotangents[0], inputs[1]), disconnected_type()]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        g, index = inputs
        out = np.zeros((g.shape[0], *self.image, g.shape[3]), g.dtype)
        rows, columns = self.pixel_positions(index.astype(np.int64))
        np.add.at(out, (np.arange(g.shape[0])[:, None, None, None], rows, columns, np.arange(g.shape[3])), g)
        outputs[0][0] = out


class PickPixel(Pooling):
    """Pixel `index` of each window: the adjoint of `Unpool`."""

    def make_node(self, x: Tensor, index: Any) -> Any:
        x, index = as_images(x), as_images(index)
        return Apply(self, [x, index], [pt.tensor(dtype=x.dtype, shape=index.type.shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Any) -> list[Any]:
        return [shapes[1]]

    def connection_pattern(self, node: Apply) -> list[Any]:
        return [[True], [False]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Sequence[Variable]) -> list[Any]:
        unpool = Unpool(self.window, self.stride, self.ignore_border, inputs[0].type.shape[1:3])
        return [unpool(cotangents[0], inputs[1]), disconnected_type()]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        v = self.windows(self.fit(inputs[0], 0))
        outputs[0][0] = np.take_along_axis(v, inputs[1][..., None].astype(np.int64), axis=4)[..., 0]


class AvgPool(Pooling):
    """Mean of the pixels of each window; an incomplete window is averaged over the pixels it has."""

    def counts(self, height: int, width: float) -> np.ndarray:
        """Number of pixels in each window, (h', w', 1)."""
        per_axis = []
        for a, length in enumerate((height, width)):
            first = np.arange(self.output_length(length, a)) * self.stride[a]
            per_axis.append(np.minimum(first + self.window[a], length) - first)
        return (per_axis[0][:, None] * per_axis[1])[:, :, None]

    def make_node(self, x: Tensor) -> Apply:
        x = as_images(x)
        shape = (x.type.shape[0], *self.output_size(x.type.shape), x.type.shape[3])
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=shape)])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        n, _, _, channels = shapes[0]
        return [(n, *node.outputs[0].type.shape[1:3], channels)] * len(node.outputs)

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Variable]
    ) -> list[Tensor]:
        spread = AvgUnpool(self.window, self.stride, self.ignore_border, inputs[0].type.shape[1:3])
        return [spread(cotangents[0])]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        (x,) = inputs
        total = self.windows(self.fit(x, 0)).sum(axis=4, dtype=x.dtype)
        outputs[0][0] = total / self.counts(*x.shape[1:3]).astype(x.dtype)


class AvgUnpool(AvgPool):
    """Spread the value of each window evenly over its pixels: the adjoint of `AvgPool`."""

    __props__ = (*Pooling.__props__, 'image')

    def __init__(
        self, window: tuple[int, int], stride: tuple[int, int], ignore_border: bool, image: tuple[int, int]
    ) -> None:
        super().__init__(window, stride, ignore_border)
        self.image = tuple(image)

    def make_node(self, g: Tensor) -> Apply:
        g = as_images(g)
        return Apply(self, [g], [pt.tensor(dtype=g.dtype, shape=(g.type.shape[0], *self.image, g.type.shape[3]))])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        return [(shapes[0][0], *self.image, shapes[0][3])]

    def pullback(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], cotangents: Sequence[Variable]
    ) -> list[Tensor]:
        return [AvgPool(self.window, self.stride, self.ignore_border)(cotangents[0])]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        (g,) = inputs
        g = g / self.counts(*self.image).astype(g.dtype)
        height, width = (length + max(0, p) for length, p in zip(self.image, self.padding(*self.image)))
        out = np.zeros((g.shape[0], height, width, g.shape[3]), g.dtype)
        (sh, sw), (oh, ow) = self.stride, g.shape[1:3]
        for a in range(self.window[0]):
            for b in range(self.window[1]):
                out[:, a : a + sh * (oh - 1) + 1 : sh, b : b + sw * (ow - 1) + 1 : sw] += g
        outputs[0][0] = np.ascontiguousarray(out[:, : self.image[0], : self.image[1]])


def max_pool(x: Tensor, window: int = 2, stride: int | None = None, ignore_border: bool = True) -> Tensor:
    """Maximum over windows of a batch of images, per channel.

    Parameters
    ----------
    x : tensor (n, height, width, channels)
        Images of static height and width.
    window : int or pair of int
        Rows and columns of the window.
    stride : int or pair of int, optional
        Distance between windows; by default the size of the window, so that windows do not overlap.
    ignore_border : bool
        True drops an incomplete last window (sizes round down), False pools over the pixels it has
        (sizes round up).

    Returns
    -------
    tensor (n, height', width', channels)
        The gradient goes to the first of equal maxima, in the order of rows.

    Raises
    ------
    ValueError
        If the images are smaller than the window, with `ignore_border`.
    """
    return MaxPool(window, window if stride is None else stride, ignore_border)(x)[0]


def avg_pool(x: Tensor, window: int = 2, stride: int | None = None, ignore_border: bool = True) -> Tensor:
    """Mean over windows of a batch of images, per channel; arguments as in `max_pool`."""
    return AvgPool(window, window if stride is None else stride, ignore_border)(x)
