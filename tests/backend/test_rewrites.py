"""Sums, batch norm in closed form, masks: each rewrite against the plain form."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from rewrites_data import REFERENCE, ops_of

from utils import backend, layer, ops
from utils.backend import rewrites
from utils.layers import BatchNorm


def both_forms(inputs, outputs, rewrite):
    """Functions with and without a rewrite; the graphs differ."""
    forms = [pytensor.function(inputs, outputs, mode=mode) for mode in (backend.MODE, backend.MODE.excluding(rewrite))]
    nodes = [[str(node) for node in f.maker.fgraph.toposort()] for f in forms]
    assert nodes[0] != nodes[1]
    return forms


@pytest.mark.parametrize(
    'shape',
    [
        pytest.param((300, 300), marks=pytest.mark.cpu_form),
        (40, 8, 9, 32),
        (577, 640),
        pytest.param((67, 1009), marks=pytest.mark.cpu_form),
    ],
)
def test_column_sums(rng, shape):
    xv = rng.normal(size=shape).astype('float32')
    x = pt.tensor(dtype='float32', shape=shape)
    want = xv.astype(float).reshape(-1, shape[-1]).sum(axis=0)
    for f in both_forms([x], x.sum(axis=tuple(range(len(shape) - 1))), 'column_sums'):
        np.testing.assert_allclose(f(xv), want, rtol=0, atol=1e-5 * abs(xv).sum() / shape[-1])
    y = ops.ColumnSum()(x)
    np.testing.assert_allclose(pytensor.function([x], y, mode=REFERENCE)(xv), want, rtol=0, atol=1e-2)


@pytest.mark.parametrize('n_in', [1, 96, 1009])
def test_the_product_of_one_row(rng, n_in):
    x, W = rng.normal(size=(1, n_in)).astype('float32'), rng.normal(size=(n_in, 40)).astype('float32')
    a, b = (pt.tensor(dtype='float32', shape=v.shape) for v in (x, W))
    got = pytensor.function([a, b], pt.dot(a, b), mode=backend.MODE)(x, W)
    np.testing.assert_allclose(got, x.astype(float) @ W, rtol=0, atol=1e-5 * n_in**0.5)


def batch_norm_and_gradients(shape, rng):
    """Inputs, outputs and values of batch norm with its gradients, and the same by NumPy in float64."""
    norm = BatchNorm(shape[-1])
    gamma = rng.uniform(0.5, 2, shape[-1]).astype('float32')
    norm.gamma.set_value(gamma)
    x, g = (pt.tensor(dtype='float32', shape=shape) for _ in range(2))
    y = norm(x, layer.Phase(train=True))
    outputs = [y, *pytensor.grad(None, [x, norm.gamma, norm.beta], known_grads={y: g})]
    xv, gv = (rng.normal(3, 2, size=shape).astype('float32') for _ in range(2))
    # Ioffe and Szegedy 2015, section 3, with the sums over images and pixels.
    a, b = (v.astype(float).reshape(-1, shape[-1]) for v in (xv, gv))
    s = 1 / np.sqrt(a.var(axis=0) + norm.eps)
    hat = (a - a.mean(axis=0)) * s
    dx = gamma * s * (b - b.mean(axis=0) - hat * (b * hat).mean(axis=0))
    return (
        [x, g],
        outputs,
        [xv, gv],
        [(gamma * hat).reshape(shape), dx.reshape(shape), (b * hat).sum(axis=0), b.sum(axis=0)],
    )


@pytest.mark.parametrize('shape', [(20, 12, 12, 32), (512, 256)])
@pytest.mark.parametrize('rewrite', ['centred_sums', 'small_factors', rewrites.TAG])
def test_batch_norm_in_closed_form(rng, shape, rewrite):
    inputs, outputs, values, wanted = batch_norm_and_gradients(shape, rng)
    # XLA's own sums, in the plain form, are less accurate.
    for f, tolerance in zip(both_forms(inputs, outputs, rewrite), (2e-5, 2e-4)):
        for got, want in zip(f(*values), wanted):
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())


def test_batch_norm_takes_four_sums(rng):
    inputs, outputs, _, _ = batch_norm_and_gradients((20, 12, 12, 32), rng)
    assert ops_of(pytensor.function(inputs, outputs, mode=backend.MODE)).count(ops.ColumnSum) == 4


def test_sums_of_what_is_not_centred_stay(rng):
    xv = rng.normal(size=(300, 256)).astype('float32')
    x = pt.tensor(dtype='float32', shape=xv.shape)
    for shift in (0.5 * x.mean(axis=0), x.mean(axis=0)[::-1], x.mean(axis=1, keepdims=True)):
        want = (x - shift).sum(axis=0)
        f, plain = (pytensor.function([x], want, mode=mode) for mode in (backend.MODE, REFERENCE))
        np.testing.assert_allclose(f(xv), plain(xv), rtol=0, atol=1e-3)


@pytest.mark.parametrize('p', [0.1, 0.3, 0.5, 1 / 3, 2**-24, 0.999])
def test_dropout_masks_are_the_same_to_the_bit(p):
    seed, counter = pytensor.shared(np.uint32(7)), pytensor.shared(np.uint32(9))
    mask = ops.uniform((50, 3, 70), seed, counter, stream=2) >= np.float32(p)
    new, plain = both_forms([], mask, 'dropout_masks')
    assert ops.DropoutMask in ops_of(new) and ops.DropoutMask not in ops_of(plain)
    np.testing.assert_array_equal(new(), plain())
    np.testing.assert_array_equal(new(), pytensor.function([], mask, mode=REFERENCE)())
