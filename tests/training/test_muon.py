"""Muon step by step against NumPy in float64, and through an experiment."""

import functools

import numpy as np
import pytensor.tensor as pt
import pytest
from optimiser_data import RATES
from small import Interrupted, lines_without_times, same_models, small

import launch
from utils import backend
from utils.layer import parameter
from utils.training import optimisers
from utils.training.muon import orthogonalised

SHAPES = {'conv.W': (3, 3, 2, 8), 'wide.W': (4, 9), 'conv.b': (8,), 'fc.softmax.W': (6, 3)}


def newton_schulz(matrix, steps):
    x = matrix / np.linalg.norm(matrix)
    for _ in range(steps):
        square = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        poly = 3.4445 * np.eye(len(square)) - 4.7750 * square + 2.0315 * square @ square
        x = poly @ x if x.shape[0] <= x.shape[1] else x @ poly
    return x


def by_numpy(start, gradients, mu, nesterov, steps, others, decay):
    values, out = {k: v.astype(float) for k, v in start.items()}, []
    state = {k: [np.zeros(v.shape), np.zeros(v.shape)] for k, v in start.items()}
    for t, (given, rate) in enumerate(zip(gradients, RATES), start=1):
        for name, g in given.items():
            first, second = state[name]
            weight = name.endswith('W')
            shrunk = values[name] * (1 - rate * decay * (others if 'softmax' in name else 1) * weight)
            if weight and 'softmax' not in name:
                first[:] = mu * first + g
                u = g + mu * first if nesterov else first
                matrix = u.reshape(-1, u.shape[-1]).T
                step = newton_schulz(matrix, steps) * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
                values[name] = shrunk - rate * step.T.reshape(u.shape)
            else:
                first[:], second[:] = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
                m, v = first / (1 - 0.9**t), second / (1 - 0.999**t)
                values[name] = shrunk - rate * others * m / (np.sqrt(v) + 1e-8)
        out.append(dict(values))
    return out


@pytest.mark.parametrize(
    'options', [{}, {'mu': 0.6, 'nesterov': False, 'steps': 3, 'others': 0.2, 'decay': 0.3}], ids=['defaults', 'others']
)
def test_steps_agree_with_numpy_in_float64(rng, options):
    start = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    gradients = [{name: 3 * rng.normal(size=shape) for name, shape in SHAPES.items()} for _ in RATES]
    variables = {name: parameter(v, regularizable=name.endswith('W')) for name, v in start.items()}
    inputs = {name: pt.tensor(dtype='float32', shape=v.shape) for name, v in start.items()}
    rate = pt.scalar(dtype='float32')
    changes, state = optimisers.muon(inputs, variables, rate, **options)
    assert set(changes) == {*variables.values(), *state.values()}
    step = backend.function([*inputs.values(), rate], [], updates=changes)
    defaults = {'mu': 0.95, 'nesterov': True, 'steps': 5, 'others': 0.015, 'decay': 0.0}
    expected = by_numpy(start, gradients, **defaults | options)
    for given, value, wanted in zip(gradients, RATES, expected):
        step(*(g.astype('float32') for g in given.values()), np.float32(value))
        for name, p in variables.items():
            np.testing.assert_allclose(p.get_value(), wanted[name], rtol=2e-4, atol=2e-4, err_msg=name)


@pytest.mark.parametrize('shape', [(5, 12), (12, 5), (7, 7)])
def test_singular_values_come_near_one_and_vectors_stay(rng, shape):
    matrix = pt.tensor(dtype='float32', shape=shape)
    value = rng.normal(size=shape).astype('float32')
    got = np.asarray(backend.function([matrix], orthogonalised(matrix))(value))
    left, _, right = np.linalg.svd(value, full_matrices=False)
    inner = left.T @ got @ right.T
    assert abs(inner - np.diag(np.diag(inner))).max() < 1e-3
    assert 0.3 < np.diag(inner).min() and np.diag(inner).max() < 1.3


@pytest.mark.slow
def test_an_experiment_is_resumed_to_the_last_bit(tiny_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = dict(optimiser='muon', optimiser_args={'others': 0.5}, learning_rate=0.02, weight_decay=0.01, n_epochs=3)

    def stop(row):
        if (row['stage'], row['epoch']) == ('train', 2):
            raise Interrupted

    whole = small(tiny_set, savename='whole.h5', **options)
    with pytest.raises(Interrupted):
        small(tiny_set, savename='m.h5', on_epoch=stop, **options)
    resumed = launch.test(resume='m.h5', verbose=0, report=False)
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert same_models('m.h5', 'whole.h5')
    costs = [row['train_cost'] for row in whole.history if row['stage'] == 'train']
    assert costs[-1] < costs[0]


@pytest.mark.parametrize(
    'options, message', [({'steps': 0}, 'steps of an optimiser'), ({'mu': 1.0}, 'mu of an optimiser')]
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        functools.partial(optimisers.muon, **options)({}, {}, pt.scalar())
