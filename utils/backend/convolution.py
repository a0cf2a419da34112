"""Translation of `utils.ops.convolution`."""

from __future__ import annotations

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops
from utils.backend.devices import AXIS, mesh
from utils.backend.fusion import materialised
from utils.backend.partition import parts
from utils.backend.platform import platform
from utils.backend.precision import operands, precision
from utils.backend.reduction import MOST_ROWS

LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def correlate(x: Any, W: Any, op: ops.convolution.Convolution) -> Any:
    """Cross-correlation of padded images (n, h, w, c) with filters (kh, kw, c / groups, o)."""
    (ph, pw) = op.pad
    return lax.conv_general_dilated(
        x, W, op.stride, ((ph, ph), (pw, pw)), dimension_numbers=LAYOUT, feature_group_count=op.groups
    )


def direct_is_faster(channels: int, size: tuple[int, int]) -> bool:
    """Whether to write out a convolution on a CPU: XLA's convolution is slow for sums of few terms."""
    return channels <= 3 and size[0] * size[1] <= 25 and platform() == 'cpu' and precision() != 'bf16'


def patches(x: Any, op: ops.convolution.Convolution, size: tuple[int, int], stored: bool = False) -> list[Any]:
    """Shift the padded images for each pixel of the filters: a list of (n, h', w', c), by rows of the filter.

    With `stored`, the padded images are stored in memory, otherwise they are an expression.
    """
    (ph, pw), (sh, sw), (kh, kw) = op.pad, op.stride, size
    high, wide = op.output_size(x.shape[1], x.shape[2], kh, kw)
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (ph, ph, 0), (pw, pw, 0), (0, 0, 0)))
    x = materialised(x) if stored else x
    return [
        x[:, a : a + sh * (high - 1) + 1 : sh, b : b + sw * (wide - 1) + 1 : sw] for a in range(kh) for b in range(kw)
    ]


def takes_pixels(op: ops.convolution.Convolution, size: tuple[int, int]) -> bool:
    """Whether to compute a strided 1x1 convolution as a product of selected pixels: XLA is slow at it on a CPU."""
    return tuple(size) == (1, 1) and op.stride != (1, 1) and op.groups == 1 and platform() == 'cpu'


def is_depthwise(op: ops.convolution.Convolution, channels: int, n_out: int) -> bool:
    """Whether each channel has one filter, for which XLA has no fast implementation on a CPU."""
    return op.groups == channels == n_out > 1 and platform() == 'cpu' and precision() != 'bf16'


def depthwise(x: Any, W: Any, op: ops.convolution.Convolution) -> Any:
    """Cross-correlation of images (n, h, w, c) with filters (kh, kw, 1, c), by one product per filter pixel."""
    shifted = patches(x, op, W.shape[:2], stored=True)
    return sum(images * w for images, w in zip(shifted, W.reshape(-1, W.shape[3])))


def depthwise_filter_grad(x: Any, g: Any, op: ops.convolution.Conv2dFilterGrad) -> Any:
    """Filter gradient (kh, kw, 1, c): products of shifted images and gradients, added over parts of the minibatch."""
    n = len(x)
    step = n // max(k for k in range(1, MOST_ROWS + 1) if n % k == 0)
    sums = []
    for view in patches(x, op, op.size, stored=True):
        total = reduce(jnp.add, [view[k : k + step] * g[k : k + step] for k in range(0, n, step)])
        total = total.reshape(-1, g.shape[3])
        sums.append(jnp.ones(len(total), total.dtype) @ total)
    return jnp.stack(sums).reshape(*op.size, 1, g.shape[3])


def one_a_network(convolution: Any) -> Any:
    """Make `jax.vmap` over several networks compute a function of two arrays network by network.

    A single convolution would treat the networks as groups. XLA's GPU compiler does not recognise the gradients of
    grouped convolutions for cuDNN, and it moves the axis of the networks behind the channels and back. On a CPU, the
    networks are computed one after another anyway, see `utils.backend.loop`.
    """
    if platform() == 'cpu':
        return convolution
    function = jax.custom_batching.custom_vmap(convolution)

    @function.def_vmap
    def _(count, batched, a, b):
        if not all(batched):
            return jax.vmap(convolution, tuple(0 if one else None for one in batched))(a, b), True
        return jnp.stack([convolution(a[k], b[k]) for k in range(count)]), True

    return function


def of_own_images(convolution: Any, summed: bool = False) -> Any:
    """Make each device compute a convolution of its own images.

    `convolution` is a function of images and filters or, with `summed`, of two arrays with a row for each image.
    Otherwise XLA would divide the groups of a convolution among the devices and send all images to each device, and
    compute a kernel's call whole on each.
    """

    def divided(a, b):
        n = parts(len(a))
        if n == 1:
            return convolution(a, b)
        rows, whole = PartitionSpec(AXIS), PartitionSpec()
        return jax.shard_map(
            (lambda a, b: lax.psum(convolution(a, b), AXIS)) if summed else convolution,
            mesh=mesh(n),
            in_specs=(rows, rows if summed else whole),
            out_specs=whole if summed else rows,
            check_vma=False,
        )(a, b)

    return divided


@jax_funcify.register(ops.Conv2d)
def _(op, **kwargs):
    @one_a_network
    def conv(x, W):
        kh, kw, channels, n_out = W.shape
        if takes_pixels(op, (kh, kw)):
            a, b = operands(patches(x, op, (1, 1))[0], W)
            return (a @ b[0, 0]).astype(jnp.result_type(x, W))
        if is_depthwise(op, x.shape[3], n_out):
            return depthwise(x, W, op)
        if op.groups > 1 or not direct_is_faster(channels, (kh, kw)):
            return correlate(*operands(x, W), op).astype(jnp.result_type(x, W))
        # One multiplication and addition per pixel of the filter, fused with the following operations.
        filters = W.reshape(kh * kw, channels, n_out)
        return sum(
            view[..., c : c + 1] * filters[k, c]
            for k, view in enumerate(patches(x, op, (kh, kw)))
            for c in range(channels)
        )

    return of_own_images(conv) if op.groups > 1 else conv


@jax_funcify.register(ops.Conv2dInputGrad)
def _(op, **kwargs):
    @one_a_network
    def input_grad(g, W):
        a, b = operands(g, W)
        if takes_pixels(op, W.shape[:2]):
            dx = (a @ b[0, 0].T).astype(jnp.result_type(g, W))
            return jax.linear_transpose(
                lambda x: patches(x, op, (1, 1))[0], jax.ShapeDtypeStruct((len(g), *op.image, W.shape[2]), dx.dtype)
            )(dx)[0]
        x = jax.ShapeDtypeStruct((g.shape[0], *op.image, W.shape[2] * op.groups), a.dtype)
        if is_depthwise(op, x.shape[3], g.shape[3]):
            return jax.linear_transpose(lambda x: depthwise(x, W, op), x)(g)[0]
        return jax.linear_transpose(lambda x: correlate(x, b, op), x)(a)[0].astype(jnp.result_type(g, W))

    return of_own_images(input_grad) if op.groups > 1 else input_grad


@jax_funcify.register(ops.Conv2dFilterGrad)
def _(op, **kwargs):
    @one_a_network
    def filter_grad(x, g):
        channels, n_out = x.shape[3] // op.groups, g.shape[3]
        if takes_pixels(op, op.size):
            a, b = operands(patches(x, op, (1, 1))[0], g)
            return (a.reshape(-1, channels).T @ b.reshape(-1, n_out)).reshape(1, 1, channels, n_out).astype(x.dtype)
        if is_depthwise(op, x.shape[3], n_out):
            return depthwise_filter_grad(x, g, op)
        if op.groups > 1 or not direct_is_faster(channels, op.size):
            a, b = operands(x, g)
            W = jax.ShapeDtypeStruct((*op.size, channels, n_out), a.dtype)
            return jax.linear_transpose(lambda W: correlate(a, W, op), W)(b)[0].astype(x.dtype)
        # (pixels of the filter, all positions) @ (all positions, filters)
        shifted = jnp.stack([images[..., c] for images in patches(x, op, op.size) for c in range(channels)])
        return (shifted.reshape(len(shifted), -1) @ g.reshape(-1, n_out)).reshape(*op.size, channels, n_out)

    return of_own_images(filter_grad, summed=True) if op.groups > 1 else filter_grad
