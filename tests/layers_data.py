"""Layers applied and compared, for tests of layers."""

import numpy as np
import pytensor.tensor as pt

from utils.layer import parameters


def set_values(layer, values):
    for name, p in parameters(layer).items():
        p.set_value(np.asarray(values[name], p.dtype))


def random_values(layer, rng):
    """Draw values for all parameters: positive for gamma and var, normal for the others."""
    return {
        name: np.abs(rng.normal(size=p.type.shape)) + 0.5
        if name.endswith(('gamma', 'var'))
        else rng.normal(size=p.type.shape) * 0.5
        for name, p in parameters(layer).items()
    }


def symbol(*shape):
    return pt.tensor(dtype='float32', shape=shape)
