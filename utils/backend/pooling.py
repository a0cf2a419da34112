"""Translation of `utils.ops.pooling`."""

import jax.numpy as jnp
from jax import lax
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops
from utils.backend.fusion import materialised

# Windows of more pixels than this are pooled by a reduction instead of one slice per pixel.
MOST_SLICES = 64


def _fit(op, x, fill):
    """Cut or pad the images at their bottom and right edges so that the windows cover them exactly."""
    return lax.pad(
        x, jnp.asarray(fill, x.dtype), ((0, 0, 0), *((0, p, 0) for p in op.padding(*x.shape[1:3])), (0, 0, 0))
    )


def _tiles(op):
    return op.window == op.stride and op.window[0] * op.window[1] <= MOST_SLICES


def _pixels(op, x):
    """The pixels of all windows of fitted images: a list of (n, h', w', c), by position in the window."""
    (kh, kw), (sh, sw) = op.window, op.stride
    n, height, width, c = x.shape
    if _tiles(op):
        z = x.reshape(n, height // kh, kh, width // kw, kw, c)
        return [z[:, :, a, :, b] for a in range(kh) for b in range(kw)]
    oh, ow = (height - kh) // sh + 1, (width - kw) // sw + 1
    return [x[:, a : a + sh * (oh - 1) + 1 : sh, b : b + sw * (ow - 1) + 1 : sw] for a in range(kh) for b in range(kw)]


def _overlay(op, parts, image):
    """Adjoint of `_pixels` and `_fit`: add the parts (n, h', w', c) at their positions in the image."""
    (kh, kw), (sh, sw) = op.window, op.stride
    n, oh, ow, c = parts[0].shape
    if _tiles(op):
        z = jnp.stack(parts, axis=3).reshape(n, oh, ow, kh, kw, c)
        full = z.transpose(0, 1, 3, 2, 4, 5).reshape(n, oh * kh, ow * kw, c)
    else:
        height, width = (oh - 1) * sh + kh, (ow - 1) * sw + kw
        zero = jnp.zeros((), parts[0].dtype)
        full = sum(
            lax.pad(p, zero, ((0, 0, 0), (a, kh - 1 - a, sh - 1), (b, kw - 1 - b, sw - 1), (0, 0, 0)))
            for p, (a, b) in zip(parts, ((a, b) for a in range(kh) for b in range(kw)))
        )
        assert full.shape[1:3] == (height, width)
    ends = [length - have for length, have in zip(image, full.shape[1:3])]
    return lax.pad(full, jnp.zeros((), full.dtype), ((0, 0, 0), *((0, e, 0) for e in ends), (0, 0, 0)))


@jax_funcify.register(ops.MaxPool)
def _(op, **kwargs):
    def max_pool(x):
        first, *others = _pixels(op, _fit(op, x, -jnp.inf))
        index = jnp.zeros(first.shape, op.index_dtype)
        for k, pixel in enumerate(others, start=1):
            index = jnp.where(pixel > first, jnp.asarray(k, op.index_dtype), index)
            first = jnp.maximum(first, pixel)
        return materialised((first, index))

    def max_pool_wide(x):
        windows = jnp.stack(_pixels(op, _fit(op, x, -jnp.inf)), axis=-1)
        return windows.max(axis=-1), windows.argmax(axis=-1).astype(op.index_dtype)

    return max_pool if op.window[0] * op.window[1] <= MOST_SLICES else max_pool_wide


@jax_funcify.register(ops.Unpool)
def _(op, **kwargs):
    (kh, kw) = op.window

    def unpool(g, index):
        if not _tiles(op):
            parts = [jnp.where(index == k, g, 0) for k in range(kh * kw)]
            return _overlay(op, parts, op.image)
        # A single comparison with each pixel's number in its window.
        n, oh, ow, c = g.shape
        number = jnp.arange(kh * kw, dtype=op.index_dtype).reshape(1, 1, kh, 1, kw, 1)
        spread = jnp.where(index[:, :, None, :, None] == number, g[:, :, None, :, None], 0)
        full = spread.reshape(n, oh * kh, ow * kw, c)
        ends = [length - have for length, have in zip(op.image, full.shape[1:3])]
        return lax.pad(full, jnp.zeros((), g.dtype), ((0, 0, 0), *((0, e, 0) for e in ends), (0, 0, 0)))

    return unpool


@jax_funcify.register(ops.PickPixel)
def _(op, **kwargs):
    def pick(x, index):
        return sum(jnp.where(index == k, pixel, 0) for k, pixel in enumerate(_pixels(op, _fit(op, x, 0))))

    return pick


@jax_funcify.register(ops.AvgPool)
def _(op, **kwargs):
    def avg_pool(x):
        count = jnp.asarray(op.counts(*x.shape[1:3]), x.dtype)
        return sum(_pixels(op, _fit(op, x, 0))) / count

    return avg_pool


@jax_funcify.register(ops.AvgUnpool)
def _(op, **kwargs):
    def avg_unpool(g):
        g = g / jnp.asarray(op.counts(*op.image), g.dtype)
        return _overlay(op, [g] * (op.window[0] * op.window[1]), op.image)

    return avg_unpool
