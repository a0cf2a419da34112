"""Optimisers: pure functions from gradients and parameters to updates.

==================  ===========================================================================
`sgd`               gradient descent
`momentum`          the same with momentum, Polyak's or Nesterov's
`rmsprop`           step divided by a moving root mean square of the gradient
`adam`, `adamw`     moments of the gradient; with decoupled weight decay
`decayed`           an optimiser with weight decay
`clipped`           an optimiser that is given gradients of a limited norm
`averaged`          a training step whose network is the moving average of what is trained
==================  ===========================================================================

An optimiser takes ``(gradients, parameters, rate, ...)``, two dicts by parameter name and a scalar expression, and
returns ``(updates, state)``: a dict for ``pytensor.function(updates=...)`` and the optimiser's own shared
variables by name, which are saved with the model. `decayed` and `clipped` make an optimiser of an optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace

from utils.layer import parameter

if TYPE_CHECKING:
    from utils.annotations import Shared, Tensor


def sgd(
    gradients: dict[str, Tensor], parameters: dict[str, Shared], rate: Shared
) -> tuple[dict[Any, Tensor], dict[Any, Any]]:
    """Minibatch stochastic gradient descent, ``p := p - rate * gradient`` (thesis eq. 6)."""
    return {p: p - rate * gradients[name] for name, p in parameters.items()}, {}


def momentum(
    gradients: dict[str, Tensor], parameters: dict[str, Shared], rate: Any, mu: float = 0.9, nesterov: bool = False
) -> tuple[dict[Any, Tensor], dict[str, Shared]]:
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
        v = state[f'velocity.{name}'] = _zeros_like(p)
        step = rate * gradients[name]
        updates[v] = np.float32(mu) * v - step
        updates[p] = p + np.float32(mu) * updates[v] - step if nesterov else p + updates[v]
    return updates, state


def rmsprop(
    gradients: dict[str, Tensor], parameters: dict[str, Shared], rate: Tensor, rho: float = 0.99, epsilon: float = 1e-8
) -> tuple[dict[Any, Tensor], dict[str, Shared]]:
    """RMSprop, ``s := rho * s + (1 - rho) * gradient**2``, ``p := p - rate * gradient / (sqrt(s) + epsilon)`` [1]_.

    Parameters
    ----------
    rho : float in [0, 1)
    epsilon : float > 0

    References
    ----------
    .. [1] Tieleman and Hinton (2012), Lecture 6.5, Neural networks for machine learning, Coursera.
    """
    _check_share(rho, 'rho'), _check_positive(epsilon, 'epsilon')
    updates, state = {}, {}
    for name, p in parameters.items():
        s = state[f'square.{name}'] = _zeros_like(p)
        updates[s] = _moved(s, gradients[name] ** 2, rho)
        updates[p] = p - rate * gradients[name] / (pt.sqrt(updates[s]) + np.float32(epsilon))
    return updates, state


def adam(
    gradients: dict[str, Tensor],
    parameters: dict[str, Shared],
    rate: Shared,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[dict[Any, Tensor], dict[str, Shared]]:
    """Adam [1]_, Algorithm 1.

    ``m := beta1 * m + (1 - beta1) * gradient``, ``v := beta2 * v + (1 - beta2) * gradient**2``,
    ``p := p - rate * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + epsilon)``.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1)
    epsilon : float > 0

    References
    ----------
    .. [1] Kingma and Ba (2015), Adam: A Method for Stochastic Optimization, ICLR, arXiv 1412.6980.
    """
    _check_share(beta1, 'beta1'), _check_share(beta2, 'beta2'), _check_positive(epsilon, 'epsilon')
    t = parameter(0.0, trainable=False)
    updates, state = {t: t + np.float32(1)}, {'step': t}
    # 1 - beta**t; what single precision leaves of it would be rough where beta**t is near 1.
    rest1, rest2 = (
        -pt.expm1(updates[t] * np.float32(np.log(beta))) if beta else np.float32(1) for beta in (beta1, beta2)
    )
    for name, p in parameters.items():
        m = state[f'mean.{name}'] = _zeros_like(p)
        v = state[f'square.{name}'] = _zeros_like(p)
        updates[m] = _moved(m, gradients[name], beta1)
        updates[v] = _moved(v, gradients[name] ** 2, beta2)
        updates[p] = p - rate * (updates[m] / rest1) / (pt.sqrt(updates[v] / rest2) + np.float32(epsilon))
    return updates, state


def adamw(
    gradients: dict[str, Tensor],
    parameters: dict[str, Shared],
    rate: Tensor | Shared,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    decay: float = 0.01,
) -> tuple[dict[Any, Tensor], dict[str, Shared]]:
    """Adam with decoupled weight decay [1]_, Algorithm 2: weights also shrink by ``rate * decay`` of themselves.

    Parameters
    ----------
    decay : float >= 0
        Biases, gamma and beta do not decay.

    References
    ----------
    .. [1] Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, ICLR, arXiv 1711.05101.
    """
    updates, state = adam(gradients, parameters, rate, beta1, beta2, epsilon)
    for p in parameters.values():
        if decay and p.tag.regularizable:
            updates[p] = updates[p] - rate * np.float32(decay) * p
    return updates, state


OPTIMISERS = {'sgd': sgd, 'rmsprop': rmsprop, 'adam': adam, 'adamw': adamw}


def decayed(optimiser: Callable[..., Any], decay: float) -> Callable[..., Any]:
    """An optimiser that is given ``gradient + decay * W`` of weights W; biases, gamma and beta do not decay."""

    def optimise(gradients, parameters, rate):
        return optimiser(
            {
                name: gradients[name] + np.float32(decay) * p if p.tag.regularizable else gradients[name]
                for name, p in parameters.items()
            },
            parameters,
            rate,
        )

    return optimise


def clipped(optimiser: Any, norm: float) -> Callable[..., Any]:
    """An optimiser that is given all gradients times ``norm / max(norm, norm of all gradients together)`` [1]_.

    References
    ----------
    .. [1] Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks, ICML,
       Algorithm 1.
    """

    def optimise(gradients, parameters, rate):
        total = pt.sqrt(sum((g**2).sum(acc_dtype=g.dtype) for g in gradients.values()))
        factor = np.float32(norm) / pt.maximum(total, np.float32(norm))
        return optimiser({name: g * factor for name, g in gradients.items()}, parameters, rate)

    return optimise


def averaged(
    outputs: Sequence[Tensor], updates: dict[Any, Tensor], parameters: dict[str, Shared], decay: float
) -> tuple[Sequence[Tensor], dict[Any, Tensor], dict[str, Shared]]:
    """A training step that leaves in the network the moving average of the parameters it trains.

    Those that are trained, r, become state of their own; the network's own are their average,
    ``p := p + (1 - decay) / (1 - decay**t) * (r - p)`` after step t, which is the exponential moving average
    corrected for its beginning at zero [1]_. So validation, test and model files have the average.

    Parameters
    ----------
    outputs : list of expressions
        Of the training step, in terms of the network's parameters.
    updates : dict
        Of the training step.
    parameters : dict of str to shared variable
        The trained ones.
    decay : float in (0, 1)

    Returns
    -------
    outputs, updates, state
        `state` has ``trained.<name>``, r, and the part of the average that has been filled.

    References
    ----------
    .. [1] Kingma and Ba (2015), Adam: A Method for Stochastic Optimization, ICLR, section 7.2, after Polyak and
       Juditsky (1992), Acceleration of stochastic approximation by averaging, SIAM J. Control Optim. 30.
    """
    filled = parameter(0.0, trainable=False)
    trained = {p: parameter(p.get_value(), trainable=False) for p in parameters.values()}
    replaced = clone_replace([*outputs, *updates.values()], replace=trained)
    outputs, new = replaced[: len(outputs)], dict(zip(updates, replaced[len(outputs) :]))
    out = {variable: value for variable, value in new.items() if variable not in trained}
    out[filled] = _moved(filled, np.float32(1), decay)
    weight = np.float32(1 - decay) / out[filled]
    for p, r in trained.items():
        out[r], out[p] = new[p], p + weight * (new[p] - p)
    return outputs, out, {'averaged': filled, **{f'trained.{name}': trained[p] for name, p in parameters.items()}}


def _zeros_like(p):
    return parameter(np.zeros(p.type.shape), trainable=False)


def _moved(average, value, decay):
    """The exponential moving average after one more value."""
    return np.float32(decay) * average + np.float32(1 - decay) * value


def _check_share(value, name):
    if not 0 <= value < 1:
        raise ValueError(f'{name} of an optimiser must be a number in [0, 1), got {value!r}')


def _check_positive(value, name):
    if not value > 0:
        raise ValueError(f'{name} of an optimiser must be a number > 0, got {value!r}')
