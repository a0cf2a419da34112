"""Activations, each with its initialisation of weights: ``rna.relu()``, ``rna.sigmoid()``, ``rna.tanh()``, ...

The module's name comes from the thesis ("red neuronal artificial", artificial neural network).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

if TYPE_CHECKING:
    from utils.annotations import Tensor


class Activation:
    """An activation function with its initialisation of weights.

    Parameters
    ----------
    name : str
        Name in files and on the command line.
    function : callable
        Element-wise function from expression to expression.
    gain : float
        Factor of the limits of `glorot`.
    pieces : int
        Number of linear outputs per output; a layer has this many times as many linear outputs as units or filters.
    """

    def __init__(self, name: str, function: Callable[..., Any], gain: float = 1.0, pieces: int = 1) -> None:
        self.name, self.function, self.gain, self.pieces = name, function, gain, pieces

    def __call__(self, x: Tensor) -> Any:
        return self.function(x)

    def __repr__(self):
        return f'rna.maxout({self.pieces})' if self.pieces > 1 else f'rna.{self.name}()'

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and self.name == other.name

    def __hash__(self):
        return hash(self.name)


def relu() -> Activation:
    """Rectifier, ``max(0, a)``; weights as for tanh (thesis 3.2.1)."""
    return Activation('relu', lambda a: pt.maximum(a, 0))


def tanh() -> Activation:
    """Hyperbolic tangent; weights uniform in ±sqrt(6 / (n_in + n_out))."""
    return Activation('tanh', pt.tanh)


def sigmoid() -> Activation:
    """Logistic function ``1 / (1 + exp(-a))``; weights from a range four times that of tanh."""
    return Activation('sigmoid', pt.sigmoid, gain=4.0)


def leaky_relu() -> Activation:
    """Leaky rectifier, ``max(a, 0.01 a)`` (Maas, Hannun and Ng 2013, ICML, eq. 2)."""
    return Activation('leaky_relu', lambda a: pt.maximum(a, np.asarray(0.01, a.dtype) * a))


def elu() -> Activation:
    """Exponential linear unit, ``a`` if a > 0, else ``exp(a) - 1`` (Clevert et al. 2016, ICLR, eq. 15)."""
    return Activation('elu', lambda a: pt.switch(a > 0, a, pt.expm1(pt.minimum(a, 0))))


def gelu() -> Activation:
    """Gaussian error linear unit, ``a`` times the normal distribution function at a (Hendrycks and Gimpel 2016)."""

    def function(a):
        half, root = np.asarray(0.5, a.dtype), np.asarray(0.5**0.5, a.dtype)
        return half * a * (np.asarray(1, a.dtype) + pt.erf(root * a))

    return Activation('gelu', function)


def swish() -> Activation:
    """Swish, ``a * sigmoid(a)`` (Ramachandran, Zoph and Le 2017, arXiv 1710.05941)."""
    return Activation('swish', lambda a: a * pt.sigmoid(a))


def maxout(pieces: int = 2) -> Activation:
    """Maxout, the largest of `pieces` neighbouring linear outputs (Goodfellow et al. 2013).

    A layer has `pieces` times as many linear outputs as units.

    Raises
    ------
    ValueError
        `pieces` is not 2 to 5.
    """
    if isinstance(pieces, bool) or pieces not in (2, 3, 4, 5):
        raise ValueError(f'maxout must have 2 to 5 pieces, got {pieces!r}')
    return Activation(
        f'maxout{pieces}', lambda a: reduce(pt.maximum, [a[..., j::pieces] for j in range(pieces)]), pieces=int(pieces)
    )


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    'relu': relu,
    'sigmoid': sigmoid,
    'tanh': tanh,
    'leaky_relu': leaky_relu,
    'elu': elu,
    'gelu': gelu,
    'swish': swish,
    **{f'maxout{k}': partial(maxout, k) for k in (2, 3, 4, 5)},
}


def applied(activation: Any, x: Tensor) -> Tensor:
    """Apply an activation, which may be user-defined; raise ValueError if it does not return a suitable expression."""
    y = activation(x)
    if getattr(y, 'ndim', None) != x.ndim:
        raise ValueError(f'an activation must return an expression of {x.ndim} dimensions, got {y!r:.100}')
    return y


def pieces_of(activation: Any) -> int:
    """Return the number of linear outputs per output of an activation; 1 for None and for user-defined functions."""
    return getattr(activation, 'pieces', 1)


def dirac(W: np.ndarray) -> np.ndarray:
    """Replace the first filters of W (kh, kw, n_in, n_out) by filters that pass one channel through [1]_.

    Filter k < min(n_in, n_out) becomes 1 in the middle of channel k and 0 elsewhere. The other filters are unchanged.

    References
    ----------
    .. [1] Zagoruyko and Komodakis (2017), DiracNets: Training Very Deep Neural Networks Without Skip-Connections, arXiv
       1706.00388; as initialisation only: Jordan (2024), arXiv 2404.00498, section 3.3.
    """
    W = np.array(W)
    kh, kw, n_in, n_out = W.shape
    k = np.arange(min(n_in, n_out))
    W[..., k] = 0
    W[kh // 2, kw // 2, k, k] = 1
    return W


def glorot(rng: np.random.Generator, shape: Any, n_in: int, n_out: int, activation: Activation | None = None) -> Any:
    """Draw weights uniformly from ±gain * sqrt(6 / (n_in + n_out)) [1]_.

    Parameters
    ----------
    rng : numpy.random.Generator
        Generator of the weights.
    shape : tuple of int
        Shape of the weights.
    n_in, n_out : int
        Number of inputs of an output (fan-in), and of outputs of an input (fan-out).
    activation : Activation or callable, optional
        Activation whose `gain` is used, if it has one: 4 for the sigmoid, 1 for tanh and the rectifier.

    Returns
    -------
    float64 array of `shape`
        Initial weights.

    References
    ----------
    .. [1] Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural
       networks, AISTATS, equation 16.
    """
    limit = getattr(activation, 'gain', 1.0) * (6 / (n_in + n_out)) ** 0.5
    return rng.uniform(-limit, limit, shape)
