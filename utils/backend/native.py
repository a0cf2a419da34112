"""Convolutions by the kernels of `utils.native`: a rewrite and a translation.

`native_convolutions` runs before the rewrites that make other forms of the same convolutions for XLA. A kernel keeps a
part of the images in the processor's cache from the images to the result, and XLA has nothing to compile.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from pytensor.link.jax.dispatch import jax_funcify

from utils import native, ops
from utils.backend import rewrites
from utils.backend.convolution import of_own_images
from utils.backend.mirrored import as_input_grad
from utils.backend.platform import platform
from utils.ops import winograd
from utils.ops.kernels import Kernel

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor

UNIT = 16  # channels are multiples of it
MOST_CHANNELS = 4096  # limit of Winograd's filtering
LEAST_CHANNELS = 32  # fewest input and output channels for which Winograd's filtering pays
LEAST_PIXELS_WINOGRAD = 1024  # fewest pixels of a minibatch for which the transforms of the filters pay
LEAST_PIXELS = 64  # fewest pixels of a minibatch for which a kernel of a gradient pays
TILES = {3: (4, 3, 5), 5: (3, 2)}  # sizes of the filters: those of the tiles
WINOGRAD = {3: 'winograd3', 5: 'winograd5'}
NARROW = 1, 2, 4, 8  # channels of groups that share a vector, up to the width of the processor's

FUNCTIONS = {ops.Conv2d: 'images', ops.Conv2dInputGrad: 'input_gradient', ops.Conv2dFilterGrad: 'filter_gradient'}


_asked: dict[str, Any] = {}  # libraries that `kernels` was asked for; None for those that the compiler did not make


def registered() -> list[str] | None:
    """Return the libraries whose kernels are registered with JAX; None if the compiler failed for one."""
    return None if None in _asked.values() else sorted(_asked)


@lru_cache
def kernels(library: str) -> Any:
    """Return the compiled kernels of a library, registered with JAX; None without a compiler.

    Parameters
    ----------
    library : str
        A name of `utils.native.LIBRARIES`.
    """
    if jax.default_backend() != 'cpu' or native.compiler() is None:
        return None
    found = _asked[library] = native.library(library)
    if found is not None:
        for function in filter(partial(hasattr, found), (*FUNCTIONS.values(), 'product')):
            pointer = jax.ffi.pycapsule(getattr(found, function))
            jax.ffi.register_ffi_target(f'symfer_{library}_{function}', pointer, platform='cpu')
        if hasattr(found, 'filter_gradient_memory'):
            shape = ctypes.POINTER(ctypes.c_int64)
            sizes = 3 * [ctypes.c_int64] if library in WINOGRAD.values() else [shape, shape, shape, ctypes.c_int64]
            found.filter_gradient_memory.restype, found.filter_gradient_memory.argtypes = ctypes.c_int64, sizes
    return found


def _shapes(op, a, b):
    """Return the shapes of images, filters and output from those of the inputs of a convolution or gradient."""
    if isinstance(op, ops.Conv2dFilterGrad):
        return a, (*op.size, a[3] // op.groups, b[3]), b
    if isinstance(op, ops.Conv2dInputGrad):
        return (a[0], *op.image, b[2] * op.groups), b, a
    return a, b, (a[0], *op.output_size(*a[1:3], *b[:2]), b[3])


def _tile(op, images, filters):
    """Return the tile size with the fewest products; 0 if Winograd's filtering does not apply or pay."""
    n_in, n_out = filters[2], filters[3] // op.groups
    size = filters[0]
    suits = (
        op.stride == (1, 1)
        and filters[:2] in ((3, 3), (5, 5))
        and op.pad == (size // 2, size // 2)
        and n_in % UNIT == n_out % UNIT == 0
        and LEAST_CHANNELS <= min(n_in, n_out)
        and max(n_in, n_out) <= MOST_CHANNELS
        and np.prod(images[:3]) >= LEAST_PIXELS_WINOGRAD
    )
    if not suits:
        return 0
    products = {
        m: ((m + size - 1) * winograd.tiles(images[1], m)) * ((m + size - 1) * winograd.tiles(images[2], m))
        for m in TILES[size]
    }
    return min(products, key=products.__getitem__)


def _library(op, images, filters):
    """Return the library without Winograd's filtering whose vectors the channels fill; None if there is none."""
    channels, n_out = filters[2], filters[3] // op.groups
    if op.groups > 1 and channels == n_out in NARROW and images[3] % UNIT == 0:
        found = kernels('narrow')
        return 'narrow' if found is not None and n_out <= found.lanes() else None
    if isinstance(op, ops.Conv2dInputGrad):
        return 'direct' if channels % UNIT == 0 or op.groups == 1 else None
    return 'direct' if n_out % UNIT == 0 else None


def kernel(op: ops.convolution.Convolution, a: Tensor, b: Tensor) -> Kernel | None:
    """Return the kernel for a convolution or gradient; None if there is none.

    Parameters
    ----------
    op : Conv2d, Conv2dInputGrad or Conv2dFilterGrad
        The convolution or gradient.
    a, b : variables
        Inputs of `op`.
    """
    if platform() != 'cpu' or None in (*a.type.shape, *b.type.shape) or {a.dtype, b.dtype} != {'float32'}:
        return None
    images, filters, out = _shapes(op, a.type.shape, b.type.shape)
    if not isinstance(op, ops.Conv2d) and np.prod(out[:3]) < LEAST_PIXELS:
        return None
    tile = _tile(op, images, filters)
    library = WINOGRAD[filters[0]] if tile else _library(op, images, filters)
    return Kernel(op, library, tile) if library and kernels(library) is not None else None


@rewrites.register(ops.Conv2d, ops.Conv2dInputGrad, ops.Conv2dFilterGrad, position=0.5)
def native_convolutions(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Replace convolutions and their gradients by calls of kernels in C++."""
    a, b = node.inputs
    op, b = as_input_grad(node) or (node.op, b)
    found = kernel(op, a, b)
    return found and [found(a, b)]


@jax_funcify.register(Kernel)
def _(op, **kwargs):
    conv = op.op

    def compute(a, b):
        images, filters, out = _shapes(conv, a.shape, b.shape)
        result = {ops.Conv2d: out, ops.Conv2dInputGrad: images, ops.Conv2dFilterGrad: filters}[type(conv)]
        is_gradient = isinstance(conv, ops.Conv2dFilterGrad)
        function, memory_of = FUNCTIONS[type(conv)], kernels(op.library).filter_gradient_memory
        numbers = {'groups': conv.groups}
        if op.tile:
            n_in, n_out = filters[2], filters[3] // conv.groups
            numbers['tile'] = op.tile
            if is_gradient:
                memory = memory_of(op.tile, n_in, n_out)
            else:
                function, numbers['mirrored'] = 'images', isinstance(conv, ops.Conv2dInputGrad)
                memory = (op.tile + filters[0] - 1) ** 2 * n_in * n_out
        else:
            (pad_y, pad_x), (step_y, step_x) = conv.pad, conv.stride
            numbers |= {'pad_y': pad_y, 'pad_x': pad_x, 'step_y': step_y, 'step_x': step_x}
            if is_gradient:
                memory = memory_of(*((ctypes.c_int64 * 4)(*shape) for shape in (images, out, filters)), conv.groups)
            else:  # room for the filters; of few channels, in whole vectors
                memory = -(-int(np.prod(filters[:3])) // UNIT) * UNIT * filters[3]
        types = [jax.ShapeDtypeStruct(shape, a.dtype) for shape in (result, (memory,))]
        call = jax.ffi.ffi_call(f'symfer_{op.library}_{function}', types, vmap_method='sequential')
        return call(a, b, **{key: np.int64(value) for key, value in numbers.items()})[0]

    return of_own_images(compute, summed=isinstance(conv, ops.Conv2dFilterGrad))
