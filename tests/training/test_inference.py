"""Steps, minibatches, validation, population statistics, sums over views, errors: against NumPy."""

import numpy as np
import pytest
import reference
from tiny import network

from mlp import MLP
from utils.training import optimisers
from utils.training.batches import minibatches, to_device
from utils.training.functions import Functions
from utils.training.inference import compute_logits, measure_statistics, sum_over_views, test_errors, validate
from utils.training.settings import Settings


class TestTrainFunction:
    """One softmax layer, whose gradient is known: (p - onehot) x / n."""

    @pytest.mark.parametrize('count', [6, 4])
    @pytest.mark.parametrize('resident', [True, False])
    def test_makes_the_step_of_gradient_descent(self, data, count, resident):
        net = MLP((12, 12), 3, n_hidden=[], rng=np.random.default_rng(0))
        f = Functions(
            net,
            (12, 12),
            Settings(6, learning_rate=0.2, L1_reg=0.01, L2_reg=0.02),
            resident=to_device(data.training) if resident else None,
        )
        W, b = (np.array(f.parameters[f'fc.softmax.{p}'].get_value(), dtype=float) for p in 'Wb')
        rows = np.array([5, 9, 2, 30, 31, 77], np.int32)
        x, y = data.training.images(rows), data.training.y[rows]
        weights = (np.arange(6) < count).astype('float32')
        cost, entropy = f.train(*([rows] if resident else [x, y]), weights)
        flat = x.reshape(6, -1)[:count] / 255
        log_p = reference.log_softmax(flat @ W + b)
        slope = (np.exp(log_p) - np.eye(3)[y[:count]]) / count
        expected = -log_p[np.arange(count), y[:count]].mean()
        assert float(entropy) == pytest.approx(expected, rel=1e-5)
        assert float(cost) == pytest.approx(expected + 0.01 * abs(W).sum() + 0.02 * (W**2).sum(), rel=1e-5)
        new_W = W - 0.2 * (flat.T @ slope + 0.01 * np.sign(W) + 0.04 * W)
        np.testing.assert_allclose(f.parameters['fc.softmax.W'].get_value(), new_W, atol=2e-6)
        np.testing.assert_allclose(f.parameters['fc.softmax.b'].get_value(), b - 0.2 * slope.sum(axis=0), atol=2e-6)

    def test_the_rate_changes_without_compiling_again(self, data):
        f = Functions(network(np.random.default_rng(0)), (12, 12), Settings(6))
        x, y, w = data.training.images(np.arange(6)), data.training.y[:6], np.ones(6, 'f')
        f.rate.set_value(np.float32(0))
        before = {n: np.array(p.get_value()) for n, p in f.parameters.items()}
        f.train(x, y, w)
        assert all(np.array_equal(before[n], p.get_value()) for n, p in f.parameters.items())
        f.rate.set_value(np.float32(0.1))
        f.train(x, y, w)
        assert not np.array_equal(before['fc.hidden0.W'], f.parameters['fc.hidden0.W'].get_value())

    def test_validating_and_testing_change_nothing(self, data):
        f = Functions(network(np.random.default_rng(0)), (12, 12), Settings(32))
        before = {n: np.array(p.get_value()) for n, p in f.parameters.items()}
        first = validate(f, data.validation)
        assert validate(f, data.validation) == first
        compute_logits(f, data.test)
        assert all(np.array_equal(before[n], p.get_value()) for n, p in f.parameters.items())
        assert f.counter.get_value() == 0


@pytest.mark.parametrize('nesterov', [True, False])
def test_momentum_follows_its_equations(nesterov):
    import pytensor.tensor as pt

    from utils import backend
    from utils.layer import parameter

    p = parameter(np.array([1.0, -2.0]))
    g = pt.vector(dtype='float32')
    changes, state = optimisers.momentum({'p': g}, {'p': p}, np.float32(0.1), mu=0.9, nesterov=nesterov)
    step = backend.function([g], [], updates=changes)
    value, v = np.array([1.0, -2.0]), np.zeros(2)
    for gradient in ([1, 2], [-3, 0.5], [0.1, 0.2]):
        step(np.array(gradient, 'f'))
        v = 0.9 * v - 0.1 * np.array(gradient)
        value = value + (0.9 * v - 0.1 * np.array(gradient) if nesterov else v)
        np.testing.assert_allclose(p.get_value(), value, rtol=1e-5)
        np.testing.assert_allclose(state['velocity.p'].get_value(), v, rtol=1e-5)


@pytest.mark.parametrize('resident', [True, False])
@pytest.mark.parametrize('n, size', [(10, 5), (11, 5), (3, 5), (1, 1)])
def test_minibatches_count_every_image_once(data, n, size, resident):
    subset, order = data.validation, np.random.default_rng(0).permutation(60)[:n]
    seen = []
    for inputs, weights, count in minibatches(subset, order, size, resident):
        assert weights.tolist() == [1.0] * count + [0.0] * (size - count)
        if resident:
            x, y = data.training.images(inputs[0]), data.training.y[inputs[0]]
        else:
            x, y = inputs
        assert x.shape == (size, 12, 12)
        seen += [(image.tobytes(), int(label)) for image, label in zip(x[:count], y[:count])]
    assert seen == [(subset.images(np.array([r]))[0].tobytes(), int(subset.y[r])) for r in order]


def test_a_reader_that_fails_ends_the_minibatches_with_its_error(data):
    class Broken:
        y = data.training.y

        def images(self, rows):
            raise OSError('disk gone')

    with pytest.raises(OSError, match='disk gone'):
        list(minibatches(Broken(), np.arange(20), 5))


def test_validate_agrees_with_numpy_whatever_the_minibatch(data):
    net = network(np.random.default_rng(0))
    logits = compute_logits(Functions(net, (12, 12), Settings(60)), data.validation).astype(float)
    log_p = reference.log_softmax(logits)
    wrong = 100 * (logits.argmax(axis=1) != data.validation.y).mean()
    for size in (7, 60):
        error, entropy = validate(Functions(net, (12, 12), Settings(size)), data.validation)
        assert error == pytest.approx(wrong)
        assert entropy == pytest.approx(-log_p[np.arange(60), data.validation.y].mean(), rel=1e-5)


def test_population_statistics_are_those_of_the_network_in_use(data):
    f = Functions(network(np.random.default_rng(0), p_drop=0.0), (12, 12), Settings(50))
    measure_statistics(f, data.training, n_images=200)
    x = data.training.images().reshape(260, -1) / 255
    linear = x @ f.parameters['fc.hidden0.W'].get_value()
    mean, var = (f.parameters[f'fc.hidden0.norm.{p}'].get_value() for p in ('mean', 'var'))
    # A sample of 200 of the 260 images: close to the whole set's statistics.
    assert abs(mean - linear.mean(axis=0)).max() < 0.2 * linear.std(axis=0).max()
    assert abs(var / linear.var(axis=0) - 1).max() < 0.3


def test_the_special_test_sums_compute_logits_over_views(rng):
    logits, source = rng.normal(size=(9, 4)), np.array([7, 3, 7, 9, 3, 9, 7, 3, 9])
    sums = sum_over_views(logits, source, np.array([9, 3, 7]))
    for row, image in zip(sums, (9, 3, 7)):
        np.testing.assert_allclose(row, sum(logits[k] for k in range(9) if source[k] == image))
    with pytest.raises(ValueError, match='not in the test set'):
        sum_over_views(logits, source, np.array([9, 3, 8]))


def test_errors_by_half_and_without_duplicates(data):
    logits = np.eye(3)[data.test.y]  # all right
    duplicates = np.flatnonzero(data.test.duplicate)
    assert len(duplicates) == 3
    logits[duplicates[0]] = logits[duplicates[0]][[1, 2, 0]]  # a public duplicate wrong
    logits[59] = logits[59][[1, 2, 0]]  # a private image wrong
    errors = test_errors(logits, data.test)
    assert errors['public']['error'] == pytest.approx(100 / 30)
    assert errors['private']['error'] == pytest.approx(100 / 30)
    assert errors['whole']['error'] == pytest.approx(200 / 60)
    assert errors['public']['error_without_duplicates'] == 0
    assert errors['whole']['images_without_duplicates'] == 57
    assert errors['whole']['error_without_duplicates'] == pytest.approx(100 / 57)


@pytest.mark.slow
def test_another_backend_takes_the_same_steps(monkeypatch):
    """PyTensor's own NumPy evaluation against JAX, from the same parameters; docs/trust.md states the tolerance."""
    import pytensor
    from pytensor.compile.mode import Mode

    import cnn
    from utils import backend

    rng = np.random.default_rng(0)
    batch = rng.integers(0, 255, (10, 12, 12), np.uint8), (np.arange(10) % 3).astype(np.uint8), np.ones(10, 'float32')

    def steps():
        net = cnn.A((12, 12), 3, n_hidden=[4], batch_norm=True, width=1 / 32, rng=np.random.default_rng(1))
        f = Functions(net, (12, 12), Settings(10, learning_rate=0.05, seed=3))
        costs = [float(f.train(*batch)[0]) for _ in range(2)]
        return np.array(costs), {name: p.get_value() for name, p in f.parameters.items()}

    costs, parameters = steps()
    monkeypatch.setattr(
        backend,
        'function',
        lambda inputs, outputs, precision, **kwargs: pytensor.function(
            inputs, outputs, mode=Mode('py', 'fast_compile'), **kwargs
        ),
    )
    other_costs, others = steps()
    np.testing.assert_allclose(costs, other_costs, rtol=1e-5)
    for name, value in others.items():
        np.testing.assert_allclose(
            parameters[name], value, rtol=0, atol=1e-4 * max(1e-3, np.abs(value).max()), err_msg=name
        )
