"""Looks up pixels of images with their neighbours, for bilinear interpolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph import Apply
from pytensor.graph.op import Op

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor


def offsets(width: Any) -> tuple[Any, ...]:
    """Offsets in a flattened image from a pixel to itself and its neighbours right, below and below right."""
    return 0, 1, width, width + 1


class NeighbourPixels(Op):
    """Look up pixels and their neighbours right, below and below right: images (n, h, w), places (n, h', w').

    The result is (n, h', w', 4). A place is the int32 index of a pixel in its image, counted by rows. It must not be in
    the last row or the last column.
    """

    __props__ = ()

    def make_node(self, x: Tensor, place: Tensor) -> Any:
        x, place = pt.as_tensor_variable(x), pt.as_tensor_variable(place)
        if x.ndim != 3 or place.ndim != 3 or place.dtype != 'int32':
            raise ValueError(
                'images (n, height, width) and places (n, height, width) int32 are needed, got '
                f'{x.ndim} and {place.ndim} dimensions and places {place.dtype}'
            )
        return Apply(self, [x, place], [pt.tensor(dtype=x.dtype, shape=(*place.type.shape, 4))])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Any) -> list[Any]:
        return [(*shapes[1], 4)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True], [False]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        x, place = inputs
        (g,) = cotangents
        n, height, width = x.shape
        first = (pt.arange(n) * (height * width)).dimshuffle(0, 'x', 'x')
        flat = pt.zeros((n * height * width,), dtype=g.dtype)
        for k, behind in enumerate(offsets(width)):
            where = (place + first + behind).reshape((-1,))
            flat = pt.inc_subtensor(flat[where], g[..., k].reshape((-1,)))
        return [flat.reshape(x.shape), disconnected_type()]

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        x, place = inputs
        image = np.arange(len(x))[:, None, None]
        flat = x.reshape(len(x), -1)
        outputs[0][0] = np.stack([flat[image, place + behind] for behind in offsets(x.shape[2])], axis=-1)
