"""Functions and methodology on tiny data: updates, minibatches, stages, entropy point, special test, resuming."""
import numpy as np
import pytest
import reference

import loaders
from mlp import MLP
from utils.files import models
from utils.training import engine, functions, inference, optimisers, stages
from utils.training.batches import minibatches, to_device
from utils.training.functions import Functions
from utils.training.inference import linear_outputs, measure_statistics, sum_over_views, test_errors, validate
from utils.training.rules import best_epoch
from utils.training.settings import Settings
from utils.training.trainer import Trainer


@pytest.fixture
def data(tiny_set):
    with loaders.load(tiny_set) as data:
        yield data


def network(rng, **options):
    return MLP((12, 12), 3, n_hidden=[16], **{'batch_norm': True, 'p_drop': .3, **options}, rng=rng)


def trainer(data, make=network, checkpoint=None, **settings):
    return Trainer(make, data, Settings(**{'batch_size': 32, 'statistics_images': 100, 'seed': 5, **settings}),
                   checkpoint=checkpoint)


def equal(a, b):
    """Whether two states are the same to the last bit, times excepted."""
    def without_times(state):
        return [{k: v for k, v in row.items() if k != 'seconds'} for row in state['history']]

    def same(x, y):
        return (x is None and y is None) or (list(x) == list(y) and all(np.array_equal(x[k], y[k]) for k in x))
    return (without_times(a) == without_times(b) and (a['stage'], a['epoch']) == (b['stage'], b['epoch'])
            and all(same(a[k], b[k]) for k in ('arrays', 'kept', 'trained')))


# --------------------------------------------------------------------------- functions, minibatches

class TestTrainFunction:
    """One softmax layer, whose gradient is known: (p - onehot) x / n."""

    @pytest.mark.parametrize('count', [6, 4])
    @pytest.mark.parametrize('resident', [True, False])
    def test_makes_the_step_of_gradient_descent(self, data, count, resident):
        net = MLP((12, 12), 3, n_hidden=[], rng=np.random.default_rng(0))
        f = Functions(net, (12, 12), Settings(6, learning_rate=.2, L1_reg=.01, L2_reg=.02),
                      resident=to_device(data.training) if resident else None)
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
        assert float(cost) == pytest.approx(expected + .01 * abs(W).sum() + .02 * (W ** 2).sum(), rel=1e-5)
        new_W = W - .2 * (flat.T @ slope + .01 * np.sign(W) + .04 * W)
        np.testing.assert_allclose(f.parameters['fc.softmax.W'].get_value(), new_W, atol=2e-6)
        np.testing.assert_allclose(f.parameters['fc.softmax.b'].get_value(), b - .2 * slope.sum(axis=0), atol=2e-6)

    def test_the_rate_changes_without_compiling_again(self, data):
        f = Functions(network(np.random.default_rng(0)), (12, 12), Settings(6))
        x, y, w = data.training.images(np.arange(6)), data.training.y[:6], np.ones(6, 'f')
        f.rate.set_value(np.float32(0))
        before = {n: np.array(p.get_value()) for n, p in f.parameters.items()}
        f.train(x, y, w)
        assert all(np.array_equal(before[n], p.get_value()) for n, p in f.parameters.items())
        f.rate.set_value(np.float32(.1))
        f.train(x, y, w)
        assert not np.array_equal(before['fc.hidden0.W'], f.parameters['fc.hidden0.W'].get_value())

    def test_validating_and_testing_change_nothing(self, data):
        f = Functions(network(np.random.default_rng(0)), (12, 12), Settings(32))
        before = {n: np.array(p.get_value()) for n, p in f.parameters.items()}
        first = validate(f, data.validation)
        assert validate(f, data.validation) == first
        linear_outputs(f, data.test)
        assert all(np.array_equal(before[n], p.get_value()) for n, p in f.parameters.items())
        assert f.counter.get_value() == 0


@pytest.mark.parametrize('nesterov', [True, False])
def test_momentum_follows_its_equations(nesterov):
    import pytensor.tensor as pt

    from utils import backend
    from utils.layer import parameter
    p = parameter(np.array([1., -2.]))
    g = pt.vector(dtype='float32')
    changes, state = optimisers.momentum({'p': g}, {'p': p}, np.float32(.1), mu=.9, nesterov=nesterov)
    step = backend.function([g], [], updates=changes)
    value, v = np.array([1., -2.]), np.zeros(2)
    for gradient in ([1, 2], [-3, .5], [.1, .2]):
        step(np.array(gradient, 'f'))
        v = .9 * v - .1 * np.array(gradient)
        value = value + (.9 * v - .1 * np.array(gradient) if nesterov else v)
        np.testing.assert_allclose(p.get_value(), value, rtol=1e-5)
        np.testing.assert_allclose(state['velocity.p'].get_value(), v, rtol=1e-5)


@pytest.mark.parametrize('resident', [True, False])
@pytest.mark.parametrize('n, size', [(10, 5), (11, 5), (3, 5), (1, 1)])
def test_minibatches_count_every_image_once(data, n, size, resident):
    subset, order = data.validation, np.random.default_rng(0).permutation(60)[:n]
    seen = []
    for inputs, weights, count in minibatches(subset, order, size, resident):
        assert weights.tolist() == [1.] * count + [0.] * (size - count)
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
    logits = linear_outputs(Functions(net, (12, 12), Settings(60)), data.validation).astype(float)
    log_p = reference.log_softmax(logits)
    wrong = 100 * (logits.argmax(axis=1) != data.validation.y).mean()
    for size in (7, 60):
        error, entropy = validate(Functions(net, (12, 12), Settings(size)), data.validation)
        assert error == pytest.approx(wrong)
        assert entropy == pytest.approx(-log_p[np.arange(60), data.validation.y].mean(), rel=1e-5)


def test_population_statistics_are_those_of_the_network_in_use(data):
    f = Functions(network(np.random.default_rng(0), p_drop=0.), (12, 12), Settings(50))
    measure_statistics(f, data.training, n_images=200)
    x = data.training.images().reshape(260, -1) / 255
    linear = x @ f.parameters['fc.hidden0.W'].get_value()
    mean, var = (f.parameters[f'fc.hidden0.norm.{p}'].get_value() for p in ('mean', 'var'))
    # A sample of 200 of the 260 images: close to the whole set's statistics.
    assert abs(mean - linear.mean(axis=0)).max() < .2 * linear.std(axis=0).max()
    assert abs(var / linear.var(axis=0) - 1).max() < .3


# ---------------------------------------------------------------------------------- rules, views

HISTORY = [{'stage': 'train', 'epoch': k + 1, 'validation_cross_entropy': e, 'validation_error': w}
           for k, (e, w) in enumerate(((1., 40.), (.8, 35.), (.7, 36.), (.9, 30.), (.7, 30.)))]


def test_the_entropy_point_is_the_minimum_of_the_validation_cross_entropy():
    assert best_epoch(HISTORY)['epoch'] == 3
    assert best_epoch(HISTORY, 'error')['epoch'] == 4


def test_best_epoch_refuses_other_rules_and_histories_without_validation():
    with pytest.raises(ValueError, match="'entropy', 'error', got 'luck'"):
        best_epoch(HISTORY, 'luck')
    with pytest.raises(ValueError, match='no epoch was validated'):
        best_epoch([{'stage': 'train', 'validation_cross_entropy': None}])


def test_the_special_test_sums_linear_outputs_over_views(rng):
    logits, source = rng.normal(size=(9, 4)), np.array([7, 3, 7, 9, 3, 9, 7, 3, 9])
    sums = sum_over_views(logits, source, np.array([9, 3, 7]))
    for row, image in zip(sums, (9, 3, 7)):
        np.testing.assert_allclose(row, sum(logits[k] for k in range(9) if source[k] == image))
    with pytest.raises(ValueError, match='not in the test set'):
        sum_over_views(logits, source, np.array([9, 3, 8]))


def test_errors_by_half_and_without_twins(data):
    logits = np.eye(3)[data.test.y]                  # all right
    twins = np.flatnonzero(data.test.twin)
    assert len(twins) == 3
    logits[twins[0]] = logits[twins[0]][[1, 2, 0]]   # a public twin wrong
    logits[59] = logits[59][[1, 2, 0]]               # a private image wrong
    errors = test_errors(logits, data.test)
    assert errors['public']['error'] == pytest.approx(100 / 30)
    assert errors['private']['error'] == pytest.approx(100 / 30)
    assert errors['whole']['error'] == pytest.approx(200 / 60)
    assert errors['public']['error_without_twins'] == 0
    assert errors['whole']['images_without_twins'] == 57
    assert errors['whole']['error_without_twins'] == pytest.approx(100 / 57)


# ---------------------------------------------------------------------------------------- stages

def test_the_stages_of_the_methodology(data):
    t = trainer(data)
    t.train(6)
    assert t.stage == 'retrain' and t.epoch == 0
    rows = list(t.history)
    assert [row['stage'] for row in rows] == ['train'] * 6
    assert all(row['images'] == 200 for row in rows)             # the 60 held out are not among them
    assert t.best['validation_cross_entropy'] == min(row['validation_cross_entropy'] for row in rows)
    t.retrain()
    again = t.history[6:]
    assert [row['epoch'] for row in again] == list(range(1, t.best['epoch'] + 1))
    assert {(row['stage'], row['images'], row['rate']) for row in again} == {('retrain', 260, .1)}
    t.anneal(3)
    last = t.history[6 + len(again):]
    assert [(row['stage'], row['images']) for row in last] == [('anneal', 260)] * 3
    assert all(row['rate'] == pytest.approx(.01) for row in last)
    errors = t.test()
    assert errors['plain']['whole']['images'] == 60
    assert errors['special']['whole']['error'] < 40              # chance is 66.7


def test_the_kept_parameters_give_the_kept_epochs_figures(data):
    t = trainer(data)
    t.train(5)
    t.set_arrays(t.kept)
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


def test_without_retraining_the_kept_parameters_are_annealed(data):
    t = trainer(data)
    t.train(4)
    kept = t.kept
    t.retrain(False)
    assert all(np.array_equal(kept[k], v) for k, v in t.arrays().items())
    t.anneal(2, retrained=False)
    assert [row['images'] for row in t.history[4:]] == [200, 200]


def test_without_validation_it_trains_on_everything(data):
    t = trainer(data, val=False)
    t.train(3)
    t.retrain()
    t.anneal(1)
    assert [(row['stage'], row['images'], row['validation_error']) for row in t.history] == [
        ('train', 260, None)] * 3 + [('anneal', 260, None)]
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
    one, many = (trainer(data, optimiser=optimisers.adamw, learning_rate=.01, average=.9) for _ in range(2))
    many.many_steps = True
    for t in (one, many):
        t.train(2)
    for path, value in one.arrays().items():
        np.testing.assert_allclose(many.arrays()[path], value, rtol=1e-6, atol=1e-7, err_msg=path)
    for a, b in zip(one.history, many.history):
        assert a['images'] == b['images']
        np.testing.assert_allclose(a['train_cross_entropy'], b['train_cross_entropy'], rtol=1e-6)


def test_many_steps_do_not_depend_on_how_they_are_cut_into_calls(data, monkeypatch):
    states = []
    for seconds in (0, 100):
        monkeypatch.setattr(engine, 'CALL_SECONDS', seconds)
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
    assert [one.order_seed for one in stages.STAGES.values()] == [9, 0, 1, 2]


def test_the_seed_decides_everything(data):
    states = {}
    for seed in (1, 1, 2):
        t = trainer(data, seed=seed)
        t.train(1)
        if seed in states:
            assert equal(states[seed], t.state())
        states[seed] = t.state()
    assert not equal(states[1], states[2])


class Stop(Exception):
    pass


def run(t, n_epochs=4, anneal_epochs=2, stop_after=None):
    """All stages; an exception after that many epochs in all."""
    def checkpoint(t):
        if len(t.history) == stop_after:
            raise Stop
    t.checkpoint = checkpoint
    try:
        t.train(n_epochs), t.retrain(), t.anneal(anneal_epochs)
    except Stop:
        pass
    return t.last


@pytest.mark.parametrize('stop_after', range(1, 10))
def test_a_resumed_run_ends_as_an_undisturbed_one_to_the_last_bit(data, stop_after):
    options = {'optimiser': optimisers.momentum, 'learning_rate': .05}
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


def with_figures(monkeypatch, *entropies):
    """Have each epoch of stage train get the next of these validation cross-entropies (its error is the negative)."""
    left = iter(entropies)

    def validate(functions, subset):
        entropy = next(left)
        return 50 - entropy, entropy
    monkeypatch.setattr('utils.training.trainer.validate', validate)


FIGURES = 3., 2., 2.5, 2., 1.9, 2.2, 1.9, 2.1, 1.8, 1.7


@pytest.mark.parametrize('rule, patience, kept, ended', [
    ('entropy', 1, 2, 3), ('entropy', 3, 5, 8), ('entropy', 4, 10, 10), ('entropy', 0, 10, 10), ('error', 3, 1, 4)])
def test_patience_ends_stage_train_where_the_rules_figure_has_had_no_new_minimum(
        data, monkeypatch, rule, patience, kept, ended):
    with_figures(monkeypatch, *FIGURES)
    t = trainer(data, rule=rule)
    t.train(10, patience)
    assert len(t.history) == ended and t.best['epoch'] == kept and t.stage == 'retrain'


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


@pytest.mark.parametrize('options, message', [
    ({'batch_size': 201}, 'between 1 and the 200 images of the reduced_training set, got 201'),
    ({'batch_size': 0}, 'batch_size must lie between'),
    ({'rule': 'luck'}, "rule must be one of 'entropy', 'error', got 'luck'")])
def test_wrong_arguments_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        trainer(data, **options)


def test_a_set_without_validation_part_is_refused_with_val(tiny_originals, tmp_path):
    path, = loaders.build(tiny_originals, sets=(1,), out=tmp_path, log=lambda *line: None)
    with loaders.load(path) as data:
        with pytest.raises(ValueError, match='has none: make the set with one .* or pass val=False'):
            trainer(data)
        t = trainer(data, val=False)
        t.train(1)
        assert t.test()['special'] is None


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
        f = Functions(net, (12, 12), Settings(10, learning_rate=.05, seed=3))
        costs = [float(f.train(*batch)[0]) for _ in range(2)]
        return np.array(costs), {name: p.get_value() for name, p in f.parameters.items()}
    costs, parameters = steps()
    monkeypatch.setattr(backend, 'function', lambda inputs, outputs, precision, **kwargs: pytensor.function(
        inputs, outputs, mode=Mode('py', 'fast_compile'), **kwargs))
    other_costs, others = steps()
    np.testing.assert_allclose(costs, other_costs, rtol=1e-5)
    for name, value in others.items():
        np.testing.assert_allclose(parameters[name], value, rtol=0, atol=1e-4 * max(1e-3, np.abs(value).max()), err_msg=name)


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
