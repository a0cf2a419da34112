"""Smoothed labels, averages and rates over the stages of a run."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import reference

from mlp import MLP
from utils.training import optimisers, schedules
from utils.training.functions import Functions
from utils.training.inference import compute_logits
from utils.training.settings import Settings
from utils.training.trainer import Trainer


def network(rng):
    return MLP((12, 12), 3, n_hidden=[16], batch_norm=True, p_drop=0.3, rng=rng)


def test_smoothed_labels_cost_what_they_should(data):
    net = MLP((12, 12), 3, n_hidden=[], rng=np.random.default_rng(0))
    f = Functions(net, (12, 12), Settings(5, label_smoothing=0.3))
    rows = np.array([5, 9, 2, 30, 77])
    x, y = data.training.images(rows), data.training.y[rows]
    log_p = reference.log_softmax(np.asarray(f.test(x), float))
    cost, entropy = f.train(x, y, np.ones(5, 'float32'))
    target = 0.7 * np.eye(3)[y] + 0.1
    assert float(cost) == pytest.approx(-(target * log_p).sum(axis=1).mean(), rel=1e-5)
    assert float(entropy) == pytest.approx(-log_p[np.arange(5), y].mean(), rel=1e-5)


@pytest.mark.parametrize('optimiser', [optimisers.adam, pytest.param(optimisers.sgd, marks=pytest.mark.slow)])
def test_the_network_is_the_average_of_what_is_trained(data, optimiser):
    plain, averaged = (
        Functions(
            network(np.random.default_rng(0)),
            (12, 12),
            Settings(20, learning_rate=0.05, optimiser=optimiser, ema_decay=decay),
        )
        for decay in (0.0, 0.8)
    )
    names = [name for name in plain.parameters if not name.endswith(('mean', 'var'))]
    total, filled = {name: 0.0 for name in names}, 0.0
    for k in range(6):
        rows = np.arange(20 * k, 20 * k + 20)
        given = data.training.images(rows), data.training.y[rows], np.ones(20, 'float32')
        np.testing.assert_allclose(*(f.train(*given) for f in (plain, averaged)), rtol=2e-4)
        filled = 0.8 * filled + 0.2
        for name in names:
            r = plain.parameters[name].get_value()
            np.testing.assert_allclose(averaged.state[f'trained.{name}'].get_value(), r, rtol=1e-3, atol=2e-5)
            total[name] = 0.8 * total[name] + 0.2 * r
            np.testing.assert_allclose(
                averaged.parameters[name].get_value(), total[name] / filled, rtol=1e-3, atol=2e-5
            )


def trainer(data, **options):
    return Trainer(network, data, Settings(**{'batch_size': 32, 'statistics_images': 100, 'seed': 5, **options}))


EVERYTHING = {
    'optimiser': optimisers.clipped(optimisers.adamw, 1.0),
    'ema_decay': 0.9,
    'label_smoothing': 0.1,
    'learning_rate': 0.01,
    'schedule': functools.partial(schedules.cosine, warmup=1),
}


def test_retraining_has_the_rates_of_training_and_annealing_a_tenth_of_the_best(data):
    t = trainer(data, **EVERYTHING)
    t.train(5), t.retrain(), t.anneal(1)
    rates = {
        stage: [row['rate'] for row in t.history if row['stage'] == stage] for stage in ('train', 'retrain', 'anneal')
    }
    np.testing.assert_allclose(rates['train'], [0.005, *(0.01 * (1 + np.cos(np.pi * k / 4)) / 2 for k in range(4))])
    assert rates['retrain'] == rates['train'][: t.best['epoch']]
    assert rates['anneal'] == [rates['retrain'][-1] * 0.1]


def test_a_plateau_follows_the_figure_by_which_epochs_are_kept(data):
    t = trainer(data, rule='error', schedule=lambda epoch, n_epochs, figures: 1 / (1 + len(figures)))
    t.train(3)
    assert [row['rate'] for row in t.history] == pytest.approx([0.1, 0.05, 0.1 / 3])
    seen = []
    t.settings = replace(t.settings, schedule=lambda epoch, n_epochs, figures: seen.append(figures) or 1.0)
    t._rate(3, 3)
    assert seen == [[row['validation_error'] for row in t.history]]


def test_a_schedule_over_other_epochs_is_refused_when_a_run_goes_on(data):
    t = trainer(data, schedule=schedules.cosine)
    t.train(2)
    t.train(2)
    with pytest.raises(
        ValueError, match='n_epochs=4 the schedule would have had other learning rates .* new experiment'
    ):
        t.train(4)
    t.settings = replace(t.settings, schedule=schedules.constant)
    t.history = [{**row, 'rate': 0.1} for row in t.history]
    t.train(3)
    assert len(t.history) == 3


def test_a_schedule_that_gives_no_rate_is_refused(data):
    t = trainer(data, schedule=lambda *place: float('nan'))
    with pytest.raises(ValueError, match='factors >= 0 on the learning rate, got nan after 0 of 3 epochs'):
        t.train(3)


@pytest.mark.parametrize('stop_after', [2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_resumed_run_ends_as_an_undisturbed_one_to_the_last_bit(data, stop_after):
    class Stop(Exception):
        pass

    def run(t, stop=None):
        def checkpoint(t):
            if len(t.history) == stop:
                raise Stop

        t.checkpoint = checkpoint
        try:
            t.train(4), t.retrain(), t.anneal(2)
        except Stop:
            pass
        return t.last

    whole = run(trainer(data, **EVERYTHING))
    again = trainer(data, **EVERYTHING)
    again.restore(run(trainer(data, **EVERYTHING), stop_after))
    resumed = run(again)
    assert list(whole['arrays']) == list(resumed['arrays'])
    assert all(np.array_equal(whole['arrays'][k], v) for k, v in resumed['arrays'].items())
    assert [row['rate'] for row in resumed['history']] == [row['rate'] for row in whole['history']]


def test_what_is_saved_is_the_average_and_what_was_validated(data):
    t = trainer(data, **EVERYTHING)
    t.train(3)
    t.set_arrays(t.best_arrays)
    outputs = compute_logits(t.functions, data.validation)
    net = network(np.random.default_rng(0))
    f = Functions(net, (12, 12), Settings(32))
    for name, p in f.parameters.items():
        p.set_value(t.best_arrays[f'parameters/{name}'])
        if f'optimiser/trained.{name}' in t.best_arrays:
            assert not np.array_equal(t.best_arrays[f'optimiser/trained.{name}'], p.get_value())
    np.testing.assert_array_equal(compute_logits(f, data.validation), outputs)
