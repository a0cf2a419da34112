"""Optimisers: pure functions from gradients and parameters to updates.

==================  ===========================================================================
`sgd`               gradient descent
`momentum`          gradient descent with Polyak's or Nesterov's momentum
`rmsprop`           step divided by a moving root mean square of the gradient
`adam`, `adamw`     moments of the gradient; with decoupled weight decay
`muon`              momentum with orthogonalised matrices
`decayed`           adds weight decay to an optimiser
`clipped`           adds gradient clipping to an optimiser
`averaged`          makes the network the moving average of the trained parameters
==================  ===========================================================================

An optimiser takes ``(gradients, parameters, rate, ...)``, two dicts by parameter name and a scalar expression, and
returns ``(updates, state)``: a dict for ``pytensor.function(updates=...)`` and the optimiser's own shared
variables by name, which are saved with the model. `decayed` and `clipped` wrap an optimiser in another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace

from utils.layer import listed, parameter
from utils.training.adaptive import adam, adamw, moved, rmsprop, zeros_like
from utils.training.muon import muon

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
        Momentum.
    nesterov : bool
    """
    updates, state = {}, {}
    for name, p in parameters.items():
        v = state[f'velocity.{name}'] = zeros_like(p)
        step = rate * gradients[name]
        updates[v] = np.float32(mu) * v - step
        updates[p] = p + np.float32(mu) * updates[v] - step if nesterov else p + updates[v]
    return updates, state


OPTIMISERS = {'sgd': sgd, 'rmsprop': rmsprop, 'adam': adam, 'adamw': adamw, 'muon': muon}


def applied(
    optimiser: Callable[..., Any], gradients: dict[str, Tensor], parameters: dict[str, Shared], rate: Shared
) -> tuple[dict[Any, Tensor], dict[str, Shared]]:
    """Call an optimiser and check its result; scale the step of a parameter by its `tag.rate`, if it has one.

    Raises
    ------
    ValueError
        If the result is not ``(updates, state)``, or a trainable parameter has no update.
    """
    given = optimiser(gradients, parameters, rate)
    if not (isinstance(given, (tuple, list)) and len(given) == 2 and all(isinstance(part, dict) for part in given)):
        raise ValueError(
            'an optimiser must return (updates, state), a dict for pytensor.function(updates=...) and a dict of its '
            f'own shared variables by name, got {given!r:.100}'
        )
    idle = [name for name, p in parameters.items() if p not in given[0]]
    if idle:
        raise ValueError(f'the optimiser returns no update of {listed(idle)}, which would never be trained')
    updates = {
        p: p + np.float32(p.tag.rate) * (new - p) if getattr(p.tag, 'rate', 1) != 1 else new
        for p, new in given[0].items()
    }
    return updates, given[1]


def decayed(optimiser: Callable[..., Any], decay: float) -> Callable[..., Any]:
    """Wrap an optimiser: it gets ``gradient + decay * W`` for weights W; biases, gamma and beta do not decay."""

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
    """Wrap an optimiser: it gets all gradients times ``norm / max(norm, norm of all gradients together)`` [1]_.

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
    """Change a training step so that the network holds the moving average of the parameters it trains.

    The trained parameters r become separate state. The network's parameters p are their average: after step t,
    ``p := p + (1 - decay) / (1 - decay**t) * (r - p)``, the exponential moving average corrected for its start at
    zero [1]_. So validation, test and model files use the average.

    Parameters
    ----------
    outputs : list of expressions
        Outputs of the training step, in terms of the network's parameters.
    updates : dict
        Updates of the training step.
    parameters : dict of str to shared variable
        The trainable parameters of the network.
    decay : float in (0, 1)

    Returns
    -------
    outputs, updates, state
        The changed step. `state` has the trained parameters ``trained.<name>``, and ``averaged``, the sum of the
        average's weights so far.

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
    out[filled] = moved(filled, np.float32(1), decay)
    weight = np.float32(1 - decay) / out[filled]
    for p, r in trained.items():
        out[r], out[p] = new[p], p + weight * (new[p] - p)
    return outputs, out, {'averaged': filled, **{f'trained.{name}': trained[p] for name, p in parameters.items()}}
