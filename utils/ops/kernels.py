"""Convolutions, products and other layers that `utils.native` computes."""

from __future__ import annotations

from typing import Any

from pytensor.graph import Apply
from pytensor.graph.op import Op
from pytensor.tensor import tensor


class Kernel(Op):
    """A convolution, or a gradient of one, by a kernel in C++: what `op` computes, from the same inputs.

    Parameters
    ----------
    op : Conv2d, Conv2dInputGrad or Conv2dFilterGrad
    library : {'winograd3', 'winograd5', 'direct', 'narrow'}
        The library of `utils.native` that has the kernel.
    tile : int
        Rows and columns of a tile of Winograd's minimal filtering (see `utils.ops.winograd`), 2 to 5; 0: none.
    """

    __props__ = ('op', 'library', 'tile')

    def __init__(self, op: Op, library: str, tile: int = 0) -> None:
        self.op, self.library, self.tile = op, library, tile

    def make_node(self, *inputs: Any) -> Apply:
        return Apply(self, list(inputs), [v.type() for v in self.op.make_node(*inputs).outputs])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        self.op.perform(node, inputs, outputs)


class LayerKernel(Kernel):
    """Maxima over windows, response normalisation, or the gradient of one, by a kernel in C++.

    Parameters
    ----------
    op : MaxPool, Unpool, LocalResponseNorm or LocalResponseNormGrad
    library : {'pooling', 'response'}
    """


class ProductKernel(Op):
    """The product of two matrices, (n, d) and (d, k) -> (n, k), by a kernel in C++."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        a, b = inputs
        return Apply(self, [a, b], [tensor(dtype=a.dtype, shape=(a.type.shape[0], b.type.shape[1]))])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        a, b = inputs
        outputs[0][0] = a @ b
