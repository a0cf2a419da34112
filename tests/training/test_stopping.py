"""When training stops: patience, figures that are not finite, arguments that are refused."""

import numpy as np
import pytest
from tiny import equal, network, trainer

import loaders
from utils.files import models
from utils.training import engine, inference


def with_figures(monkeypatch, *entropies):
    """Give each epoch of stage train the next of these validation cross-entropies, and its negative as the error."""
    left = iter(entropies)

    def validate(functions, subset):
        entropy = next(left)
        return 50 - entropy, entropy

    monkeypatch.setattr('utils.training.trainer.validate', validate)


FIGURES = 3.0, 2.0, 2.5, 2.0, 1.9, 2.2, 1.9, 2.1, 1.8, 1.7


@pytest.mark.parametrize(
    'rule, patience, best, ended',
    [('entropy', 1, 2, 3), ('entropy', 3, 5, 8), ('entropy', 4, 10, 10), ('entropy', 0, 10, 10), ('error', 3, 1, 4)],
)
def test_patience_ends_stage_train_where_the_rules_figure_has_had_no_new_minimum(
    data, monkeypatch, rule, patience, best, ended
):
    with_figures(monkeypatch, *FIGURES)
    t = trainer(data, rule=rule)
    t.train(10, patience)
    assert len(t.history) == ended and t.best['epoch'] == best and t.stage == 'retrain'


@pytest.mark.parametrize('done', [1, 7, 8])
def test_a_run_resumed_with_patience_ends_where_an_undisturbed_one_does(data, monkeypatch, done):
    with_figures(monkeypatch, *FIGURES)
    states = []
    whole = trainer(data, checkpoint=lambda t: states.append(t.last))
    whole.train(10, 3)
    with_figures(monkeypatch, *FIGURES[done:])
    resumed = trainer(data)
    resumed.restore(states[done - 1])
    resumed.train(10, 3)
    assert len(resumed.history) == 8 and equal(resumed.state(), whole.state())


def test_a_finished_stage_is_not_taken_up_again_unless_patience_allows_more(data, monkeypatch):
    with_figures(monkeypatch, *FIGURES)
    t = trainer(data)
    t.train(10, 3)
    t.train(10, 3)
    assert len(t.history) == 8 and t.stage == 'retrain'
    t.train(10, 4)
    assert len(t.history) == 10 and t.best['epoch'] == 10


def test_patience_needs_validation_images(data):
    with pytest.raises(ValueError, match='patience .* val must be True'):
        trainer(data, val=False).train(2, 1)


def test_an_infinite_cost_stops_the_run_with_advice(data):
    t = trainer(data, make=lambda rng: network(rng, batch_norm=False), learning_rate=1e30)
    with pytest.raises(FloatingPointError, match='minibatch .* of epoch 1 of stage train: try a learning_rate below'):
        t.train(3)
    assert t.last['epoch'] == 0 and all(np.isfinite(v).all() for v in t.last['arrays'].values())


@pytest.mark.parametrize(
    'options, message',
    [
        ({'batch_size': 201}, 'between 1 and the 200 images of the reduced_training set, got 201'),
        ({'batch_size': 0}, 'batch_size must lie between'),
        ({'rule': 'luck'}, "rule must be one of 'entropy', 'error', got 'luck'"),
    ],
)
def test_wrong_arguments_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        trainer(data, **options)


def test_a_set_without_validation_part_is_refused_with_val(tiny_originals, tmp_path):
    (path,) = loaders.build(tiny_originals, sets=(1,), out=tmp_path, info=lambda *line: None)
    with loaders.load(path) as data:
        with pytest.raises(ValueError, match='has none: make the set with some .* or pass val=False'):
            trainer(data)
        t = trainer(data, val=False)
        t.train(1)
        assert t.test()['special'] is None


@pytest.mark.parametrize('val', [True, False])
def test_statistics_that_are_not_finite_stop_the_run_and_the_last_good_epoch_is_kept(data, monkeypatch, val):
    measure, calls = inference.measure_statistics, []

    def overflowing(functions, *args):
        measure(functions, *args)
        calls.append(1)
        if len(calls) == (3 if val else 1):
            functions.parameters['fc.hidden0.norm.var'].set_value(np.full(16, np.inf, 'float32'))

    monkeypatch.setattr(engine, 'measure_statistics', overflowing)
    t = trainer(data, val=val)
    with pytest.raises(FloatingPointError, match='fc.hidden0.norm.var is not finite'):
        t.train(3), t.retrain(), t.anneal(1)
    models.check_values('m.h5', t.last)
    assert len(t.last['history']) == (2 if val else 4)


def test_many_steps_in_one_call_stop_at_an_infinite_cost(data):
    diverging = trainer(data, lambda rng: network(rng, batch_norm=False), learning_rate=1e30)
    diverging.many_steps = True
    with pytest.raises(FloatingPointError, match='not finite since minibatch [12345] of epoch 1'):
        diverging.train(1)
