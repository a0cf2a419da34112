"""Optimisers and schedules step by step, against NumPy and PyTorch."""

import functools

import numpy as np
import pytest
import reference
from optimiser_data import EPOCHS, FIGURES, RATES, N, run

from utils.training import optimisers, schedules

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
    rates = [0.05] * N if rule in ('momentum', 'nesterov') else RATES  # PyTorch's velocity does not include the rate
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
