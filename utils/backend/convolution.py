"""Translation of `utils.ops.convolution`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops
from utils.backend.platform import platform
from utils.backend.precision import operands, precision

LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def correlate(x: Any, W: Any, pad: tuple[int, int]) -> Any:
    """Cross-correlation of padded images (n, h, w, c) with filters (kh, kw, c, o)."""
    (ph, pw) = pad
    return lax.conv_general_dilated(x, W, (1, 1), ((ph, ph), (pw, pw)), dimension_numbers=LAYOUT)


def direct_is_faster(channels: int, size: tuple[int, int]) -> bool:
    """Whether a convolution is better written out: XLA's own is slow where it has little to sum over."""
    return channels <= 3 and size[0] * size[1] <= 25 and platform() == 'cpu' and precision() != 'bf16'


def patches(x: Any, pad: tuple[int, int], size: tuple[int, int]) -> list[Any]:
    """The padded images as each pixel of the filters sees them: a list, by rows, of (n, h', w', c)."""
    (ph, pw), (kh, kw) = pad, size
    height, width = x.shape[1] + 2 * ph - kh + 1, x.shape[2] + 2 * pw - kw + 1
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (ph, ph, 0), (pw, pw, 0), (0, 0, 0)))
    return [x[:, a : a + height, b : b + width] for a in range(kh) for b in range(kw)]


@jax_funcify.register(ops.Conv2d)
def _(op, **kwargs):
    def conv(x, W):
        kh, kw, channels, n_out = W.shape
        if not direct_is_faster(channels, (kh, kw)):
            return correlate(*operands(x, W), op.pad).astype(jnp.result_type(x, W))
        # One multiplication and addition per pixel of the filter, fused with what follows.
        filters = W.reshape(kh * kw, channels, n_out)
        return sum(
            view[..., c : c + 1] * filters[k, c]
            for k, view in enumerate(patches(x, op.pad, (kh, kw)))
            for c in range(channels)
        )

    return conv


@jax_funcify.register(ops.Conv2dFilterGrad)
def _(op, **kwargs):
    def filter_grad(x, g):
        channels, n_out = x.shape[3], g.shape[3]
        if not direct_is_faster(channels, op.size):
            a, b = operands(x, g)
            W = jax.ShapeDtypeStruct((*op.size, channels, n_out), a.dtype)
            return jax.linear_transpose(lambda W: correlate(a, W, op.pad), W)(b)[0].astype(x.dtype)
        # (pixels of the filter, all places) @ (all places, filters)
        views = jnp.stack([view[..., c] for view in patches(x, op.pad, op.size) for c in range(channels)])
        return (views.reshape(len(views), -1) @ g.reshape(-1, n_out)).reshape(*op.size, channels, n_out)

    return filter_grad
