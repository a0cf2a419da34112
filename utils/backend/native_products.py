"""Products of images and weights by the kernels of `utils.native`: a rewrite and a translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
from pytensor.link.jax.dispatch import jax_funcify
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot

from utils.backend import rewrites
from utils.backend.convolution import of_own_images
from utils.backend.native import UNIT, kernels
from utils.backend.platform import platform
from utils.ops.kernels import ProductKernel

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor

ROWS = 32, 512  # of the images: for fewer or more, XLA's product is as fast
LEAST_WEIGHTS = 2**18  # fewest weights of a layer for which a call pays


@rewrites.register(Dot, position=0.5)
def native_products(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Replace the product of images and the weights of a large layer by a call of a kernel in C++."""
    a, b = node.inputs
    if platform() != 'cpu' or not a.ndim == b.ndim == 2 or {a.dtype, b.dtype} != {'float32'}:
        return None
    (n, d), (_, k) = a.type.shape, b.type.shape
    if None in (n, d, k) or k % UNIT or d * k < LEAST_WEIGHTS or not ROWS[0] <= n <= ROWS[1]:
        return None
    # A gradient's matrix is the transposed one of another, which XLA reads as it is.
    if any(v.owner and isinstance(v.owner.op, DimShuffle) for v in (a, b)) or kernels('direct') is None:
        return None
    return [ProductKernel()(a, b)]


@jax_funcify.register(ProductKernel)
def _(op, **kwargs):
    def compute(a, b):
        shape = jax.ShapeDtypeStruct((len(a), b.shape[1]), a.dtype)
        return jax.ffi.ffi_call('symfer_direct_product', shape, vmap_method='sequential')(a, b)

    return of_own_images(compute)
