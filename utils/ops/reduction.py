"""Sums over all axes but the last."""

import pytensor.tensor as pt
from pytensor.graph import Apply
from pytensor.graph.op import Op


class ColumnSum(Op):
    """Sum over all axes but the last, (..., c) -> (c,)."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=x.type.shape[-1:])])

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0][-1:]]

    def perform(self, node, inputs, outputs):
        (x,) = inputs
        outputs[0][0] = x.sum(axis=tuple(range(x.ndim - 1)), dtype=x.dtype)
