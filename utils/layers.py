"""Layers used in all kinds of networks.

==================  ===========================================================================
`Bias`              adds a bias per unit or filter
`BatchNorm`         batch normalization per unit or filter
`Dropout`           dropout
`DropConnect`       dropout of weights
`GaussianNoise`     noise on a linear output
`LayerOptions`      the options of all convolutional and hidden layers of a network
==================  ===========================================================================

Layers are called as ``layer(x, phase)``. A layer that has no effect in a phase returns `x` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pytensor.tensor as pt

from utils import rna
from utils.layer import Layer, mean, parameter

if TYPE_CHECKING:
    from utils.annotations import Tensor
    from utils.layer import Phase


class LayerOptions(TypedDict, total=False):
    """The options of all convolutional and hidden layers, which a network passes on together.

    A network with ``**options: Unpack[LayerOptions]`` accepts these arguments of `launch.test`, including those added
    here later. It sets a default of its own by ``{'batch_norm': True} | options``.

    Attributes
    ----------
    activation : Activation
        Activation, which also decides the initialisation of the weights, see `utils.rna.glorot`.
    batch_norm : bool
        Whether to use batch norm instead of a bias.
    gaussian_std : float
        Standard deviation of the noise on linear outputs in training, >= 0.
    p_dropConnect : float
        Probability of dropping a weight in training, in [0, 1).
    dropConnect_moments : bool
        Whether inference uses the mean and the variance of the linear outputs, see `DropConnect`.
    """

    activation: rna.Activation
    batch_norm: bool
    gaussian_std: float
    p_dropConnect: float
    dropConnect_moments: bool


def probability(p: Any, name: str) -> float:
    """Return a probability of dropping as a float; raise a ValueError that names the argument if it is not valid."""
    try:
        ok = 0 <= p < 1
    except TypeError:
        ok = False
    if not ok:
        raise ValueError(f'{name} must be a probability of dropping in [0, 1), got {p!r}')
    return float(p)


class Bias(Layer):
    """Add a bias, initially 0, to each of the `n` units or filters of the last axis."""

    def __init__(self, n: int) -> None:
        self.b = parameter(np.zeros(n))

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return x + self.b


class BatchNorm(Layer):
    """Batch normalization over all axes but the last, ``gamma * (x - mean) / sqrt(var + eps) + beta`` [1]_.

    In training, mean and variance are those of the minibatch. In every other pass they are the population statistics
    `mean` and `var`, so that the result for an image does not depend on the other images of the batch. The population
    statistics are measured in a separate pass with the current weights (Alg. 2 of [1]_). Dropout and noise work in this
    pass as at inference, so these are the statistics of the network at inference.

    Parameters
    ----------
    n : int
        Number of units or filters; gamma, beta, mean and var have the shape (n,).
    eps : float
        Constant added to the variance.
    scale : bool
        Whether gamma is trained; otherwise it stays 1.
    beta_rate : float
        Factor of the learning rate of beta.

    References
    ----------
    .. [1] Ioffe and Szegedy (2015), Batch Normalization: Accelerating Deep Network Training by Reducing
       Internal Covariate Shift, ICML, Alg. 1 and 2.
    """

    def __init__(self, n: int, eps: float = 1e-5, scale: bool = True, beta_rate: float = 1.0) -> None:
        self.gamma, self.beta = parameter(np.ones(n), trainable=scale), parameter(np.zeros(n), rate=beta_rate)
        self.mean = parameter(np.zeros(n), trainable=False)
        self.var = parameter(np.ones(n), trainable=False)
        self.eps = eps

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        m, v = self.mean, self.var
        if phase.train or phase.weight is not None:
            axes = tuple(range(x.ndim - 1))
            m = mean(x, axes)
            v = mean((x - m) ** 2, axes)
            if phase.weight is not None:
                size = int(np.prod(x.type.shape[:-1]))
                unbiased = v * np.asarray(size / max(size - 1, 1), x.dtype)
                weight = pt.as_tensor(phase.weight).astype(x.dtype)
                rest = np.asarray(1, x.dtype) - weight  # exactly 0 for a weight of 1, which discards the old value
                phase.updates[self.mean] = rest * self.mean + weight * m
                phase.updates[self.var] = rest * self.var + weight * unbiased
        return (x - m) * (self.gamma / pt.sqrt(v + np.asarray(self.eps, x.dtype))) + self.beta


class Dropout(Layer):
    """Dropout [1]_: multiply by a dropout mask in training, and by the probability of keeping in every other pass.

    Parameters
    ----------
    p : float
        Probability of *dropping* a unit, in [0, 1).
    name : str
        Name of the argument in error messages.

    References
    ----------
    .. [1] Hinton et al. (2012), Improving neural networks by preventing co-adaptation of feature
       detectors, arXiv 1207.0580; thesis 3.4.1.
    """

    def __init__(self, p: float, name: str = 'p_drop') -> None:
        self.p = probability(p, name)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        if self.p == 0:
            return x
        if phase.train:
            return pt.switch(phase.uniform(x) >= np.asarray(self.p, x.dtype), x, np.asarray(0, x.dtype))
        return x * np.asarray(1 - self.p, x.dtype)


VALUES = 16  # number of values that represent the distribution of a linear output


class DropConnect:
    """DropConnect [1]_: weights are dropped in training, by one mask per minibatch.

    Parameters
    ----------
    p : float
        Probability of dropping a weight, in [0, 1).
    moments : bool
        Whether inference averages the outputs over the distribution of the linear outputs u, which is taken as normal
        with mean ``(1 - p) W x`` and variance ``p (1 - p) W^2 x^2`` (section 3.2 of [1]_). The paper draws u; here u
        takes 16 values of equal probability, which needs no draws. If False, u is replaced by its mean.

    References
    ----------
    .. [1] Wan, Zeiler, Zhang, LeCun and Fergus (2013), Regularization of Neural Networks using DropConnect, ICML.
       They draw a mask for each image. A mask for the whole minibatch saves a product for each image.
    """

    def __init__(self, p: float = 0.0, moments: bool = False) -> None:
        self.p, self.moments = probability(p, 'p_dropConnect'), bool(moments)

    def outputs(
        self,
        x: Tensor,
        W: Tensor,
        phase: Phase,
        apply: Callable[[Tensor, Tensor], Tensor],
        rest: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Return the outputs of a layer, ``rest(apply(x, W))``.

        Parameters
        ----------
        x, W : tensor
            Inputs and weights of the layer.
        phase : Phase
            Pass through the network.
        apply : callable
            Function ``apply(x, W)``, linear in both arguments.
        rest : callable
            Function of the linear outputs.
        """
        if self.p == 0:
            return rest(apply(x, W))
        number = np.dtype(x.dtype).type
        if phase.train:
            return rest(apply(x, pt.switch(phase.uniform(W) >= number(self.p), W, number(0))))
        mean = apply(x, W * number(1 - self.p))
        if not self.moments or phase.weight is not None:
            return rest(mean)
        spread = pt.sqrt(number(self.p * (1 - self.p)) * apply(x**2, W**2))
        places = [NormalDist().inv_cdf((k + 0.5) / VALUES) for k in range(VALUES)]
        return sum(rest(mean + number(place) * spread) for place in places) * number(1 / VALUES)


class GaussianNoise(Layer):
    """Add normal noise of standard deviation `std` in training (thesis 3.4.3)."""

    def __init__(self, std: float) -> None:
        if not (np.isscalar(std) and std >= 0 and np.isfinite(std)):  # type: ignore[operator]
            raise ValueError(f'gaussian_std must be a standard deviation >= 0, got {std!r}')
        self.std = float(std)  # type: ignore[arg-type]

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        if self.std == 0 or not phase.train:
            return x
        return x + np.asarray(self.std, x.dtype) * phase.normal(x)
