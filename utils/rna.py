"""Activations and the initialisation that belongs to each: ``rna.relu()``, ``rna.sigmoid()``, ``rna.tanh()``.

The name is the thesis's ("red neuronal artificial").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytensor.tensor as pt

if TYPE_CHECKING:
    import numpy as np

    from utils.annotations import Tensor


class Activation:
    """An activation function with its initialisation of weights.

    Parameters
    ----------
    name : str
        Its name in files and on the command line.
    function : callable
        Expression to expression, element by element.
    gain : float
        Factor on the limits of `glorot`.
    """

    def __init__(self, name: str, function: Callable[..., Any], gain: float = 1.0) -> None:
        self.name, self.function, self.gain = name, function, gain

    def __call__(self, x: Tensor) -> Any:
        return self.function(x)

    def __repr__(self):
        return f'rna.{self.name}()'

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and self.name == other.name

    def __hash__(self):
        return hash(self.name)


def relu() -> Any:
    """Rectifier, ``max(0, a)``; weights as for tanh (thesis 3.2.1)."""
    return Activation('relu', lambda a: pt.maximum(a, 0))


def tanh() -> Any:
    """Hyperbolic tangent; weights uniform in ±sqrt(6 / (n_in + n_out))."""
    return Activation('tanh', pt.tanh)


def sigmoid() -> Any:
    """Logistic function ``1 / (1 + exp(-a))``; weights four times as wide as for tanh."""
    return Activation('sigmoid', pt.sigmoid, gain=4.0)


ACTIVATIONS = {'relu': relu, 'sigmoid': sigmoid, 'tanh': tanh}


def glorot(rng: np.random.Generator, shape: Any, n_in: int, n_out: int, activation: Activation | None = None) -> Any:
    """Draw weights uniformly from ±gain * sqrt(6 / (n_in + n_out)) [1]_.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
    n_in, n_out : int
        Inputs that one output sums over, outputs that one input goes to.
    activation : Activation or callable, optional
        Its `gain` is used where it has one: 4 for the sigmoid, 1 for tanh and the rectifier.

    Returns
    -------
    float64 array of `shape`

    References
    ----------
    .. [1] Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural
       networks, AISTATS, equation 16.
    """
    limit = getattr(activation, 'gain', 1.0) * (6 / (n_in + n_out)) ** 0.5
    return rng.uniform(-limit, limit, shape)
