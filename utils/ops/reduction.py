"""Sums over all axes but the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt
from pytensor.graph import Apply
from pytensor.graph.op import Op

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor


class ColumnSum(Op):
    """Sum an array over all axes but the last, (..., c) -> (c,)."""

    __props__ = ()

    def make_node(self, x: Tensor) -> Any:
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=x.type.shape[-1:])])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Any) -> list[Any]:
        return [shapes[0][-1:]]

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        (x,) = inputs
        outputs[0][0] = x.sum(axis=tuple(range(x.ndim - 1)), dtype=x.dtype)
