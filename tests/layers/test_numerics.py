"""Layers agree with NumPy in float64, forward and gradient."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference
from layers_data import random_values, set_values
from scipy.stats import norm

from cnn.layers import AvgPool, Conv, GlobalAvgPool, MaxPool, Residual
from mlp.layers import FullyConnected, Hidden, Softmax
from utils import backend, rna
from utils.layer import Phase, parameters
from utils.layers import BatchNorm
from utils.training import losses


def check(layer, x, expected, rng, phase=None, tolerance=1e-5):
    """Compare the output and the gradients of a layer with a float64 function of (values, x) and its differences.

    The gradient is that of sum(output * g); differences of the reference are taken in random directions.
    """
    values = random_values(layer, rng)
    set_values(layer, values)
    values = {name: np.asarray(p.get_value(), float) for name, p in parameters(layer).items()}
    symbol = pt.tensor(dtype='float32', shape=x.shape)
    phase = phase or Phase()
    y = layer(symbol, phase)
    want = expected(values, x.astype(float))
    assert y.type.shape == want.shape
    assert y.dtype == 'float32'
    g = rng.normal(size=want.shape).astype('float32')
    trainable = parameters(layer, trainable=True)
    gradients = pytensor.grad((y * g).sum(), [symbol, *trainable.values()])
    got, *gradients = (np.asarray(v) for v in backend.function([symbol], [y, *gradients])(x))
    assert abs(got - want).max() <= tolerance * abs(want).max()
    for name, gradient in zip((None, *trainable), gradients):
        point = x.astype(float) if name is None else values[name]
        for _ in range(4):
            direction, step = rng.normal(size=point.shape), 1e-6

            def at(t):
                moved = point + t * direction
                out = expected(values, moved) if name is None else expected({**values, name: moved}, x.astype(float))
                return (out * g).sum()

            slope = (at(step) - at(-step)) / (2 * step)
            scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
            assert abs((gradient * direction).sum() - slope) <= tolerance * scale, name


def relu(a):
    return np.maximum(a, 0)


class TestForwardAndGradientAgreeWithNumpyInFloat64:
    """Relative differences are at most 1e-5, with float32 on JAX."""

    @pytest.mark.parametrize(
        'name, function',
        [
            ('relu', relu),
            ('tanh', np.tanh),
            ('sigmoid', lambda a: 1 / (1 + np.exp(-a))),
            ('leaky_relu', lambda a: np.where(a > 0, a, 0.01 * a)),
            ('elu', lambda a: np.where(a > 0, a, np.exp(np.minimum(a, 0)) - 1)),
            ('gelu', lambda a: a * norm.cdf(a)),
            ('swish', lambda a: a / (1 + np.exp(-a))),
            ('maxout2', lambda a: a.reshape(len(a), -1, 2).max(axis=2)),
            ('maxout5', lambda a: a.reshape(len(a), -1, 5).max(axis=2)),
        ],
    )
    def test_hidden(self, rng, name, function):
        layer = Hidden(6, 5, rna.ACTIVATIONS[name](), rng=rng)
        check(layer, rng.normal(size=(8, 6)).astype('f'), lambda v, x: function(x @ v['W'] + v['norm.b']), rng)

    def test_hidden_with_batch_norm_in_training(self, rng):
        layer = Hidden(6, 5, rna.tanh(), batch_norm=True, rng=rng)
        check(
            layer,
            rng.normal(size=(8, 6)).astype('f'),
            lambda v, x: np.tanh(reference.batch_norm(x @ v['W'], v['norm.gamma'], v['norm.beta'])),
            rng,
            Phase(train=True),
            tolerance=2e-5,
        )

    def test_softmax(self, rng):
        check(Softmax(6, 4, rng=rng), rng.normal(size=(8, 6)).astype('f'), lambda v, x: x @ v['W'] + v['b'], rng)

    @pytest.mark.parametrize('train', [True, False])
    @pytest.mark.parametrize('shape', [(9, 5), (3, 4, 5, 6)])
    def test_batch_norm(self, rng, train, shape):
        def expected(v, x):
            return reference.batch_norm(x, v['gamma'], v['beta'], *(() if train else (v['mean'], v['var'])))

        check(
            BatchNorm(shape[-1]),
            rng.normal(2, 3, size=shape).astype('f'),
            expected,
            rng,
            Phase(train=train),
            tolerance=2e-5,
        )

    @pytest.mark.parametrize('border, pad', [('same', (1, 1)), ('valid', (0, 0))])
    @pytest.mark.parametrize('batch_norm', [True, False])
    @pytest.mark.parametrize('pool', [None, 'max', 'avg'])
    def test_conv(self, rng, border, pad, batch_norm, pool):
        layer = Conv(
            2,
            4,
            border=border,
            pool={'max': MaxPool(2), 'avg': AvgPool(2), None: None}[pool],
            activation=rna.tanh(),
            batch_norm=batch_norm,
            rng=rng,
        )

        def expected(v, x):
            y = reference.conv2d(x, v['W'], pad)
            if pool:
                y = reference.pool(y, (2, 2), (2, 2), True, {'max': np.max, 'avg': np.mean}[pool])
            y = reference.batch_norm(y, v['norm.gamma'], v['norm.beta']) if batch_norm else y + v['norm.b']
            return np.tanh(y)

        check(layer, rng.normal(size=(3, 7, 6, 2)).astype('f'), expected, rng, Phase(train=True), tolerance=2e-5)

    def test_global_avg_pool(self, rng):
        x = rng.normal(size=(2, 5, 6, 3)).astype('f')
        check(GlobalAvgPool(), x, lambda v, x: x.mean(axis=(1, 2)), rng)

    @pytest.mark.parametrize(
        'widths, projection, pool',
        [
            ((3, 3), True, None),
            ((3, 3), False, MaxPool(2)),
            ((2, 4), False, None),
            ((2, 4), False, MaxPool(2)),
            ((4, 2), True, MaxPool(2)),
        ],
    )
    def test_residual(self, rng, widths, projection, pool):
        n_in, n_out = widths
        layer = Residual(n_in, n_out, pool=pool, activation=rna.tanh(), projection=projection, rng=rng)
        assert (layer.projection is None) == (n_in == n_out or not projection)

        def expected(v, x):
            def part(y, name, pad=1):
                y = reference.conv2d(y, v[f'{name}.W'], (pad, pad))
                return reference.batch_norm(y, *(v[f'{name}.norm.{p}'] for p in ('gamma', 'beta', 'mean', 'var')))

            y = part(np.tanh(part(x, 'conv1')), 'conv2')
            y = y + (
                part(x, 'projection', pad=0)
                if layer.projection
                else np.concatenate([x, np.zeros((*x.shape[:3], n_out - n_in))], axis=3)
            )
            return np.tanh(reference.pool(y, (2, 2), (2, 2), True, np.max) if pool else y)

        check(layer, rng.normal(size=(2, 5, 6, n_in)).astype('f'), expected, rng, tolerance=2e-5)

    def test_fully_connected(self, rng):
        layer = FullyConnected(12, 3, [5, 4], activation=rna.tanh(), rng=rng)

        def expected(v, x):
            h = x.reshape(len(x), -1)
            for k in range(2):
                h = np.tanh(h @ v[f'hidden{k}.W'] + v[f'hidden{k}.norm.b'])
            return h @ v['softmax.W'] + v['softmax.b']

        check(layer, rng.normal(size=(4, 2, 3, 2)).astype('f'), expected, rng)

    def test_costs(self, rng):
        a, y = rng.normal(size=(6, 4)) * 3, rng.integers(0, 4, 6).astype('uint8')
        weights = np.array([1, 1, 0, 1, 0, 1], 'float32')
        logits, labels = pt.tensor(dtype='float32', shape=(6, 4)), pt.tensor(dtype='uint8', shape=(6,))
        nll = losses.negative_log_likelihood(logits, labels)
        cost = losses.weighted_mean(nll, weights)
        f = backend.function([logits, labels], [nll, cost, pytensor.grad(cost, logits), losses.errors(logits, labels)])
        got = [np.asarray(v) for v in f(a.astype('f'), y)]
        log_p = reference.log_softmax(a)
        np.testing.assert_allclose(got[0], -log_p[np.arange(6), y], rtol=1e-5)
        np.testing.assert_allclose(got[1], (-log_p[np.arange(6), y] * weights).sum() / 4, rtol=1e-5)
        # d cost / d logits = weight * (softmax - one-hot) / sum of weights
        slope = (np.exp(log_p) - np.eye(4)[y]) * weights[:, None] / 4
        np.testing.assert_allclose(got[2], slope, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(got[3], a.argmax(axis=1) != y)

    def test_l1_and_l2_terms_count_weights_only(self, rng):
        layer = FullyConnected(6, 3, [5], batch_norm=True, rng=rng)
        values = random_values(layer, rng)
        set_values(layer, values)
        weights = [values[name] for name in ('hidden0.W', 'softmax.W')]
        l1, l2 = backend.function([], [losses.l1(layer), losses.l2(layer)])()
        assert float(l1) == pytest.approx(sum(abs(w).sum() for w in weights), rel=1e-5)
        assert float(l2) == pytest.approx(sum((w**2).sum() for w in weights), rel=1e-5)
