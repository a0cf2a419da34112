"""Convolutions that `utils.native` computes."""

from __future__ import annotations

from typing import Any

from pytensor.graph import Apply
from pytensor.graph.op import Op

from utils.ops.convolution import Convolution


class Kernel(Op):
    """A convolution, or a gradient of one, by a kernel in C++: what `op` computes, from the same inputs.

    Parameters
    ----------
    op : Conv2d, Conv2dInputGrad or Conv2dFilterGrad
    tile : int
        Rows and columns of a tile of Winograd's minimal filtering (see `utils.ops.winograd`), 2 to 5; 0: products with
        patches of the images.
    """

    __props__ = ('op', 'tile')

    def __init__(self, op: Convolution, tile: int = 0) -> None:
        self.op, self.tile = op, tile

    def make_node(self, *inputs: Any) -> Apply:
        return Apply(self, list(inputs), [v.type() for v in self.op.make_node(*inputs).outputs])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        self.op.perform(node, inputs, outputs)
