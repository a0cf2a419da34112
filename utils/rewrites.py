"""Graph rewrites: which implementation computes what the layers ask for, by device, shape and neighbourhood.

=======================  ===========================================================================
`winograd_convolutions`  3x3 'same' convolutions and their gradients by `utils.winograd`
`column_sums`            sums over all but the last axis as products with ones
=======================  ===========================================================================

They live in `DATABASE`, which `utils.jax_backend.MODE` uses. Each can be turned off by its name:
``SYMFER_EXCLUDE=winograd_convolutions,column_sums`` in the environment for a whole process,
``MODE.excluding('column_sums')`` for one function.
"""
import jax
import numpy as np
import pytensor.tensor as pt
from pytensor.compile.mode import optdb
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.graph.rewriting.db import SequenceDB
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Sum
from pytensor.tensor.subtensor import Subtensor

from utils import ops, winograd

TAG = 'symfer'
DATABASE = SequenceDB()
# After canonicalisation and stabilisation, before elementwise Ops are fused (positions 49 and 49.5).
optdb.register('symfer_rewrites', DATABASE, TAG, position=45)


def _register(*tracks):
    def decorate(function):
        DATABASE.register(function.__name__, dfs_rewriter(node_rewriter(list(tracks))(function)), TAG,
                          position=len(DATABASE.__position__))
        return function
    return decorate


# ------------------------------------------------------------------------------- convolution

# Fewest channels, in and out, shortest side and fewest pixels of a minibatch from which the transforms pay. Where
# there are no gradients to share them with, more pixels are needed.
LEAST_CHANNELS, LEAST_SIDE, LEAST_PIXELS, LEAST_PIXELS_ALONE = 32, 5, 1024, 8192


def tile_of(height, width):
    """The tile with the fewest products for images of this size: rows and columns, 3 to 5 pixels."""
    return tuple(min((4, 3, 5), key=lambda m: (m + 2) * winograd.tiles(length, m)) for length in (height, width))


def _suits_winograd(images, n_in, n_out, size, pad, least_pixels):
    shape = images.type.shape
    return (jax.default_backend() == 'cpu' and None not in (*shape, n_in, n_out) and tuple(size) == (3, 3)
            and tuple(pad) == (1, 1) and min(n_in, n_out) >= LEAST_CHANNELS and min(shape[1:3]) >= LEAST_SIDE
            and np.prod(shape[:3]) >= least_pixels)


def _has_gradients(fgraph, x):
    """Whether the filter gradient of a convolution of `x` is computed too, rewritten already or not."""
    return any(isinstance(getattr(node, 'op', None), ops.Conv2dFilterGrad | winograd.ToTiles) and node.inputs[0] is x
               for node, _ in fgraph.clients[x])


def _unflipped(W):
    """The filters W' whose mirror images with channels exchanged are `W`; None if it is not of that form."""
    if not (W.owner and isinstance(W.owner.op, DimShuffle) and W.owner.op.new_order == (0, 1, 3, 2)):
        return None
    mirror = W.owner.inputs[0]
    if not (mirror.owner and isinstance(mirror.owner.op, Subtensor)):
        return None
    base, *steps = mirror.owner.inputs
    whole = all(s.start is None and s.stop is None and s.step is not None for s in mirror.owner.op.idx_list)
    if not whole or [getattr(v, 'data', None) for v in steps] != [-1, -1]:
        return None
    return base


@_register(ops.Conv2d, ops.Conv2dFilterGrad)
def winograd_convolutions(fgraph, node):
    """Convolutions of 3x3 'same' filters, input gradients (mirrored filters) and filter gradients."""
    x, other = node.inputs
    if isinstance(node.op, ops.Conv2dFilterGrad):
        if not _suits_winograd(x, x.type.shape[3], other.type.shape[3], node.op.size, node.op.pad, LEAST_PIXELS):
            return None
        return [winograd.filter_grad(x, other, tile_of(*x.type.shape[1:3]))]
    kh, kw, n_in, n_out = other.type.shape
    tile, W = tile_of(*x.type.shape[1:3]), _unflipped(other)
    least = LEAST_PIXELS if W is not None or _has_gradients(fgraph, x) else LEAST_PIXELS_ALONE
    if not _suits_winograd(x, n_in, n_out, (kh, kw), node.op.pad, least):
        return None
    return [winograd.conv(x, other, tile) if W is None else winograd.input_grad(x, W, tile)]


# ------------------------------------------------------------------------------- column sums

# Below this many numbers a reduction is as fast.
LEAST_SUMMED = 1 << 16


@_register(Sum)
def column_sums(fgraph, node):
    """``sum(x, all axes but the last)`` as ``ones @ x``: XLA's own reduction on a CPU does not use its vectors."""
    x, = node.inputs
    axes = node.op.axis
    if (jax.default_backend() != 'cpu' or axes is None or tuple(sorted(axes)) != tuple(range(x.ndim - 1))
            or x.ndim < 2 or None in x.type.shape or x.dtype != 'float32' or np.prod(x.type.shape) < LEAST_SUMMED):
        return None
    rows = int(np.prod(x.type.shape[:-1]))
    flat = x if x.ndim == 2 else x.reshape((rows, x.type.shape[-1]))
    return [pt.dot(np.ones(rows, 'float32'), flat)]
