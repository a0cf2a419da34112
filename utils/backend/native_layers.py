"""Pooling and response normalisation by the kernels of `utils.native`: a rewrite and a translation.

XLA computes each of these layers, and each gradient, in several passes over the images; a kernel takes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops
from utils.backend import rewrites
from utils.backend.native import kernels
from utils.backend.partition import of_own_rows
from utils.backend.platform import platform
from utils.ops.kernels import LayerKernel

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor

LEAST_SIZE = 2**14  # fewest elements of the images for which a call pays

FUNCTIONS = {
    ops.MaxPool: 'images',
    ops.Unpool: 'input_gradient',
    ops.LocalResponseNorm: 'images',
    ops.LocalResponseNormGrad: 'input_gradient',
}


def _library(op):
    """Return the library that has a kernel for an Op; None if there is none."""
    if isinstance(op, ops.LocalResponseNorm):
        return 'response' if op.beta == 0.75 else None
    # Without overlap, XLA fuses the maxima with other operations. Numbers of pixels are bytes.
    return 'pooling' if op.window != op.stride and op.index_dtype == 'uint8' else None


@rewrites.register(*FUNCTIONS, position=0.5)
def native_layers(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Replace overlapping maxima, response normalisation and their gradients by calls of kernels in C++."""
    images = node.outputs[0] if isinstance(node.op, ops.Unpool) else node.inputs[0]
    if platform() != 'cpu' or None in images.type.shape or images.dtype != 'float32':
        return None
    library = _library(node.op)
    if np.prod(images.type.shape) < LEAST_SIZE or library is None or kernels(library) is None:
        return None
    return LayerKernel(node.op, library)(*node.inputs, return_list=True)  # type: ignore[no-any-return]


@jax_funcify.register(LayerKernel)
def _(op, node, **kwargs):
    layer, results = op.op, [(v.type.shape[1:], v.dtype) for v in node.outputs]
    if isinstance(layer, ops.LocalResponseNorm):
        numbers: dict[str, Any] = {'half': np.int64(layer.size // 2)}
        numbers |= {'alpha': np.float64(layer.alpha), 'k': np.float64(layer.k)}
    else:
        names = ('rows', 'columns', 'step_y', 'step_x')
        numbers = dict(zip(names, map(np.int64, (*layer.window, *layer.stride))))

    def compute(*inputs):
        types = [jax.ShapeDtypeStruct((len(inputs[0]), *shape), dtype) for shape, dtype in results]
        # Axes before the last three, or the last, have no meaning for a kernel, so several networks are one call.
        function = f'symfer_{op.library}_{FUNCTIONS[type(layer)]}'
        call = jax.ffi.ffi_call(function, types, vmap_method='broadcast_all')
        found = call(*inputs, **numbers)
        return tuple(found) if len(found) > 1 else found[0]

    return of_own_rows(compute)
