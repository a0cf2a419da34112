"""The L2-SVM instead of the softmax: its loss against NumPy, and its effects on later steps."""

import numpy as np
import pytest
from small import Interrupted, lines_without_times, same_models, small

import launch
import loaders
from mlp.layers import Softmax
from utils.files import models
from utils.layer import Layer, flatten, parameters
from utils.record.reading import read_run
from utils.results.predictions import read_logits
from utils.studies import comparison, ensembles
from utils.training.functions import Functions
from utils.training.settings import Settings


class Linear(Layer):
    def __init__(self, rng):
        self.softmax = Softmax(16, 3, rng=rng)

    def __call__(self, x, phase):
        return self.softmax(flatten(x), phase)


def loss_and_gradient(inputs, y, w, W, b):
    scores, target = inputs @ W + b, 2 * np.eye(3)[y] - 1
    slack = np.maximum(0, 1 - target * scores)
    return (w * (slack**2).sum(axis=1)).sum(), inputs.T @ (w[:, None] * -2 * target * slack)


def test_a_step_and_the_validation_figure_are_those_of_numpy_in_float64(rng):
    net = Linear(rng)
    x = rng.integers(0, 256, (6, 4, 4), dtype=np.uint8)
    y, there = np.array([0, 1, 2, 1, 0, 2], np.uint8), np.array([1, 1, 1, 1, 0, 1], np.float32)
    W, b = (p.get_value().astype(float) for p in parameters(net).values())
    f = Functions(net, (4, 4), Settings(6, learning_rate=0.5, loss='l2svm'), n_classes=3)
    inputs, w = x.reshape(6, 16) / 255, there / there.sum()
    wanted, gradient = loss_and_gradient(inputs, y, w, W, b)
    total, errors = f.validate(x, y, there)
    np.testing.assert_allclose(total / there.sum(), wanted, rtol=1e-5)
    assert errors == ((inputs @ W + b).argmax(axis=1) != y)[there > 0].sum()
    cost, reported = f.train(x, y, there)
    np.testing.assert_allclose([cost, reported], [wanted, wanted], rtol=1e-5)
    np.testing.assert_allclose(net.softmax.W.get_value(), W - 0.5 * gradient, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope='module')
def runs(tiny_set, tmp_path_factory):
    """Model files with both losses."""
    folder = tmp_path_factory.mktemp('l2svm')
    for loss in ('nll', 'l2svm'):
        small(tiny_set, savename=folder / f'{loss}.h5', loss=loss, learning_rate=0.02, n_epochs=4, report=True)
    return folder


def test_the_entropy_point_is_the_minimum_of_its_own_validation_figure_and_lines_say_so(tiny_set, runs, capsys):
    run = read_run(runs / 'l2svm')
    rows = [row for row in run['history'] if row['stage'] == 'train']
    best = min(rows, key=lambda row: float(row['validation_cross_entropy']))
    assert run['result']['epoch'] == int(best['epoch'])
    log = (run['folder'] / 'log.txt').read_text()
    assert 'squared hinge loss: train' in log and 'validation squared hinge loss' in log
    assert 'cross-entropy: train' not in log
    report = (run['folder'] / 'report.html').read_text()
    assert 'Squared hinge loss by epoch' in report


def test_probabilities_come_from_the_temperature(tiny_set, runs):
    with loaders.load(tiny_set) as data:
        images = data.test.images()
    temperature = models.load(runs / 'l2svm.h5')[1]['temperature']
    assert temperature < 0.9  # scores of 1 and -1 are small for a softmax
    p, raw = (launch.predict(runs / 'l2svm.h5', images, raw=raw) for raw in (False, True))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(p.argmax(axis=1), raw.argmax(axis=1))
    assert p.max(axis=1).mean() > raw.max(axis=1).mean()
    scores = read_run(runs / 'l2svm')['result']['evaluation']['plain']['whole']
    assert scores['scaled']['cross_entropy'] < scores['cross_entropy']


def test_ensembles_and_comparisons_with_runs_of_the_other_loss(runs, tmp_path, capsys):
    paths = [runs / 'nll', runs / 'l2svm']
    ensembles.ensemble(paths, chosen=False, folder=tmp_path / 'e')
    nll, svm = (read_logits(read_run(path)['folder']) for path in paths)
    temperature = read_run(runs / 'l2svm')['result']['evaluation']['temperature']
    scaled = [nll['special'].astype(float), svm['special'] / temperature]
    p = np.mean([np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in scaled], axis=0)
    got = read_logits(tmp_path / 'e')['special']
    np.testing.assert_allclose(np.exp(got) / np.exp(got).sum(axis=1, keepdims=True), p, atol=1e-5)
    groups, rule = comparison.by_mean(comparison.compare(paths))
    assert rule.name == 'error' and {group.name.rpartition('loss=')[2] for group in groups} == {'nll', 'l2svm'}


def test_a_resumed_run_ends_as_an_undisturbed_one(tiny_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def stop(row):
        if (row['stage'], row['epoch']) == ('train', 1):
            raise Interrupted

    whole = small(tiny_set, savename='whole.h5', loss='l2svm', L2_reg=0.001)
    with pytest.raises(Interrupted):
        small(tiny_set, savename='m.h5', on_epoch=stop, loss='l2svm', L2_reg=0.001)
    resumed = launch.test(resume='m.h5', verbose=0, report=False)
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert same_models('m.h5', 'whole.h5')
    with pytest.raises(ValueError, match="trained with loss='l2svm', not 'nll'"):
        launch.test(resume='m.h5', loss='nll', n_epochs=9)


def test_what_does_not_go_together_is_refused(tiny_set):
    with pytest.raises(ValueError, match="label_smoothing needs loss 'nll'"):
        small(tiny_set, loss='l2svm', label_smoothing=0.1)
    with pytest.raises(ValueError, match='loss must be one of nll, l2svm'):
        small(tiny_set, loss='hinge')
    for settings in ({'loss': 'hinge'}, {'loss': 'l2svm', 'label_smoothing': 0.1}):
        with pytest.raises(ValueError, match='loss'):
            Settings(**settings)
