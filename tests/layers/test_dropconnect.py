"""DropConnect: masks of weights in training, mean or moments at inference; against NumPy, and in an experiment."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.stats import norm

from cnn.layers import Conv, MaxPool, Residual
from mlp.layers import Hidden
from utils import backend, rna
from utils.layer import Phase, parameters


def run(layer, x, phase):
    variable = pt.tensor(dtype='float32', shape=x.shape)
    return backend.function([variable], layer(variable, phase), updates=phase.updates)


def test_without_it_nothing_is_drawn_and_nothing_scaled(rng):
    x = rng.normal(size=(4, 6)).astype('float32')
    layer = Hidden(6, 5, activation=rna.tanh(), rng=rng)
    for phase in (Phase(train=True), Phase()):
        f = run(layer, x, phase)
        assert phase.streams == 0
        np.testing.assert_allclose(f(x), np.tanh(x @ layer.W.get_value()), rtol=2e-5)


def test_in_training_weights_are_dropped_by_masks_that_change(rng):
    layer = Hidden(40, 30, activation=rna.leaky_relu(), p_dropConnect=0.3, rng=rng)
    W, x = layer.W.get_value(), np.eye(40, dtype='float32')
    phase = Phase(train=True)
    variable = pt.tensor(dtype='float32', shape=x.shape)
    y = layer(variable, phase)
    dW = pytensor.grad(y.sum(), layer.W)
    f = backend.function([variable], [y, dW], updates=phase.updates)
    seen = []
    for _ in range(20):
        y, dW = (np.asarray(v) for v in f(x))
        kept = y != 0
        np.testing.assert_allclose(y, np.where(kept, np.where(W > 0, W, 0.01 * W), 0), rtol=1e-6)
        np.testing.assert_allclose(dW, np.where(kept, np.where(W > 0, 1, 0.01), 0), rtol=1e-6)
        seen.append(kept)
    assert abs(np.mean(seen) - 0.7) < 0.01 and all((a != b).any() for a, b in zip(seen, seen[1:]))
    assert abs(np.mean(seen, axis=0) - 0.7).max() < 0.6  # no weight is always or never dropped


def test_outside_training_the_mean_is_used(rng):
    x = rng.normal(size=(5, 12)).astype('float32')
    layer = Hidden(12, 4, activation=rna.tanh(), p_dropConnect=0.25, rng=rng)
    layer.norm.b.set_value(rng.normal(size=4).astype('float32'))
    wanted = np.tanh(0.75 * x @ layer.W.get_value() + layer.norm.b.get_value())
    for phase in (Phase(), Phase(weight=pt.as_tensor(np.float32(1)))):
        np.testing.assert_allclose(run(layer, x, phase)(x), wanted, rtol=2e-5)


@pytest.mark.parametrize('batch_norm', [False, True])
def test_the_moments_are_those_of_normal_outputs(rng, batch_norm):
    x = rng.normal(size=(6, 50)).astype('float32')
    options = dict(p_dropConnect=0.4, dropConnect_moments=True, batch_norm=batch_norm, rng=rng)
    layer = Hidden(50, 8, activation=rna.sigmoid(), **options)
    if batch_norm:
        for name, low, high in (('gamma', 0.5, 2), ('beta', -1, 1), ('mean', -1, 1), ('var', 0.5, 2)):
            getattr(layer.norm, name).set_value(rng.uniform(low, high, 8).astype('float32'))
    W = layer.W.get_value().astype(float)
    mean, sd = 0.6 * x @ W, np.sqrt(0.24 * (x.astype(float) ** 2) @ W**2)
    draws = mean + sd * rng.normal(size=(200_000, 1, 1))  # the method of Wan et al., with many draws
    if batch_norm:
        n = {k: getattr(layer.norm, k).get_value() for k in ('gamma', 'beta', 'mean', 'var')}
        draws = (draws - n['mean']) * n['gamma'] / np.sqrt(n['var'] + layer.norm.eps) + n['beta']
    wanted = (1 / (1 + np.exp(-draws))).mean(axis=0)
    np.testing.assert_allclose(run(layer, x, Phase())(x), wanted, atol=0.01)
    plain = Hidden(50, 8, activation=rna.relu(), p_dropConnect=0.4, dropConnect_moments=True, rng=rng)
    plain.W.set_value(layer.W.get_value())
    exact = mean * norm.cdf(mean / sd) + sd * norm.pdf(mean / sd)
    assert abs(run(plain, x, Phase())(x) - exact).max() < 0.02 * sd.max()
    assert abs(np.maximum(mean, 0) - exact).max() > 0.25 * sd.max()  # using only the mean gives something else


def test_convolutions_and_residual_blocks(rng):
    x = rng.normal(size=(2, 8, 8, 3)).astype('float32')
    conv = Conv(3, 4, pool=MaxPool(2), p_dropConnect=0.5, rng=np.random.default_rng(1))
    plain = Conv(3, 4, pool=MaxPool(2), rng=np.random.default_rng(1))
    plain.W.set_value(0.5 * plain.W.get_value())
    np.testing.assert_allclose(run(conv, x, Phase())(x), run(plain, x, Phase())(x), rtol=1e-5, atol=1e-6)
    moments = Conv(3, 4, pool=MaxPool(2), p_dropConnect=0.5, dropConnect_moments=True, rng=np.random.default_rng(1))
    assert (run(moments, x, Phase())(x) >= run(plain, x, Phase())(x) - 1e-5).all()  # the mean of a maximum is larger
    f = run(conv, x, Phase(train=True))
    assert abs(np.asarray(f(x)) - np.asarray(f(x))).max() > 0.01
    block = Residual(3, 3, p_dropConnect=0.5, rng=rng)
    assert block.conv1.connect.p == block.conv2.connect.p == 0.5
    assert not any('connect' in name for name in parameters(block))
