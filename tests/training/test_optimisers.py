"""Optimisers and schedules, step by step: against NumPy and, where it is installed, PyTorch."""

import functools
from dataclasses import replace

import numpy as np
import pytensor.tensor as pt
import pytest
import reference

from mlp import MLP
from utils import backend
from utils.layer import parameter
from utils.training import optimisers, schedules
from utils.training.functions import Functions
from utils.training.inference import linear_outputs
from utils.training.settings import Settings
from utils.training.trainer import Trainer

N = 12
RATES = [0.05 * (1 + k % 3) for k in range(N)]
RULES = {
    'sgd': optimisers.sgd,
    'momentum': optimisers.momentum,
    'nesterov': functools.partial(optimisers.momentum, nesterov=True),
    'rmsprop': optimisers.rmsprop,
    'adam': optimisers.adam,
    'adamw': optimisers.adamw,
}


def problem():
    rng = np.random.default_rng(3)
    start = [rng.normal(size=(3, 2)), rng.normal(size=2)]
    return start, [[rng.normal(size=v.shape) * 10 ** rng.uniform(-3, 1) for v in start] for _ in range(N)]


def run(optimiser, start, gradients, rates=RATES):
    """Parameters after each step; W decays, b does not."""
    names = ['W', 'b'][: len(start)]
    variables = {name: parameter(v, regularizable=v.ndim == 2) for name, v in zip(names, start)}
    inputs = {name: pt.tensor(dtype='float32', shape=v.shape) for name, v in zip(names, start)}
    rate = pt.scalar(dtype='float32')
    changes, state = optimiser(inputs, variables, rate)
    assert all(new.dtype == variable.dtype for variable, new in changes.items())
    assert set(changes) == {*variables.values(), *state.values()}
    step = backend.function([*inputs.values(), rate], [], updates=changes)
    out = []
    for given, value in zip(gradients, rates):
        step(*(g.astype('float32') for g in given), np.float32(value))
        out.append([np.array(v.get_value()) for v in variables.values()])
    return out


def same(got, expected):
    for step, (a, b) in enumerate(zip(got, expected)):
        for x, y in zip(a, b):
            np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-6, err_msg=f'step {step}')


def built(rule, decay=0.0, clip=0.0):
    optimiser = RULES[rule]
    if rule == 'adamw':
        optimiser = functools.partial(optimiser, decay=decay)
    elif decay:
        optimiser = optimisers.decayed(optimiser, decay)
    return optimisers.clipped(optimiser, clip) if clip else optimiser


@pytest.mark.parametrize('decay, clip', [(0.0, 0.0), (0.1, 1.5)])
@pytest.mark.parametrize('rule', RULES)
def test_optimisers_agree_with_numpy_step_by_step(rule, decay, clip):
    start, gradients = problem()
    same(
        run(built(rule, decay, clip), start, gradients), reference.optimise(rule, start, gradients, RATES, decay, clip)
    )


@pytest.mark.parametrize('decay, clip', [(0.0, 0.0), (0.1, 1.5)])
@pytest.mark.parametrize('rule', RULES)
def test_optimisers_agree_with_pytorch_step_by_step(rule, decay, clip):
    torch = pytest.importorskip('torch')
    start, gradients = problem()
    own = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in start]
    groups = [{'params': [own[0]], 'weight_decay': decay}, {'params': [own[1]], 'weight_decay': 0.0}]
    kind, options = {
        'sgd': (torch.optim.SGD, {}),
        'momentum': (torch.optim.SGD, {'momentum': 0.9}),
        'nesterov': (torch.optim.SGD, {'momentum': 0.9, 'nesterov': True}),
        'rmsprop': (torch.optim.RMSprop, {}),
        'adam': (torch.optim.Adam, {}),
        'adamw': (torch.optim.AdamW, {}),
    }[rule]
    rates = [0.05] * N if rule in ('momentum', 'nesterov') else RATES  # PyTorch's velocity has no rate in it
    optimiser, expected = kind(groups, lr=1.0, **options), []
    for given, rate in zip(gradients, rates):
        for group in optimiser.param_groups:
            group['lr'] = rate
        for p, g in zip(own, given):
            p.grad = torch.tensor(g)
        if clip:
            torch.nn.utils.clip_grad_norm_(own, clip)
        optimiser.step()
        expected.append([p.detach().numpy().copy() for p in own])
    same(run(built(rule, decay, clip), start, gradients, rates), expected)


def test_the_options_of_optimisers_reach_their_equations():
    start, gradients = problem()
    for rule, options in (
        ('adam', {'beta1': 0.0, 'beta2': 0.5, 'epsilon': 0.1}),
        ('rmsprop', {'rho': 0.3}),
        ('momentum', {'mu': 0.2}),
    ):
        same(
            run(functools.partial(RULES[rule], **options), start, gradients),
            reference.optimise(rule, start, gradients, RATES, **options),
        )


@pytest.mark.parametrize(
    'optimiser, message',
    [
        (functools.partial(optimisers.adam, beta2=1.0), r'beta2 of an optimiser must be a number in \[0, 1\), got 1.0'),
        (functools.partial(optimisers.rmsprop, epsilon=0.0), 'epsilon of an optimiser must be a number > 0, got 0.0'),
    ],
)
def test_options_out_of_range_are_refused(optimiser, message):
    with pytest.raises(ValueError, match=message):
        run(optimiser, *problem())


# ------------------------------------------------------------------------------------ schedules

EPOCHS = 40
FIGURES = [2 - 0.1 * min(k, 9) + 0.01 * (k % 4) for k in range(EPOCHS)]


def factors(schedule, figures=(), n_epochs=EPOCHS, **options):
    return [schedule(k, n_epochs, list(figures[:k]), **options) for k in range(n_epochs)]


def test_schedules_by_hand():
    assert set(factors(schedules.constant)) == {1.0}
    np.testing.assert_allclose(
        factors(schedules.step, every=10, factor=0.5, after=5), [1.0] * 15 + [0.5] * 10 + [0.25] * 10 + [0.125] * 5
    )
    np.testing.assert_allclose(
        factors(schedules.cosine, n_epochs=6, warmup=2),
        [1 / 3, 2 / 3, 1.0, *((1 + np.cos(np.pi * k / 4)) / 2 for k in (1, 2, 3))],
    )
    assert factors(schedules.plateau, [3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1], 11, factor=0.5, patience=2) == [
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
    ]
    assert factors(schedules.plateau, [1] * 9, 9, factor=0.1, patience=0, least=0.05)[-1] == 0.05
    cycle = factors(schedules.one_cycle)
    assert cycle[0] == pytest.approx(0.04) and max(cycle) == cycle[11] == 1 and cycle[-1] == pytest.approx(4e-6)
    for schedule in schedules.SCHEDULES.values():
        assert factors(schedule, [1.0], 1) == [pytest.approx(factors(schedule, [1.0], 1)[0])]


@pytest.mark.parametrize(
    'schedule, options',
    [
        ('step', {'every': 7, 'factor': 0.3}),
        ('cosine', {'least': 0.01}),
        ('cosine', {'warmup': 5}),
        ('one_cycle', {}),
        ('plateau', {'factor': 0.75, 'patience': 2}),
        ('plateau', {'factor': 0.1, 'patience': 0, 'least': 1e-3}),
    ],
)
def test_schedules_agree_with_pytorch(schedule, options):
    torch = pytest.importorskip('torch')
    from torch.optim import lr_scheduler as of

    p = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([p], lr=1.0)
    if schedule == 'step':
        other = of.StepLR(optimiser, options['every'], options['factor'])
    elif schedule == 'one_cycle':
        other = of.OneCycleLR(optimiser, 1.0, total_steps=EPOCHS, cycle_momentum=False)
    elif schedule == 'plateau':
        other = of.ReduceLROnPlateau(
            optimiser, factor=options['factor'], patience=options['patience'], min_lr=options.get('least', 0.0), eps=0.0
        )
    else:
        w = options.get('warmup', 0)
        other = of.CosineAnnealingLR(optimiser, EPOCHS - w, eta_min=options.get('least', 0.0))
        if w:
            optimiser = torch.optim.SGD([p], lr=1.0)
            other = of.SequentialLR(
                optimiser,
                [of.LinearLR(optimiser, 1 / (w + 1), 1.0, w), of.CosineAnnealingLR(optimiser, EPOCHS - w)],
                [w],
            )
    expected = []
    for figure in FIGURES:
        expected.append(optimiser.param_groups[0]['lr'])
        optimiser.step()
        other.step(figure) if schedule == 'plateau' else other.step()
    np.testing.assert_allclose(
        factors(schedules.SCHEDULES[schedule], FIGURES, **options), expected, rtol=1e-6, atol=1e-9
    )


# ----------------------------------------------------------------------- in the training of a network


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


def test_retraining_has_the_rates_of_training_and_annealing_a_tenth_of_the_kept(data):
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
    with pytest.raises(ValueError, match='n_epochs=4 the schedule .* would have had other rates .* new experiment'):
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
    t.set_arrays(t.kept)
    outputs = linear_outputs(t.functions, data.validation)
    net = network(np.random.default_rng(0))
    f = Functions(net, (12, 12), Settings(32))
    for name, p in f.parameters.items():
        p.set_value(t.kept[f'parameters/{name}'])
        if f'optimiser/trained.{name}' in t.kept:
            assert not np.array_equal(t.kept[f'optimiser/trained.{name}'], p.get_value())
    np.testing.assert_array_equal(linear_outputs(f, data.validation), outputs)
