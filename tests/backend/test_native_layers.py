"""Kernels in C++ for overlapping maxima and response normalisation: against NumPy in float64, alone and for members."""

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from native_data import POOLINGS, RESPONSES
from pytensor.link.jax.dispatch import jax_funcify
from rewrites_data import ops_of

from utils import backend, native, ops
from utils.backend.native import kernels
from utils.ops.kernels import LayerKernel

pytestmark = [pytest.mark.cpu_form, pytest.mark.skipif(native.compiler() is None, reason='needs a C++ compiler')]


def both(function, *values):
    """Values of tensors computed by kernels in float32 and by NumPy in float64, and the Ops that have a kernel."""

    def compute(dtype, mode):
        inputs = [pt.tensor(dtype=dtype, shape=v.shape) for v in values]
        f = pytensor.function(inputs, function(*inputs), mode=mode)
        return f(*(v.astype(dtype) for v in values)), f

    got, f = compute('float32', backend.MODE)
    used = [type(node.op.op) for node in f.maker.fgraph.toposort() if isinstance(node.op, LayerKernel)]
    return got, compute('float64', 'FAST_COMPILE')[0], used


@pytest.mark.parametrize('shape, window, stride, ignore_border', POOLINGS)
def test_maxima_and_their_gradient_agree_with_numpy(rng, shape, window, stride, ignore_border):
    x = rng.normal(size=shape).round(1)  # with equal maxima
    op = ops.MaxPool(window, stride, ignore_border)
    g = rng.normal(size=op(pt.tensor(dtype='float32', shape=shape))[0].type.shape)

    def outputs(x, g):
        pooled = op(x)
        return [*pooled, pytensor.grad(None, x, known_grads={pooled[0]: g})]

    got, expected, used = both(outputs, x, g)
    assert used == [ops.MaxPool, ops.Unpool]
    np.testing.assert_array_equal(got[0], expected[0].astype('float32'))
    np.testing.assert_array_equal(got[1], expected[1])
    np.testing.assert_allclose(got[2], expected[2], rtol=0, atol=1e-5)


def test_maxima_of_nan_and_infinity_are_those_of_numpy(rng):
    x = rng.normal(size=(4, 16, 16, 32))
    x[rng.random(x.shape) < 0.05] = -np.inf
    x[0], x[1, 3, 3], x[2, 0, 0] = -np.inf, np.nan, np.inf
    got, expected, used = both(ops.MaxPool(3, 2, False), x)
    assert used == [ops.MaxPool]
    np.testing.assert_array_equal(got[0], expected[0].astype('float32'))
    seen = ~np.isnan(got[0])
    np.testing.assert_array_equal(np.asarray(got[1])[seen], expected[1][seen])


@pytest.mark.parametrize('shape, size', RESPONSES)
def test_response_normalisation_and_its_gradient_agree_with_numpy(rng, shape, size):
    x, g = rng.normal(0, 3, shape), rng.normal(size=shape)

    def outputs(x, g):
        y = ops.local_response_norm(x, size, 0.3, 0.75, 1.5)
        return [y, pytensor.grad(None, x, known_grads={y: g})]

    got, expected, used = both(outputs, x, g)
    assert set(used) == {ops.LocalResponseNorm, ops.LocalResponseNormGrad}
    for a, b in zip(got, expected):
        assert abs(np.asarray(a) - b).max() <= 2e-6 * abs(b).max()


def translated(op, library, *shapes):
    """The translation of an Op's kernel, for inputs of these shapes."""
    assert kernels(library) is not None
    node = LayerKernel(op, library).make_node(*(pt.tensor(dtype='float32', shape=shape) for shape in shapes))
    return jax_funcify(node.op, node=node)


def test_networks_side_by_side_are_one_call(rng):
    x, g = (rng.normal(size=(3, 4, side, side, 16)).astype('float32') for side in (15, 7))
    pool = translated(ops.MaxPool(3, 2, True), 'pooling', x.shape[1:])
    unpool = translated(ops.Unpool((3, 3), (2, 2), True, (15, 15)), 'pooling', g.shape[1:], g.shape[1:])
    response = translated(ops.LocalResponseNormGrad(5, 0.3, 0.75, 1.5), 'response', x.shape[1:], x.shape[1:])

    def each(x, g):
        y, index = pool(x)
        dx = unpool(g, index)
        return y, index, dx, response(x, dx)

    for a, b in zip(jax.vmap(each)(x, g), zip(*map(each, x, g))):
        np.testing.assert_array_equal(a, np.stack(b))
    text = jax.jit(jax.vmap(each)).lower(x, g).as_text()
    assert text.count('@symfer_') == 3 and 'while' not in text


@pytest.mark.parametrize(
    'op, shape, dtype',
    [
        (ops.MaxPool(3, 2, True), (4, 16, 16, 8), 'float32'),  # few pixels
        (ops.MaxPool(3, 2, True), (40, 16, 16, 8), 'float64'),
        (ops.MaxPool(2, 2, True), (40, 16, 16, 8), 'float32'),  # windows that do not overlap
        (ops.MaxPool(17, 2, True), (40, 20, 20, 8), 'float32'),  # numbers above 255
        (ops.LocalResponseNorm(5, 0.1, 0.75, 2), (2, 16, 16, 8), 'float32'),
        (ops.LocalResponseNorm(5, 0.1, 0.5, 2), (40, 16, 16, 8), 'float32'),
    ],
)
def test_xla_computes_the_others(op, shape, dtype):
    x = pt.tensor(dtype=dtype, shape=shape)
    assert LayerKernel not in ops_of(pytensor.function([x], op(x), mode=backend.MODE))


def test_the_gradient_of_the_gradient_agrees_with_differences(rng):
    x, g = rng.normal(0, 2, (2, 3, 4, 6)), rng.normal(size=(2, 3, 4, 6))
    X, G = (pt.tensor(dtype='float64', shape=x.shape) for _ in 'xg')
    dx = pytensor.grad(None, X, known_grads={ops.local_response_norm(X, 3, 0.3, 0.6, 1.5): G})
    cost = (dx**2).sum()
    f = pytensor.function([X, G], [cost, *pytensor.grad(cost, [X, G])], mode='FAST_COMPILE')
    _, by_x, by_g = f(x, g)
    for found, place in ((by_x, 0), (by_g, 1)):
        for k in rng.choice(x.size, 12, replace=False):
            step = np.zeros(x.size)
            step[k] = 1e-5
            moved = [[x, g], [x, g]]
            for sign, values in zip((1, -1), moved):
                values[place] = values[place] + sign * step.reshape(x.shape)
            difference = (f(*moved[0])[0] - f(*moved[1])[0]) / 2e-5
            assert difference == pytest.approx(found.ravel()[k], rel=1e-6, abs=1e-7)
