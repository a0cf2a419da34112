"""Graph rewrites, which choose the implementation of an expression by device, shape and context.

=======================  ===========================================================================
`grouped_convolutions`   grouped convolutions as separate convolutions, or as one
`mirrored_filters`       image gradients on a GPU, in a form that XLA recognises for cuDNN
`winograd_convolutions`  3x3 'same' convolutions and their gradients by `utils.ops.winograd`
`centred_sums`           batch norm: sums of centred values are zero
`small_factors`          batch norm: factors with one number per channel are combined first
`column_sums`            vectorised sums over all axes but the last
`dropout_masks`          draws that are only compared with a probability, stored as one byte each
=======================  ===========================================================================

They are registered in `DATABASE`, which `utils.backend.MODE` uses. Each can be turned off by its name:
``SYMFER_EXCLUDE=winograd_convolutions,column_sums`` in the environment for a whole process,
``MODE.excluding('column_sums')`` for one function.
"""

from __future__ import annotations

from functools import reduce
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.mode import optdb
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.graph.rewriting.db import SequenceDB
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Sum
from pytensor.tensor.variable import TensorConstant

from utils import ops
from utils.backend.mirrored import as_input_grad, unflipped
from utils.backend.platform import platform
from utils.ops import winograd

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor


TAG = 'symfer'
DATABASE = SequenceDB()
# After canonicalisation and stabilisation, before elementwise Ops are fused (positions 49 and 49.5).
optdb.register('symfer_rewrites', DATABASE, TAG, position=45)


def register(*tracks: Any, position: float | None = None) -> Any:
    """Decorate a rewrite of nodes with these Ops, to run after those before it or at `position`."""

    def decorate(function):
        DATABASE.register(
            function.__name__,
            dfs_rewriter(node_rewriter(list(tracks))(function)),
            TAG,
            position=len(DATABASE.__position__) if position is None else position,
        )
        return function

    return decorate


# ------------------------------------------------------------------------------- convolution

# Smallest number of channels (in and out), side, and number of pixels in a minibatch for which the transforms pay. If
# no gradients share them, more pixels are needed.
LEAST_CHANNELS, LEAST_SIDE, LEAST_PIXELS, LEAST_PIXELS_ALONE = 32, 5, 1024, 8192


def tile_of(height: int, width: int) -> tuple[int, ...]:
    """Choose the tile, 3 to 5 pixels high and wide, with the fewest products for images of this size."""
    return tuple(min((4, 3, 5), key=lambda m: (m + 2) * winograd.tiles(length, m)) for length in (height, width))


def _suits_winograd(images, n_in, n_out, size, pad, least_pixels):
    shape = images.type.shape
    return (
        platform() == 'cpu'
        and None not in (*shape, n_in, n_out)
        and tuple(size) == (3, 3)
        and tuple(pad) == (1, 1)
        and min(n_in, n_out) >= LEAST_CHANNELS
        and min(shape[1:3]) >= LEAST_SIDE
        and np.prod(shape[:3]) >= least_pixels
    )


def _has_gradients(fgraph, x):
    """Whether the graph also has the filter gradient of a convolution of `x`, rewritten or not."""
    kinds = ops.Conv2dFilterGrad | winograd.TileTransform
    return any(isinstance(getattr(node, 'op', None), kinds) and node.inputs[0] is x for node, _ in fgraph.clients[x])


@register(ops.Conv2d)
def mirrored_filters(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Replace convolutions with mirrored filters by `ops.Conv2dInputGrad`, which converts the filters before mirroring.

    XLA recognises a convolution with mirrored filters as cuDNN's input gradient, but not through a type conversion.
    """
    found = as_input_grad(node) if platform() == 'gpu' else None
    return [found[0](node.inputs[0], found[1])] if found else None


LEAST_OF_A_GROUP = 16  # XLA does not compute convolutions of fewer channels or filters any faster


@register(ops.Conv2d, ops.Conv2dFilterGrad, ops.Conv2dInputGrad)
def grouped_convolutions(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Replace a grouped convolution on a CPU by convolutions of several groups each, with zeros between the groups.

    XLA has no fast grouped convolution there. Groups of one channel and one filter stay, see
    `utils.backend.convolution`.
    """
    op, (a, b) = node.op, node.inputs
    if op.groups == 1 or platform() != 'cpu' or None in (a.type.shape[3], b.type.shape[3]):
        return None
    n_first, n_second = a.type.shape[3] // op.groups, b.type.shape[3] // op.groups
    is_filter_grad = isinstance(op, ops.Conv2dFilterGrad)
    channels = n_first if is_filter_grad else b.type.shape[2]
    if channels == n_second == 1:
        return None
    enough = min(-(-LEAST_OF_A_GROUP // min(channels, n_second)), op.groups)
    together = next(k for k in range(enough, op.groups + 1) if op.groups % k == 0)
    mask = np.kron(np.eye(together), np.ones((channels, n_second))).astype(b.dtype)  # (channels, filters)
    parts = []
    for k in range(0, op.groups, together):
        first = a[..., k * n_first : (k + together) * n_first]
        second = b[..., k * n_second : (k + together) * n_second]
        if together > 1 and not is_filter_grad:
            second = pt.concatenate([second] * together, axis=2) * mask
        part = _of_one_group(op, first, second)
        if together > 1 and is_filter_grad:
            part = sum((part * mask)[:, :, i * channels : (i + 1) * channels] for i in range(together))
        parts.append(part)
    return [pt.concatenate(parts, axis=3)]


def _of_one_group(op, a, b):
    if isinstance(op, ops.Conv2d):
        return ops.Conv2d(op.pad, op.stride)(a, b)
    if isinstance(op, ops.Conv2dFilterGrad):
        return ops.Conv2dFilterGrad(op.pad, op.size, op.stride)(a, b)
    return ops.convolution.input_grad(ops.Conv2d(op.pad, op.stride), a, b, b.type.shape[:2], op.image)


@register(ops.Conv2d, ops.Conv2dFilterGrad)
def winograd_convolutions(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Compute 3x3 'same' convolutions, input gradients (mirrored filters) and filter gradients by Winograd's method."""
    x, other = node.inputs
    if not node.op.plain:
        return None
    if isinstance(node.op, ops.Conv2dFilterGrad):
        if not _suits_winograd(x, x.type.shape[3], other.type.shape[3], node.op.size, node.op.pad, LEAST_PIXELS):
            return None
        return [winograd.filter_grad(x, other, tile_of(*x.type.shape[1:3]))]
    kh, kw, n_in, n_out = other.type.shape
    tile, W = tile_of(*x.type.shape[1:3]), unflipped(other)
    least = LEAST_PIXELS if W is not None or _has_gradients(fgraph, x) else LEAST_PIXELS_ALONE
    if not _suits_winograd(x, n_in, n_out, (kh, kw), node.op.pad, least):
        return None
    return [winograd.conv(x, other, tile) if W is None else winograd.input_grad(x, W, tile)]


# ------------------------------------------------------------------------ batch normalization
#
# The gradient of `utils.layers.BatchNorm` from automatic differentiation becomes its closed form (Ioffe and Szegedy
# 2015, section 3): two sums forward, two backward, one pass over the images for the gradient.

# For fewer numbers, these rewrites do not pay.
LEAST_SUMMED = 1 << 16


def _factor_and_sum(mean):
    """(c, sum) if `mean` is a constant c times a broadcast sum, otherwise (None, None)."""
    if not (mean.owner and mean.owner.op == pt.mul and len(mean.owner.inputs) == 2):
        return None, None
    c, total = sorted(mean.owner.inputs, key=lambda v: not isinstance(v, TensorConstant))
    while total.owner and isinstance(total.owner.op, DimShuffle):
        (total,) = total.owner.inputs
    return getattr(c, 'unique_value', None), total


@register(Sum)
def centred_sums(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Replace ``sum(x - mean(x))`` by zero; computing it takes a pass over `x` and yields rounding errors only."""
    (centred,) = node.inputs
    if not (centred.owner and centred.owner.op == pt.sub and None not in centred.type.shape):
        return None
    x, mean = centred.owner.inputs
    c, total = _factor_and_sum(mean)
    if c is None or not (
        total.owner
        and isinstance(total.owner.op, Sum)
        and total.owner.inputs[0] is x
        and total.owner.op.axis == node.op.axis
        and mean.type.broadcastable != x.type.broadcastable
    ):
        return None
    axes = range(x.ndim) if node.op.axis is None else node.op.axis
    if not np.isclose(c * np.prod([x.type.shape[a] for a in axes]), 1, rtol=1e-6):
        return None
    return [pt.as_tensor(np.zeros(node.outputs[0].type.shape, node.outputs[0].dtype))]


def _size(v):
    """Number of elements of `v`; 0 if its shape is not static."""
    return 0 if None in v.type.shape else int(np.prod(v.type.shape))


def _factors(v, size, alone):
    """Numerators and denominators of an expression of `size` elements; parts with other uses are not split."""
    op = v.owner.op if v.owner and _size(v) == size and alone(v) else None
    if op not in (pt.mul, pt.true_div):
        return [v], []
    parts = [_factors(u, size, alone) for u in v.owner.inputs]
    if op == pt.true_div:
        parts[1] = parts[1][::-1]
    return [sum(side, []) for side in zip(*parts)]


@register(pt.mul, pt.true_div)
def small_factors(fgraph: FunctionGraph, node: Apply) -> list[Any] | None:
    """Multiply and divide factors that are smaller than the product with each other first."""
    (out,) = node.outputs
    size = _size(out)
    if size < LEAST_SUMMED or out.dtype != 'float32':
        return None
    above, below = _factors(out, size, lambda v: v is out or len(fgraph.clients[v]) == 1)
    small_above, small_below = ([v for v in side if _size(v) < size] for side in (above, below))
    if not small_below and len(small_above) < 2 or len(small_above) == len(above):
        return None
    factor = reduce(mul, small_above) if small_above else np.float32(1)
    factor = factor / reduce(mul, small_below) if small_below else factor
    product = reduce(mul, [v for v in above if _size(v) == size]) * factor
    big_below = [v for v in below if _size(v) == size]
    return [product / reduce(mul, big_below) if big_below else product]


# ------------------------------------------------------------------------------- column sums


# Numbers of rows for which sums are split on a GPU. XLA splits longer sums by itself; shorter ones gain little.
SPLIT_ON_GPU = range(512, 4097)


@register(Sum)
def column_sums(fgraph: FunctionGraph, node: Apply) -> list[Any] | None:
    """Replace sums over all axes but the last by `ops.ColumnSum`.

    XLA's reduction is not vectorised on a CPU. On a GPU it assigns 32 columns of any length to one multiprocessor and
    leaves the others idle.
    """
    (x,) = node.inputs
    axes = node.op.axis
    if (
        axes is None
        or tuple(sorted(axes)) != tuple(range(x.ndim - 1))
        or x.ndim < 2
        or x.dtype != 'float32'
        or _size(x) < LEAST_SUMMED
        or (platform() == 'gpu' and np.prod(x.type.shape[:-1]) not in SPLIT_ON_GPU)
    ):
        return None
    return [ops.ColumnSum()(x)]


# ------------------------------------------------------------------------------ dropout masks


@register(pt.ge)
def dropout_masks(fgraph: FunctionGraph, node: Apply) -> list[Tensor] | None:
    """Replace ``uniform >= p`` by `ops.DropoutMask`, which has the same truth values without storing the numbers."""
    draw, p = node.inputs
    p = getattr(p, 'unique_value', None)  # set for a constant with equal elements
    if p is None or not (draw.owner and type(draw.owner.op) is ops.Uniform):
        return None
    return [ops.DropoutMask(draw.owner.op.shape, draw.owner.op.stream, p)(*draw.owner.inputs)]
