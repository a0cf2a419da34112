"""Optimisers with an adaptive step for every parameter: RMSprop, Adam, AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from utils.layer import parameter

if TYPE_CHECKING:
    from utils.annotations import Shared, Tensor


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
    check_share(rho, 'rho')
    check_positive(epsilon, 'epsilon')
    updates, state = {}, {}
    for name, p in parameters.items():
        s = state[f'square.{name}'] = zeros_like(p)
        updates[s] = moved(s, gradients[name] ** 2, rho)
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
    check_share(beta1, 'beta1')
    check_share(beta2, 'beta2')
    check_positive(epsilon, 'epsilon')
    t = parameter(0.0, trainable=False)
    updates, state = {t: t + np.float32(1)}, {'step': t}
    # 1 - beta**t by expm1: in single precision the difference itself is inaccurate for beta**t near 1.
    rest1, rest2 = (
        -pt.expm1(updates[t] * np.float32(np.log(beta))) if beta else np.float32(1) for beta in (beta1, beta2)
    )
    for name, p in parameters.items():
        m = state[f'mean.{name}'] = zeros_like(p)
        v = state[f'square.{name}'] = zeros_like(p)
        updates[m] = moved(m, gradients[name], beta1)
        updates[v] = moved(v, gradients[name] ** 2, beta2)
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
        Factor of weight decay; biases, gamma and beta do not decay.

    References
    ----------
    .. [1] Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, ICLR, arXiv 1711.05101.
    """
    updates, state = adam(gradients, parameters, rate, beta1, beta2, epsilon)
    for p in parameters.values():
        if decay and p.tag.regularizable:
            updates[p] = updates[p] - rate * np.float32(decay) * p
    return updates, state


def zeros_like(p: Shared) -> Shared:
    """Optimiser state of zeros, with the shape of a parameter."""
    return parameter(np.zeros(p.type.shape), trainable=False)


def moved(average: Tensor, value: Tensor, decay: float) -> Tensor:
    """Update an exponential moving average by one more value."""
    return np.float32(decay) * average + np.float32(1 - decay) * value


def check_share(value: float, name: str) -> None:
    """Raise ValueError unless a value lies in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f'{name} of an optimiser must be a number in [0, 1), got {value!r}')


def check_positive(value: float, name: str) -> None:
    """Raise ValueError unless a value is above 0."""
    if not value > 0:
        raise ValueError(f'{name} of an optimiser must be a number > 0, got {value!r}')
