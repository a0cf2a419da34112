"""How graphs reach the processor: translations of `utils.ops` and `utils.winograd` to JAX, compilation, placement.

Nothing else in symfer knows JAX; `utils.rewrites` asks it for the platform. A translation computes what the NumPy
`perform` of its Op computes; tests/test_ops.py and tests/test_rewrites.py compare the two.
"""
import os
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, reduce
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytensor
from jax import lax
from pytensor.compile.mode import Mode
from pytensor.graph import RewriteDatabaseQuery
from pytensor.link.jax.dispatch import jax_funcify, jax_typify
from pytensor.link.jax.linker import JAXLinker
from pytensor.tensor.math import Dot

from utils import ops, process, rewrites, winograd

LAYOUT = ('NHWC', 'HWIO', 'NHWC')
# Windows of more pixels than this are pooled by a reduction instead of one slice per pixel.
MOST_SLICES = 64


# --------------------------------------------------------------------------------- precision

PRECISIONS = ('float32', 'tf32', 'bf16')
_precision = ContextVar('precision', default='float32')


@contextmanager
def _computing_in(precision):
    """What is translated inside is for convolutions and products of this precision, one of `PRECISIONS`."""
    token = _precision.set(precision)
    try:
        # A GPU takes float32 operands as tf32 unless it is told not to.
        with jax.default_matmul_precision('tensorfloat32' if precision == 'tf32' else 'float32'):
            yield
    finally:
        _precision.reset(token)


def _operands(*arrays):
    """The arrays as a convolution or product is to take them: bfloat16 or as they are."""
    return [v.astype('bfloat16') if _precision.get() == 'bf16' and v.dtype == 'float32' else v for v in arrays]


@jax_typify.register(np.ndarray)
def _(data, dtype=None, **kwargs):
    """Constants are put on the device; PyTensor's own `jnp.array` compiles something for each new shape, 10 ms."""
    return data.item() if data.ndim == 0 else jax.device_put(np.asarray(data, dtype))


@jax_funcify.register(Dot)
def _(op, **kwargs):
    def dot(x, y):
        if x.ndim == y.ndim == 2 and len(x) == 1 and jax.default_backend() == 'cpu' and x.dtype == y.dtype:
            return _column_sum(x.T, y)[None]        # XLA reads the matrix with one core, a column at a time
        a, b = _operands(x, y)
        return jnp.dot(a, b, preferred_element_type=jnp.result_type(x, y))
    return dot


# ------------------------------------------------------------------------------------ fusion

def _stored(x):
    """Arrays as they stand in memory. On a CPU, XLA would fuse their expressions into each consumer, and compute
    them in each; on a GPU that is cheaper than memory."""
    return lax.optimization_barrier(x) if jax.default_backend() == 'cpu' else x


# ------------------------------------------------------------------------------- convolution

def _correlate(x, W, pad):
    (ph, pw) = pad
    return lax.conv_general_dilated(x, W, (1, 1), ((ph, ph), (pw, pw)), dimension_numbers=LAYOUT)


def _few_channels(channels, size):
    """Whether a convolution is better written out: XLA's own is slow where it has little to sum over."""
    return (channels <= 3 and size[0] * size[1] <= 25 and jax.default_backend() == 'cpu'
            and _precision.get() != 'bf16')


def _shifted(x, pad, size):
    """The padded images as each pixel of the filters sees them: a list, by rows, of (n, h', w', c)."""
    (ph, pw), (kh, kw) = pad, size
    height, width = x.shape[1] + 2 * ph - kh + 1, x.shape[2] + 2 * pw - kw + 1
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (ph, ph, 0), (pw, pw, 0), (0, 0, 0)))
    return [x[:, a:a + height, b:b + width] for a in range(kh) for b in range(kw)]


@jax_funcify.register(ops.Conv2d)
def _(op, **kwargs):
    def conv(x, W):
        kh, kw, channels, n_out = W.shape
        if not _few_channels(channels, (kh, kw)):
            return _correlate(*_operands(x, W), op.pad).astype(jnp.result_type(x, W))
        # One multiplication and addition per pixel of the filter, fused with what follows.
        filters = W.reshape(kh * kw, channels, n_out)
        return sum(view[..., c:c + 1] * filters[k, c] for k, view in enumerate(_shifted(x, op.pad, (kh, kw)))
                   for c in range(channels))
    return conv


@jax_funcify.register(ops.Conv2dFilterGrad)
def _(op, **kwargs):
    def filter_grad(x, g):
        channels, n_out = x.shape[3], g.shape[3]
        if not _few_channels(channels, op.size):
            a, b = _operands(x, g)
            W = jax.ShapeDtypeStruct((*op.size, channels, n_out), a.dtype)
            return jax.linear_transpose(lambda W: _correlate(a, W, op.pad), W)(b)[0].astype(x.dtype)
        # (pixels of the filter, all places) @ (all places, filters)
        views = jnp.stack([view[..., c] for view in _shifted(x, op.pad, op.size) for c in range(channels)])
        return (views.reshape(len(views), -1) @ g.reshape(-1, n_out)).reshape(*op.size, channels, n_out)
    return filter_grad


# --------------------------------------------------------------- convolution by Winograd's filtering

def _combine(matrix, parts):
    """``sum over k of matrix[i, k] * parts[k]`` for each row i; zeros are left out, equal factors shared.

    In `lax`: thousands of these are traced for one network, and `jnp` takes several times as long for each.
    """
    out = []
    for row in matrix:
        by_factor = {}
        for factor, part in zip(row.tolist(), parts):
            if factor:
                by_factor.setdefault(abs(factor), []).append((factor > 0, part))
        total = None
        for factor, signed in sorted(by_factor.items(), key=lambda item: item[0]):
            # The sign of the group is that of its first part, so that most of it is additions.
            signed.sort(key=lambda item: not item[0])
            plus = signed[0][0]
            group = signed[0][1]
            for positive, part in signed[1:]:
                group = (lax.add if positive == plus else lax.sub)(group, part)
            group = group if factor == 1 else lax.mul(group, lax.full_like(group, factor))
            if total is None:
                total = group if plus else lax.neg(group)
            else:
                total = (lax.add if plus else lax.sub)(total, group)
        out.append(total)
    return out


def _combine_2d(matrices, parts):
    """`_combine` along both axes of parts[i][j]; a list of lists."""
    rows, columns = matrices
    half = [_combine(columns, row) for row in parts]
    whole = [_combine(rows, list(column)) for column in zip(*half)]
    return list(zip(*whole))


@jax_funcify.register(winograd.ToTiles)
def _(op, **kwargs):
    (mh, mw) = op.tile
    BT, AT = ([winograd.matrices(m)[k] for m in op.tile] for k in (0, 2))

    def to_tiles(x):
        if op.kind == 'output':
            x = _stored(x)      # a gradient, all of whose rules would be computed in each transform
        n, height, width, channels = x.shape
        (th, tw), zero = op.counts(height, width), jnp.zeros((), x.dtype)
        if op.kind == 'input':
            x = lax.pad(x, zero, ((0, 0, 0), (1, mh * th + 1 - height, 0), (1, mw * tw + 1 - width, 0), (0, 0, 0)))
            rows = _combine(BT[0], [lax.slice_in_dim(x, a, a + mh * (th - 1) + 1, mh, 1) for a in range(mh + 2)])
            out = [v for row in rows for v in _combine(
                BT[1], [lax.slice_in_dim(row, b, b + mw * (tw - 1) + 1, mw, 2) for b in range(mw + 2)])]
        else:
            x = lax.pad(x, zero, ((0, 0, 0), (0, mh * th - height, 0), (0, mw * tw - width, 0), (0, 0, 0)))
            x = x.reshape(n, th, mh, tw, mw, channels)
            rows = _combine(AT[0].T, [lax.index_in_dim(x, a, 2, keepdims=False) for a in range(mh)])
            out = [v for row in rows for v in _combine(
                AT[1].T, [lax.index_in_dim(row, b, 3, keepdims=False) for b in range(mw)])]
        return tuple(lax.reshape(v, (n * th * tw, channels)) for v in out)
    return to_tiles


@jax_funcify.register(winograd.FromTiles)
def _(op, **kwargs):
    (mh, mw), (height, width), (th, tw) = op.tile, op.image, op.counts(*op.image)
    BT, AT = ([winograd.matrices(m)[k] for m in op.tile] for k in (0, 2))

    def add_up(*places):
        places = [lax.reshape(v, (v.shape[0] // (th * tw), th, tw, v.shape[1])) for v in places]
        places = [places[i * (mw + 2):(i + 1) * (mw + 2)] for i in range(mh + 2)]
        n, _, _, channels = places[0][0].shape
        if op.kind == 'output':
            y = _combine_2d(AT, places)
            y = jnp.stack([jnp.stack(row, axis=3) for row in y], axis=2).reshape(n, mh * th, mw * tw, channels)
            return y[:, :height, :width]
        rows = []
        for row in places:
            # Column b of a tile is column mw * t + b of the padded image: the last two lie in the next tile.
            S = _combine(BT[1].T, row)
            shift = [lax.pad(v, jnp.zeros((), v.dtype), ((0, 0, 0), (0, 0, 0), (k >= mw, k < mw, 0), (0, 0, 0)))
                     for k, v in enumerate(S)]
            columns = [lax.add(shift[k], shift[mw + k]) if k < 2 else shift[k] for k in range(mw)]
            rows.append(jnp.stack(columns, axis=3).reshape(n, th, mw * (tw + 1), channels)[:, :, 1:1 + width])
        # Rows by a product with a constant matrix, as fast as additions and much less to compile.
        rows = jnp.stack(rows, axis=1).reshape(n, (mh + 2) * th, width * channels)
        K = jnp.asarray(winograd.axis_map('input', mh, height).reshape(-1, height), rows.dtype)
        x = lax.dot_general(jnp.broadcast_to(K.T, (n, *K.T.shape)), rows, (((2,), (1,)), ((0,), (0,))))
        return x.reshape(n, height, width, channels)
    return add_up


@jax_funcify.register(winograd.ToPlaces)
def _(op, **kwargs):
    def to_places(W):
        places = _combine_2d(op.maps(), [[W[a, b] for b in range(3)] for a in range(3)])
        return tuple(u for row in places for u in row)
    return to_places


@jax_funcify.register(winograd.FromPlaces)
def _(op, **kwargs):
    def from_places(*places):
        side = op.tile[1] + 2
        W = _combine_2d([G.T for G in op.maps()], [places[k:k + side] for k in range(0, len(places), side)])
        return jnp.stack([jnp.stack(row) for row in W])
    return from_places


@jax_funcify.register(winograd.Products)
def _(op, **kwargs):
    def products(*factors):
        dimensions = (((0 if op.transposed == 'a' else 1,), (1 if op.transposed == 'b' else 0,)), ((), ()))
        n = len(factors) // 2
        return tuple(lax.dot_general(a, b, dimensions) for a, b in zip(factors[:n], factors[n:]))
    return products


# ----------------------------------------------------------------------------------- pooling

def _fit(op, x, fill):
    """Cut or pad a batch at its end so that the windows tile it exactly."""
    return lax.pad(x, jnp.asarray(fill, x.dtype),
                   ((0, 0, 0), *((0, p, 0) for p in op.padding(*x.shape[1:3])), (0, 0, 0)))


def _tiles(op):
    return op.window == op.stride and op.window[0] * op.window[1] <= MOST_SLICES


def _pixels(op, x):
    """The pixels of all windows of a fitted batch: a list, by position in the window, of (n, h', w', c)."""
    (kh, kw), (sh, sw) = op.window, op.stride
    n, height, width, c = x.shape
    if _tiles(op):
        z = x.reshape(n, height // kh, kh, width // kw, kw, c)
        return [z[:, :, a, :, b] for a in range(kh) for b in range(kw)]
    oh, ow = (height - kh) // sh + 1, (width - kw) // sw + 1
    return [x[:, a:a + sh * (oh - 1) + 1:sh, b:b + sw * (ow - 1) + 1:sw]
            for a in range(kh) for b in range(kw)]


def _overlay(op, parts, image):
    """Adjoint of `_pixels` and `_fit`: add the parts (n, h', w', c) at their places of the image."""
    (kh, kw), (sh, sw) = op.window, op.stride
    n, oh, ow, c = parts[0].shape
    if _tiles(op):
        z = jnp.stack(parts, axis=3).reshape(n, oh, ow, kh, kw, c)
        full = z.transpose(0, 1, 3, 2, 4, 5).reshape(n, oh * kh, ow * kw, c)
    else:
        height, width = (oh - 1) * sh + kh, (ow - 1) * sw + kw
        zero = jnp.zeros((), parts[0].dtype)
        full = sum(lax.pad(p, zero, ((0, 0, 0), (a, kh - 1 - a, sh - 1), (b, kw - 1 - b, sw - 1),
                                     (0, 0, 0)))
                   for p, (a, b) in zip(parts, ((a, b) for a in range(kh) for b in range(kw))))
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
        return _stored((first, index))

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
        # One comparison with the pixel's own number, written where the pixel is.
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
        return sum(jnp.where(index == k, pixel, 0)
                   for k, pixel in enumerate(_pixels(op, _fit(op, x, 0))))
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


# -------------------------------------------------------------------------------------- sums

# Rows that are added in one pass; what is left is summed by a product with ones.
MOST_ROWS = 32


def _column_sum(*factors):
    """Sum over all axes but the last of the product of arrays, which broadcast along the last."""
    rows = prod(factors[0].shape[:-1])
    parts = max(k for k in range(1, MOST_ROWS + 1) if rows % k == 0)
    slices = (list(x.reshape(parts, rows // parts, x.shape[-1])) for x in factors)
    total = reduce(jnp.add, [reduce(jnp.multiply, v) for v in zip(*slices)])
    return jnp.dot(jnp.ones(rows // parts, total.dtype), total)


@jax_funcify.register(ops.ColumnSum)
def _(op, **kwargs):
    return _column_sum


# ------------------------------------------------------------------------------------- draws

@jax_funcify.register(ops.Draw)
def _(op, **kwargs):
    def draw(seed, counter):
        index = lax.iota('uint32', prod(op.shape)).reshape(op.shape)
        # Stored: recomputed wherever its consumers are, it would cost more than they do.
        return _stored(op.values(*op.words(jnp.uint32(seed), jnp.uint32(counter), index, jnp), jnp))
    return draw


# ------------------------------------------------------------------- compilation and placement

@lru_cache
def compiler_options():
    """XLA's options for the first device, those of them that the installed XLA knows.

    On a CPU, XLA hands convolutions to YNNPACK unless told to keep that library to single matrix
    products; its own (Eigen's) convolutions are about twice as fast. And it takes the barriers of
    `_stored` out before it fuses, unless told not to.
    """
    if jax.default_backend() != 'cpu':
        return {}
    options = {'xla_cpu_experimental_ynn_fusion_type': 'LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT',
               'xla_disable_hlo_passes': 'cse_barrier_expander'}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options)(0.)
    except Exception:       # jaxlib's error for an unknown option has no class of its own
        return {}
    return options


def _after_compiling(event, seconds, **kwargs):
    if event.endswith('backend_compile_duration'):
        process.give_back()         # LLVM needs more memory than a training step does


jax.monitoring.register_event_duration_secs_listener(_after_compiling)


class Linker(JAXLinker):
    """PyTensor's JAX linker with `compiler_options`; what a function updates is updated in its place.

    The old value of an updated shared variable is given up to the call: an array got with ``get_value(borrow=True)``
    from before it must not be used after it.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        Of convolutions and products, see `mode`.
    """

    def __init__(self, precision='float32', **kwargs):
        self.precision = precision
        self.updated = ()
        super().__init__(**kwargs)

    def fgraph_convert(self, fgraph, *args, **kwargs):
        self.updated = tuple(sorted(set(fgraph.update_mapping.values())))
        return super().fgraph_convert(fgraph, *args, **kwargs)

    def jit_compile(self, fn):
        def in_precision(*args):
            with _computing_in(self.precision):
                return fn(*args)
        in_precision.__name__ = 'step'
        if self.scalar_shape_inputs:
            return super().jit_compile(in_precision)
        return jax.jit(in_precision, donate_argnums=self.updated, compiler_options=compiler_options())


MODE = Mode(Linker(), RewriteDatabaseQuery(include=['fast_run', 'jax', rewrites.TAG])).excluding(
    *filter(None, os.environ.get('SYMFER_EXCLUDE', '').split(',')))


def mode(precision='float32'):
    """How functions are compiled for a precision of convolutions and products.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        'float32', or operands rounded to tf32 (where the device has it: GPUs since 2020) or to bfloat16, in all
        three with sums in float32. Everything between them is float32.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(map(repr, PRECISIONS))}, got {precision!r}")
    if precision == 'float32':
        return MODE
    # The transforms would be rounded too, and they enlarge what is lost.
    exclude = ['winograd_convolutions'] if precision == 'bf16' else []
    return Mode(Linker(precision), MODE.provided_optimizer).excluding(*exclude)


def function(inputs, outputs, precision='float32', **kwargs):
    """`pytensor.function`, compiled for the device; `precision` as in `mode`."""
    return pytensor.function(inputs, outputs, mode=mode(precision), **kwargs)


class Repeated:
    """A compiled function of this module, run many times in one call: a loop on the device.

    ``repeated(a, b)`` with stacked arrays does what ``[function(*v) for v in zip(a, b)]`` does, updates included, and
    returns its outputs stacked. One compilation serves any number of runs up to `most`.

    Parameters
    ----------
    function : compiled function
        Of `function`, with inputs and outputs of fixed shapes.
    most : int
        Runs in one call.
    """

    def __init__(self, function, most):
        fgraph = function.maker.fgraph
        step, changed = function.vm.jit_fn.__wrapped__, fgraph.update_mapping      # {output: shared input}
        self.most, self.storage = most, function.vm.inputs
        self.n_given = sum(not i.shared for i in function.maker.inputs)
        self.changed = list(changed.values())
        results = [k for k in range(len(fgraph.outputs)) if k not in changed]

        def loop(count, given, state, constant):
            def run(k, carry):
                state, collected = carry
                shared = {**dict(zip(self.changed, state)), **constant}
                outputs = step(*(v[k] for v in given), *(shared[n] for n in sorted(shared)))
                state = [outputs[k_out] for k_out in changed]
                return state, [v.at[k].set(outputs[r]) for v, r in zip(collected, results)]

            empty = [jnp.zeros((most, *fgraph.outputs[r].type.shape), fgraph.outputs[r].dtype) for r in results]
            return lax.fori_loop(0, count, run, (state, empty))

        self.loop = jax.jit(loop, donate_argnums=2, compiler_options=compiler_options())

    def __call__(self, *given):
        count = len(given[0])
        if not 1 <= count <= self.most:
            raise ValueError(f'1 to {self.most} runs are possible in one call, got {count}')
        padded = [np.concatenate([v, np.zeros((self.most - count, *v.shape[1:]), v.dtype)]) for v in given]
        shared = {k: jnp.asarray(self.storage[k][0]) for k in range(self.n_given, len(self.storage))}
        state = [shared.pop(k) for k in self.changed]
        state, collected = self.loop(np.int32(count), padded, state, shared)
        for k, value in zip(self.changed, state):
            self.storage[k][0] = value
        return [v[:count] for v in collected]


def place(shared, value):
    """Put `value` on the device and into a shared variable, without keeping a copy on the host.

    `shared.set_value` would bring a device array back to the host (TensorType.filter knows NumPy
    arrays only), and the whole array would then travel at every call.
    """
    shared.container.storage[0] = jax.device_put(value)


def release(shared):
    """Let go of the array of a shared variable, on the device too; the variable has no value afterwards."""
    shared.container.storage[0] = None


def device_name():
    """The device that computes, in words: 'cpu' or the GPU's name."""
    device = jax.devices()[0]
    return device.device_kind if device.platform != 'cpu' else 'cpu'
