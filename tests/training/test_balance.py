"""Classes of unequal size: weights in the cost, or balanced drawing; against NumPy, and through an experiment."""

import numpy as np
import pytest
from small import Interrupted, lines_without_times, same_models, small

import launch
import loaders
from mlp.layers import Softmax
from utils.layer import Layer, flatten, parameters
from utils.training.augmentation import Augment
from utils.training.balance import balanced_rows, class_weights
from utils.training.functions import Functions
from utils.training.settings import Settings


def test_weights_are_the_inverse_frequencies_of_mean_one(rng):
    y = np.repeat([0, 1, 3], [60, 30, 10]).astype(np.uint8)
    weights = class_weights(y, 5)
    np.testing.assert_allclose(weights, [100 / 180, 100 / 90, 0, 100 / 30, 0], rtol=1e-6)
    assert weights.dtype == np.float32 and weights[y].mean() == pytest.approx(1)


def test_balanced_rows_have_every_class_and_every_image_as_often(rng):
    y = rng.permutation(np.repeat([0, 2, 5], [9000, 900, 100]))
    rows = balanced_rows(np.random.default_rng(1), y)
    assert len(rows) == len(y)
    counts = np.bincount(y[rows], minlength=6)
    assert counts[[1, 3, 4]].sum() == 0 and abs(counts[[0, 2, 5]] / 10_000 - 1 / 3).max() < 0.02
    often = np.bincount(rows, minlength=len(y))[y == 5]
    assert often.min() > 10 and abs(often.mean() - 100 / 3) < 2  # each of the 100 about 33 times
    np.testing.assert_array_equal(rows, balanced_rows(np.random.default_rng(1), y))


class Linear(Layer):
    def __init__(self, rng):
        self.softmax = Softmax(16, 3, rng=rng)

    def __call__(self, x, phase):
        return self.softmax(flatten(x), phase)


@pytest.mark.parametrize('smoothing', [0.0, 0.2])
def test_a_weighted_step_is_that_of_numpy_in_float64(rng, smoothing):
    net, factors = Linear(rng), np.array([0.5, 2.0, 1.25], np.float32)
    x = rng.integers(0, 256, (6, 4, 4), dtype=np.uint8)
    y, there = np.array([0, 1, 2, 1, 0, 2], np.uint8), np.array([1, 1, 1, 1, 0, 1], np.float32)
    W, b = (p.get_value().astype(float) for p in parameters(net).values())
    settings = Settings(6, learning_rate=0.5, label_smoothing=smoothing)
    f = Functions(net, (4, 4), settings, n_classes=3, class_weights=factors)
    cost, entropy = f.train(x, y, there)
    inputs, w = x.reshape(6, 16) / 255, there / there.sum()
    logits = inputs @ W + b
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (1 - smoothing) * np.eye(3)[y] + smoothing / 3
    each = -(target * np.log(p)).sum(axis=1)
    np.testing.assert_allclose(cost, (w * factors[y] * each).sum(), rtol=1e-5)
    np.testing.assert_allclose(entropy, -(w * np.log(p[np.arange(6), y])).sum(), rtol=1e-5)
    gradient = inputs.T @ ((w * factors[y])[:, None] * (p - target))
    np.testing.assert_allclose(net.softmax.W.get_value(), W - 0.5 * gradient, rtol=1e-4, atol=1e-6)


def test_mixed_images_have_the_weights_of_both_their_labels(rng):
    x = np.repeat(
        rng.integers(0, 256, (1, 4, 4), dtype=np.uint8), 6, axis=0
    )  # equal images: mixing only changes the labels
    y, factors = np.array([0, 1, 2, 0, 1, 2], np.uint8), np.array([1.0, 3.0, 0.5], np.float32)
    net, ones = Linear(rng), np.ones(6, np.float32)
    augment = Augment(mirror=0.0, shift=0.0, rotation=0.0, zoom=0.0, mixup=0.4)
    costs = {}
    for name, weights in (('plain', None), ('weighted', factors), ('same', 2 * np.ones(3, np.float32))):
        for p, value in zip(parameters(net).values(), (np.zeros((16, 3)), np.log([0.2, 0.3, 0.5]))):
            p.set_value(value.astype('float32'))
        f = Functions(net, (4, 4), Settings(6, learning_rate=1e-9, augment=augment), class_weights=weights)
        costs[name] = float(f.train(x, y, ones)[0])
    nll = -np.log([0.2, 0.3, 0.5])
    assert costs['same'] == pytest.approx(2 * costs['plain'], rel=1e-5)
    low, high = min(factors * nll), max(factors * nll)
    assert low < costs['weighted'] < high and costs['weighted'] != pytest.approx(costs['plain'], rel=1e-3)
    assert costs['weighted'] == pytest.approx((factors * nll).mean(), rel=0.3)


@pytest.mark.parametrize('balance', [pytest.param('weights', marks=pytest.mark.slow), 'sampling'])
def test_an_experiment_is_resumed_to_the_last_bit(tiny_set, tmp_path, monkeypatch, balance):
    monkeypatch.chdir(tmp_path)

    def stop(row):
        if (row['stage'], row['epoch']) == ('train', 1):
            raise Interrupted

    whole = small(tiny_set, savename='whole.h5', balance=balance)
    with pytest.raises(Interrupted):
        small(tiny_set, savename='m.h5', on_epoch=stop, balance=balance)
    resumed = launch.test(resume='m.h5', verbose=0, report=False)
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert same_models('m.h5', 'whole.h5')
    streamed = small(tiny_set, savename='s.h5', balance=balance, trainShared=False)
    assert lines_without_times(streamed.history) == lines_without_times(whole.history)


def test_another_way_is_refused(tiny_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='balance must be one of none, weights, sampling'):
        small(tiny_set, balance='both')
    with pytest.raises(ValueError, match='balance must be one of'):
        Settings(balance='both')
    with loaders.load(tiny_set) as data:
        assert class_weights(data.training.y, len(data.classes)).shape == (3,)
