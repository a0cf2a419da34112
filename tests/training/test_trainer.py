"""Functions and methodology on tiny data: updates, minibatches, stages, entropy point, special test, resuming."""

import numpy as np
import pytest
from tiny import equal, run, trainer

from utils.training import engine, functions, optimisers, stages, steps
from utils.training.inference import validate
from utils.training.rules import best_epoch

# ---------------------------------------------------------------------------------- rules, views

HISTORY = [
    {'stage': 'train', 'epoch': k + 1, 'validation_cross_entropy': e, 'validation_error': w}
    for k, (e, w) in enumerate(((1.0, 40.0), (0.8, 35.0), (0.7, 36.0), (0.9, 30.0), (0.7, 30.0)))
]


def test_the_entropy_point_is_the_minimum_of_the_validation_cross_entropy():
    assert best_epoch(HISTORY)['epoch'] == 3
    assert best_epoch(HISTORY, 'error')['epoch'] == 4


def test_best_epoch_refuses_other_rules_and_histories_without_validation():
    with pytest.raises(ValueError, match="'entropy', 'error', got 'luck'"):
        best_epoch(HISTORY, 'luck')
    with pytest.raises(ValueError, match='no epoch was validated'):
        best_epoch([{'stage': 'train', 'validation_cross_entropy': None}])


# ---------------------------------------------------------------------------------------- stages


def test_the_stages_of_the_methodology(data):
    t = trainer(data)
    t.train(6)
    assert t.stage == 'retrain' and t.epoch == 0
    rows = list(t.history)
    assert [row['stage'] for row in rows] == ['train'] * 6
    assert all(row['images'] == 200 for row in rows)  # the 60 held out are not among them
    assert t.best['validation_cross_entropy'] == min(row['validation_cross_entropy'] for row in rows)
    t.retrain()
    again = t.history[6:]
    assert [row['epoch'] for row in again] == list(range(1, t.best['epoch'] + 1))
    assert {(row['stage'], row['images'], row['rate']) for row in again} == {('retrain', 260, 0.1)}
    t.anneal(3)
    last = t.history[6 + len(again) :]
    assert [(row['stage'], row['images']) for row in last] == [('anneal', 260)] * 3
    assert all(row['rate'] == pytest.approx(0.01) for row in last)
    errors = t.test()
    assert errors['plain']['whole']['images'] == 60
    assert errors['special']['whole']['error'] < 40  # chance is 66.7


def test_the_best_parameters_give_the_best_epochs_figures(data):
    t = trainer(data)
    t.train(5)
    t.set_arrays(t.best_arrays)
    assert validate(t.functions, data.validation) == (t.best['validation_error'], t.best['validation_cross_entropy'])


def test_retraining_begins_at_the_same_initialisation(data):
    t = trainer(data)
    first = t.arrays()
    t.train(2)
    starts = []
    t.checkpoint = lambda t: None
    original = t._epoch
    t._epoch = lambda *args: (starts.append(t.arrays()), original(*args))[1]
    t.retrain()
    assert all(np.array_equal(first[k], starts[0][k]) for k in first)


def test_without_retraining_the_best_parameters_are_annealed(data):
    t = trainer(data)
    t.train(4)
    best = t.best_arrays
    t.retrain(False)
    assert all(np.array_equal(best[k], v) for k, v in t.arrays().items())
    t.anneal(2, retrained=False)
    assert [row['images'] for row in t.history[4:]] == [200, 200]


def test_without_validation_it_trains_on_everything(data):
    t = trainer(data, val=False)
    t.train(3)
    t.retrain()
    t.anneal(1)
    assert [(row['stage'], row['images'], row['validation_error']) for row in t.history] == [
        ('train', 260, None)
    ] * 3 + [('anneal', 260, None)]
    assert t.best is None


def test_test_errors_of_every_epoch_change_nothing(data):
    states = []
    for show_test in (False, True):
        t = trainer(data, show_test=show_test)
        t.train(3), t.retrain(), t.anneal(2)
        states.append(t.state())
        assert all((row['test_error'] is not None) == show_test for row in t.history)
        for row in states[-1]['history']:
            row['test_error'] = None
    assert equal(*states)


@pytest.mark.parametrize('optimiser', [optimisers.sgd, optimisers.momentum])
def test_resident_and_streamed_training_are_the_same_to_the_last_bit(data, optimiser):
    states = []
    for resident in (True, False):
        t = trainer(data, trainShared=resident, optimiser=optimiser)
        t.train(2), t.retrain(), t.anneal(1)
        states.append(t.state())
    assert equal(*states)


def test_many_steps_in_one_call_are_the_same_steps(data):
    one, many = (trainer(data, optimiser=optimisers.adamw, learning_rate=0.01, ema_decay=0.9) for _ in range(2))
    many.many_steps = True
    for t in (one, many):
        t.train(2)
    for path, value in one.arrays().items():
        np.testing.assert_allclose(many.arrays()[path], value, rtol=1e-5, atol=1e-6, err_msg=path)
    for a, b in zip(one.history, many.history):
        assert a['images'] == b['images']
        np.testing.assert_allclose(a['train_cross_entropy'], b['train_cross_entropy'], rtol=1e-6)


def test_many_steps_do_not_depend_on_how_they_are_cut_into_calls(data, monkeypatch):
    states = []
    for seconds in (0, 100):
        monkeypatch.setattr(steps, 'CALL_SECONDS', seconds)
        t = trainer(data)
        t.many_steps = True
        t.train(2)
        states.append(t.state())
    assert equal(*states)


def test_more_steps_than_fit_in_one_call_are_refused(data):
    f = trainer(data).functions
    n = functions.MOST_STEPS + 1
    with pytest.raises(ValueError, match=f'1 to 256 runs are possible in one call, got {n}'):
        f.train_many(np.zeros((n, 32), 'int32'), np.ones((n, 32), 'float32'))


def test_a_stage_inserted_later_changes_no_order_of_images(data, monkeypatch):
    warm_up = stages.Stage('warm_up', 9, 'warming up')
    named = {'warm_up': warm_up, **stages.STAGES}
    for module in (stages, engine):
        monkeypatch.setattr(module, 'STAGES', named)
    t, orders = trainer(data), []
    assert t.stage == 'warm_up'
    t._end_stage()

    def keep(subset, order):
        orders.append((t.stage, t.epoch, order))
        return np.ones((1, 2)), [1]

    t._train_each = keep
    run(t, n_epochs=1, anneal_epochs=2)
    assert [place[:2] for place in orders] == [('train', 0), ('retrain', 0), ('anneal', 0), ('anneal', 1)]
    for (_, epoch, order), number in zip(orders, (0, 1, 2, 2)):
        np.testing.assert_array_equal(order, np.random.default_rng([5, number, epoch]).permutation(len(order)))
    assert [one.order_seed for one in stages.STAGES.values()] == [9, 3, 0, 1, 2]


def test_the_seed_decides_everything(data):
    states = {}
    for seed in (1, 1, 2):
        t = trainer(data, seed=seed)
        t.train(1)
        if seed in states:
            assert equal(states[seed], t.state())
        states[seed] = t.state()
    assert not equal(states[1], states[2])


@pytest.mark.parametrize(
    'stop_after', [pytest.param(k, marks=[pytest.mark.slow] * (k not in (1, 4, 5, 8))) for k in range(1, 10)]
)
def test_a_resumed_run_ends_as_an_undisturbed_one_to_the_last_bit(data, stop_after):
    options = {'optimiser': optimisers.momentum, 'learning_rate': 0.05}
    whole = run(trainer(data, **options))
    stopped = run(trainer(data, **options), stop_after=stop_after)
    again = trainer(data, **options)
    again.restore(stopped)
    assert equal(run(again), whole)


def test_a_finished_run_can_be_given_more_epochs(data):
    whole = run(trainer(data), n_epochs=6, anneal_epochs=3)
    short = trainer(data)
    short.restore(run(trainer(data), n_epochs=3, anneal_epochs=3))
    assert equal(run(short, n_epochs=6, anneal_epochs=3), whole)
    annealed = trainer(data)
    annealed.restore(run(trainer(data), n_epochs=6, anneal_epochs=1))
    assert equal(run(annealed, n_epochs=6, anneal_epochs=3), whole)
