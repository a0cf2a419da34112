"""Costs from votes and from a teacher's outputs: against NumPy, on the device and streamed."""

import numpy as np
import pytest
from tiny import equal, run, trainer
from voted import voted_set

import loaders
from mlp.layers import Softmax
from utils.layer import Layer, flatten, parameters
from utils.training.augmentation import Augment
from utils.training.functions import Functions
from utils.training.settings import Settings
from utils.training.targets import Distillation, Onlooker, distributions


class Linear(Layer):
    def __init__(self, rng):
        self.softmax = Softmax(16, 3, rng=rng)

    def __call__(self, x, phase):
        return self.softmax(flatten(x), phase)


def softmax(z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


X = np.random.default_rng(1).integers(0, 256, (6, 4, 4), dtype=np.uint8)
Y, THERE = np.array([0, 1, 2, 1, 0, 2], np.uint8), np.array([1, 1, 1, 1, 0, 1], np.float32)
VOTES = np.array([[1, 0, 0], [0.2, 0.7, 0.1], [0, 0.5, 0.5], [0.6, 0.4, 0], [1, 0, 0], [0, 0, 1]], np.float32)
TAUGHT = np.random.default_rng(2).normal(0, 5, (6, 3))


def step(rng, settings, soft, weights=None):
    """Cost, cross-entropy and change of W in one step with rate 1; logits and W before it."""
    net = Linear(rng)
    W, b = (p.get_value().astype(float) for p in parameters(net).values())
    f = Functions(net, (4, 4), Settings(6, learning_rate=1.0, **settings), n_classes=3, class_weights=weights)
    cost, entropy = f.train(X, Y, *soft, THERE)
    return float(cost), float(entropy), W - net.softmax.W.get_value(), X.reshape(6, 16) / 255 @ W + b


@pytest.mark.parametrize('smoothing', [0.0, 0.2])
@pytest.mark.parametrize('factors', [None, np.array([0.5, 2.0, 1.25], np.float32)])
def test_a_step_on_votes_is_that_of_numpy_in_float64(rng, smoothing, factors):
    cost, entropy, change, logits = step(rng, dict(soft_labels=True, label_smoothing=smoothing), [VOTES], factors)
    p, target = softmax(logits), (1 - smoothing) * VOTES + smoothing / 3
    w = THERE / THERE.sum() * (1 if factors is None else factors[Y])
    np.testing.assert_allclose(cost, -(w * (target * np.log(p)).sum(axis=1)).sum(), rtol=1e-5)
    np.testing.assert_allclose(entropy, -(THERE * np.log(p[np.arange(6), Y])).sum() / 5, rtol=1e-5)  # of the labels
    np.testing.assert_allclose(change, X.reshape(6, 16).T / 255 @ (w[:, None] * (p - target)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize('settings', [dict(), dict(label_smoothing=0.3), dict(soft_labels=True)])
@pytest.mark.parametrize('weight, temperature', [(0.9, 4.0), (0.25, 1.5), (1.0, 10.0)])
def test_a_distilled_step_is_that_of_numpy_in_float64(rng, settings, weight, temperature):
    q = softmax(TAUGHT / temperature).astype(np.float32)
    soft = [VOTES, q] if 'soft_labels' in settings else [q]
    cost, entropy, change, logits = step(rng, dict(distillation=Distillation(weight, temperature), **settings), soft)
    smoothing = settings.get('label_smoothing', 0)
    hard = (1 - smoothing) * (VOTES if 'soft_labels' in settings else np.eye(3)[Y]) + smoothing / 3
    p, cool = softmax(logits), softmax(logits / temperature)
    each = -(1 - weight) * (hard * np.log(p)).sum(axis=1)
    each -= weight * temperature**2 * (q * np.log(cool)).sum(axis=1)
    w = THERE / THERE.sum()
    np.testing.assert_allclose(cost, (w * each).sum(), rtol=1e-5)
    np.testing.assert_allclose(entropy, -(w * np.log(p[np.arange(6), Y])).sum(), rtol=1e-5)
    # The gradient with respect to a logit: T ** 2 of the cost times 1 / T of the softmax leaves T.
    gradient = (1 - weight) * (p - hard) + weight * temperature * (cool - q)
    np.testing.assert_allclose(change, X.reshape(6, 16).T / 255 @ (w[:, None] * gradient), rtol=1e-3, atol=1e-5)


def test_at_a_high_temperature_linear_outputs_of_mean_zero_are_matched(rng):
    """Hinton et al., eq. 4: the gradient is (z - v) / (N T ** 2) before the factor T ** 2."""
    net, temperature = Linear(rng), 500.0
    parameters(net)['softmax.W'].set_value(rng.normal(0, 1, (16, 3)).astype('float32'))
    W, b = (p.get_value().astype(float) for p in parameters(net).values())
    settings = Settings(6, learning_rate=1.0, distillation=Distillation(1.0, temperature))
    f = Functions(net, (4, 4), settings, n_classes=3)
    f.train(X, Y, softmax(TAUGHT / temperature).astype(np.float32), THERE)
    z, v = (values - values.mean(axis=1, keepdims=True) for values in (X.reshape(6, 16) / 255 @ W + b, TAUGHT))
    expected = X.reshape(6, 16).T / 255 @ ((THERE / THERE.sum())[:, None] * (z - v) / 3)
    np.testing.assert_allclose(W - net.softmax.W.get_value(), expected, rtol=0.05, atol=0.02)


def test_distributions_that_are_the_labels_make_the_step_of_the_labels(rng):
    plain = step(np.random.default_rng(5), {}, [])
    soft = step(np.random.default_rng(5), dict(soft_labels=True), [np.eye(3, dtype=np.float32)[Y]])
    np.testing.assert_allclose(soft[0], plain[0], rtol=1e-6)
    np.testing.assert_allclose(soft[2], plain[2], atol=1e-7)


@pytest.mark.parametrize(
    'mixing, weights', [('mixup', np.ones(3, np.float32)), ('cutmix', None)], ids=['mixup', 'cutmix']
)
def test_mixed_images_have_mixed_targets(rng, mixing, weights):
    """Mixing equal images only changes the targets; labels given as distributions are mixed like labels."""
    augment = Augment(mirror=0.0, shift=0.0, rotation=0.0, zoom=0.0, **{mixing: 0.7})
    x, eye = np.repeat(X[:1], 6, axis=0), np.eye(3, dtype=np.float32)[Y]
    costs = {}
    for name, settings, soft in (
        ('labels', {}, []),
        ('votes', dict(soft_labels=True), [eye]),
        ('teacher', dict(distillation=Distillation(1.0, 1.0)), [eye]),
        ('others', dict(soft_labels=True), [VOTES]),
    ):
        f = Functions(
            Linear(np.random.default_rng(5)),
            (4, 4),
            Settings(6, learning_rate=0.1, augment=augment, **settings),
            n_classes=3,
            class_weights=weights,
        )
        costs[name] = [float(f.train(x, Y, *soft, THERE)[0]) for _ in range(3)]
    np.testing.assert_allclose(costs['votes'], costs['labels'], rtol=1e-5)
    np.testing.assert_allclose(costs['teacher'], costs['labels'], rtol=1e-5)
    assert abs(np.subtract(costs['others'], costs['labels'])).max() > 0.01


@pytest.mark.parametrize('best', [False, True])
def test_a_teacher_in_the_graph_sees_what_augmentation_made_of_the_images(rng, best):
    net, taught = Linear(rng), [Linear(rng) for _ in range(2)]
    shapes = {name: p.get_value().shape for name, p in parameters(net).items()}
    draws = [[{k: rng.normal(0, 3, v).astype('float32') for k, v in shapes.items()} for _ in range(2)] for _ in taught]
    onlooker = Onlooker([(one, last, at_best, 2.0) for one, (last, at_best) in zip(taught, draws)])
    augment = Augment(mirror=1.0, shift=0.0, rotation=0.0, zoom=0.0)
    settings = Settings(6, learning_rate=1.0, augment=augment, distillation=Distillation(0.7, 3.0, augmented=True))
    f = Functions(net, (4, 4), settings, n_classes=3, onlooker=onlooker)
    onlooker.put(best)
    W, b = (p.get_value().astype(float) for p in parameters(net).values())
    cost = float(f.train(X, Y, THERE)[0])
    seen, w = X[:, :, ::-1].reshape(6, 16) / 255, THERE / THERE.sum()
    teacher = sum(seen @ one[best]['softmax.W'] + one[best]['softmax.b'] for one in draws) / 2 / 2.0
    q, p, cool = softmax(teacher / 3), softmax(seen @ W + b), softmax((seen @ W + b) / 3)
    each = -0.3 * np.log(p[np.arange(6), Y]) - 0.7 * 9 * (q * np.log(cool)).sum(axis=1)
    np.testing.assert_allclose(cost, (w * each).sum(), rtol=1e-5)
    gradient = 0.3 * (p - np.eye(3)[Y]) + 0.7 * 3 * (cool - q)
    np.testing.assert_allclose(W - net.softmax.W.get_value(), seen.T @ (w[:, None] * gradient), rtol=1e-3, atol=1e-5)
    for one, values in zip(taught, draws):  # these are not trained
        np.testing.assert_array_equal(one.softmax.W.get_value(), values[best]['softmax.W'])


def test_a_teacher_in_the_graph_is_shown_mixed_images_whose_targets_are_not_mixed_again(rng):
    x, taught, costs = np.repeat(X[:1], 6, axis=0), Linear(rng), []
    values = {name: p.get_value() for name, p in parameters(taught).items()}
    for mixup in (0.0, 0.5):
        augment = Augment(mirror=0.0, shift=0.0, rotation=0.0, zoom=0.0, mixup=mixup)
        settings = Settings(6, augment=augment, distillation=Distillation(1.0, 2.0, augmented=True))
        onlooker = Onlooker([(taught, values, values, 1.0)])
        f = Functions(Linear(np.random.default_rng(5)), (4, 4), settings, n_classes=3, onlooker=onlooker)
        costs.append(float(f.train(x, Y, THERE)[0]))
    np.testing.assert_allclose(costs[1], costs[0], rtol=1e-5)


@pytest.fixture(scope='module')
def voted(tiny_originals, tmp_path_factory):
    return voted_set(tiny_originals, tmp_path_factory.mktemp('voted'))


def teach(subset, best):
    """Logits that depend on the images, and differ for the best epoch."""
    means = subset.images().reshape(len(subset), 3, -1).mean(axis=2)
    return (means - means.mean(axis=1, keepdims=True)) / (5 if best else 10)


SOFT = dict(soft_labels=True, distillation=Distillation(0.6, 3.0), augment=Augment(mixup=0.3))


@pytest.mark.slow
def test_it_is_the_same_on_the_device_and_streamed_and_resumed(voted):
    with loaders.load(voted) as data:
        whole = run(trainer(data, teacher=teach, **SOFT))
        streamed = run(trainer(data, teacher=teach, **SOFT, trainShared=False))
        assert equal(whole, streamed)
        many = trainer(data, teacher=teach, **SOFT)
        many.many_steps = True
        ends = [row['train_cost'] for row in run(many)['history']]
        np.testing.assert_allclose(ends, [row['train_cost'] for row in whole['history']], rtol=1e-4)
        for stop_after in (2, 5, 8):
            cut = run(trainer(data, teacher=teach, **SOFT), stop_after=stop_after)
            again = trainer(data, teacher=teach, **SOFT)
            again.restore(cut)
            assert equal(run(again), whole)
        labels = run(trainer(data, augment=SOFT['augment']))
        assert not equal(labels, whole)


def test_the_teacher_is_shown_training_images_alone_and_its_best_epoch_while_some_are_held_out(voted):
    asked = []

    def watched(subset, best):
        asked.append((subset.name, best, len(subset)))
        return teach(subset, best)

    with loaders.load(voted) as data:
        run(trainer(data, teacher=watched, distillation=Distillation()))
        assert asked == [('reduced_training', True, 200), ('training', False, 260)]
        asked.clear()
        run(trainer(data, teacher=watched, distillation=Distillation(), val=False))
        assert asked == [('training', False, 260)]
        asked.clear()
        t = trainer(data, teacher=watched, distillation=Distillation())
        t.train(2), t.retrain(False), t.anneal(1, retrained=False)
        assert asked == [('reduced_training', True, 200)]


def test_images_that_are_held_out_have_no_distribution(voted):
    with loaders.load(voted) as data:
        reduced = data.reduced_training
        found = distributions(reduced, ('votes', 'teacher'), lambda subset: teach(subset, True), 2.0)
        for values in found.values():
            assert values.shape == (260, 3) and values.dtype == np.float32
            assert np.isnan(values[data.validation.rows]).all()
            np.testing.assert_allclose(values[reduced.rows].sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(found['votes'][reduced.rows], data.training.soft_labels[reduced.rows])
        np.testing.assert_allclose(found['teacher'][reduced.rows], softmax(teach(reduced, True) / 2), rtol=1e-6)


def test_a_distribution_that_is_not_there_ends_the_run(voted):
    with loaders.load(voted) as data:
        t = trainer(data, soft_labels=True)
        t.targets.put(t.functions, data.reduced_training)
        t.targets.subset = data.training  # pretend that it has these targets
        t.stage = 'retrain'
        with pytest.raises(FloatingPointError, match='not finite'):
            t._epoch(data.training, 0.1, 1)


def test_what_is_no_training_by_soft_targets_is_refused(data):
    with pytest.raises(ValueError, match='soft_labels=True needs the votes of annotators, but .* has none'):
        trainer(data, soft_labels=True)
    with pytest.raises(ValueError, match='distillation needs a teacher'):
        trainer(data, distillation=Distillation())
    for settings in (dict(soft_labels=True), dict(distillation=Distillation())):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} needs loss 'nll', got 'l2svm'"):
            Settings(loss='l2svm', **settings)
    for wrong in (dict(weight=1.5), dict(weight=-0.1), dict(temperature=0.0), dict(temperature=np.nan)):
        with pytest.raises(ValueError, match=f'teacher_args: {next(iter(wrong))} must be a number'):
            Distillation(**wrong)
    with pytest.raises(ValueError, match="teacher_args: weight must be a number from 0 to 1, got '1'"):
        Distillation(weight='1')
    with pytest.raises(ValueError, match='teacher_args: augmented must be True or False, got 1'):
        Distillation(augmented=1)
