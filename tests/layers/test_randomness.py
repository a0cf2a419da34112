"""Dropout, noise, batch norm's statistics and initialisation."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from layers_data import random_values, set_values, symbol

from cnn.layers import Conv
from mlp.layers import Hidden
from utils import backend, rna
from utils.layer import Phase
from utils.layers import BatchNorm, Dropout, GaussianNoise


class TestDropout:
    def test_in_training_drops_with_probability_p_and_keeps_values(self):
        x = symbol(200, 300)
        y = np.asarray(backend.function([x], Dropout(0.3)(x, Phase(train=True)))(np.full((200, 300), 2, 'f')))
        assert set(np.unique(y)) == {0, 2}  # a mask of zeros and ones, no rescaling
        assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / y.size)

    def test_elsewhere_multiplies_by_the_probability_of_keeping(self, rng):
        x, value = symbol(4, 5), rng.normal(size=(4, 5)).astype('f')
        for phase in (Phase(), Phase(weight=pt.as_tensor(np.float32(1)))):
            y = np.asarray(backend.function([x], Dropout(0.3)(x, phase))(value))
            np.testing.assert_allclose(y, value * 0.7, rtol=1e-6)

    def test_draws_a_new_mask_at_each_call_and_the_same_for_the_same_counter(self):
        x, phase = symbol(50, 60), Phase(train=True)
        f = backend.function([x], [Dropout(0.5)(x, phase), Dropout(0.5)(x, phase)], updates=phase.updates)
        ones = np.ones((50, 60), 'f')
        first, second = ([np.asarray(v) for v in f(ones)] for _ in range(2))
        phase.counter.set_value(np.uint32(0))
        again = [np.asarray(v) for v in f(ones)]
        for a, b, c in zip(first, second, again):
            np.testing.assert_array_equal(a, c)
            assert 0.4 < (a != b).mean() < 0.6
        assert 0.4 < (first[0] != first[1]).mean() < 0.6  # two places, two streams

    def test_gradient_passes_where_the_mask_does(self):
        x, phase = symbol(40, 50), Phase(train=True)
        y = Dropout(0.5)(x, phase)
        out, slope = backend.function([x], [y, pytensor.grad(y.sum(), x)])(np.ones((40, 50), 'f'))
        np.testing.assert_array_equal(np.asarray(out), np.asarray(slope))

    def test_of_probability_0_is_not_there(self):
        x = symbol(4, 5)
        assert Dropout(0)(x, Phase(train=True)) is x
        assert Dropout(0)(x, Phase()) is x

    @pytest.mark.parametrize('p', [1, -0.1, 1.5, 'much', None, float('nan')])
    def test_refuses_what_is_no_probability(self, p):
        with pytest.raises(ValueError, match=r'in \[0, 1\)'):
            Dropout(p)


class TestGaussianNoise:
    def test_in_training_adds_noise_of_its_deviation(self):
        x = symbol(300, 400)
        y = np.asarray(backend.function([x], GaussianNoise(0.5)(x, Phase(train=True)))(np.ones((300, 400), 'f')))
        assert abs(y.mean() - 1) < 5 * 0.5 / np.sqrt(y.size)
        assert abs(y.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * y.size)

    def test_is_not_there_elsewhere_or_of_deviation_0(self):
        x = symbol(4, 5)
        assert GaussianNoise(0.5)(x, Phase()) is x
        assert GaussianNoise(0)(x, Phase(train=True)) is x

    def test_sits_between_the_linear_output_and_the_activation(self, rng):
        layer = Hidden(3, 4, rna.relu(), gaussian_std=1.0, rng=rng)
        x = symbol(100, 3)
        y = np.asarray(backend.function([x], layer(x, Phase(train=True)))(np.zeros((100, 3), 'f')))
        assert y.min() == 0 and 0.4 < (y == 0).mean() < 0.6  # the rectifier comes after it

    def test_refuses_a_negative_deviation(self):
        with pytest.raises(ValueError, match='standard deviation >= 0, got -1'):
            GaussianNoise(-1)


class TestBatchNormStatistics:
    def test_the_population_pass_averages_the_minibatches(self, rng):
        layer, weight = BatchNorm(3), pt.scalar(dtype='float32')
        x, phase = symbol(10, 4, 4, 3), Phase(weight=weight)
        f = backend.function([x, weight], layer(x, phase), updates=phase.updates)
        batches = [rng.normal(k, 1 + k, size=(10, 4, 4, 3)).astype('f') for k in range(4)]
        for k, batch in enumerate(batches, start=1):
            f(batch, np.float32(1 / k))
        m = 160  # Ioffe and Szegedy, Alg. 2, step 10: E[mean], m / (m - 1) * E[var]
        np.testing.assert_allclose(
            layer.mean.get_value(), np.mean([b.mean(axis=(0, 1, 2)) for b in batches], axis=0), rtol=1e-5
        )
        np.testing.assert_allclose(
            layer.var.get_value(), m / (m - 1) * np.mean([b.var(axis=(0, 1, 2)) for b in batches], axis=0), rtol=1e-5
        )

    def test_only_these_passes_change_anything(self):
        x = symbol(10, 3)
        phase = Phase()
        BatchNorm(3)(x, phase)
        assert phase.updates == {}
        phase = Phase(train=True)
        BatchNorm(3)(x, phase)
        assert list(phase.updates) == [phase.counter]

    def test_outside_training_an_image_alone_gives_what_it_gives_among_others(self, rng):
        layer = BatchNorm(3)
        set_values(layer, random_values(layer, rng))
        batch = rng.normal(size=(10, 3)).astype('f')
        many, one = symbol(10, 3), symbol(1, 3)
        all_of_them = np.asarray(backend.function([many], layer(many, Phase()))(batch))
        alone = np.asarray(backend.function([one], layer(one, Phase()))(batch[:1]))
        np.testing.assert_allclose(alone, all_of_them[:1], rtol=1e-6)


class TestInitialisation:
    @pytest.mark.parametrize('activation, gain', [(rna.relu(), 1), (rna.tanh(), 1), (rna.sigmoid(), 4)])
    def test_weights_are_uniform_within_the_limits_of_glorot(self, rng, activation, gain):
        for layer, n_in, n_out in (
            (Hidden(300, 200, activation, rng=rng), 300, 200),
            (Conv(30, 40, 3, activation=activation, rng=rng), 270, 360),
        ):
            W, limit = layer.W.get_value(), gain * np.sqrt(6 / (n_in + n_out))
            assert 0.98 * limit < abs(W).max() <= limit
            assert abs(W.std() - limit / np.sqrt(3)) < 0.02 * limit
            assert not layer.norm.b.get_value().any()

    def test_follows_the_generator(self):
        a, b, c = (Hidden(5, 4, rng=np.random.default_rng(s)).W.get_value() for s in (1, 1, 2))
        np.testing.assert_array_equal(a, b)
        assert (a != c).all()
