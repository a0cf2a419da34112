"""Optimisers for their tests."""

import numpy as np
import pytensor.tensor as pt

from utils import backend
from utils.layer import parameter

N = 12


RATES = [0.05 * (1 + k % 3) for k in range(N)]


def run(optimiser, start, gradients, rates=RATES):
    """Return the parameters after each step; W decays, b does not."""
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


EPOCHS = 40


FIGURES = [2 - 0.1 * min(k, 9) + 0.01 * (k % 4) for k in range(EPOCHS)]
