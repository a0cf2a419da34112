"""Optimisers: pure functions from gradients and parameters to updates.

Each takes ``(gradients, parameters, rate, ...)``, two dicts by parameter name and a scalar expression, and
returns ``(updates, state)``: a dict for ``pytensor.function(updates=...)`` and the optimiser's own shared
variables by name, which are saved with the model.
"""
import numpy as np

from utils.layer import parameter


def sgd(gradients, parameters, rate):
    """Minibatch stochastic gradient descent, ``p := p - rate * gradient`` (thesis eq. 6)."""
    return {p: p - rate * gradients[name] for name, p in parameters.items()}, {}


def momentum(gradients, parameters, rate, mu=.9, nesterov=False):
    """Gradient descent with momentum.

    ``v := mu * v - rate * gradient``, then ``p := p + v`` (Polyak 1964) or, with `nesterov`,
    ``p := p + mu * v - rate * gradient`` (Sutskever et al. 2013, ICML, eq. 3-4, in the form of Bengio et al.
    2012, arXiv 1212.0901, eq. 7, which keeps the parameters at the point where the gradient is taken).

    Parameters
    ----------
    mu : float in [0, 1)
    """
    updates, state = {}, {}
    for name, p in parameters.items():
        v = state[f'velocity.{name}'] = parameter(np.zeros(p.type.shape), trainable=False)
        step = rate * gradients[name]
        updates[v] = np.float32(mu) * v - step
        updates[p] = p + np.float32(mu) * updates[v] - step if nesterov else p + updates[v]
    return updates, state
