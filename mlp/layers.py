"""The fully connected layers.

==================  ===========================================================================
`Hidden`            fully connected layer
`Softmax`           softmax (multinomial logistic) regression
`FullyConnected`    reshape, hidden layers and softmax: the last part of every network
==================  ===========================================================================
"""

from typing import Any

import numpy as np
import pytensor.tensor as pt

from utils import rna
from utils.annotations import Tensor
from utils.layer import Layer, Phase, flatten, parameter
from utils.layers import BatchNorm, Bias, DropConnect, Dropout, GaussianNoise, probability
from utils.rna import Activation


class Hidden(Layer):
    """Fully connected layer: product, batch norm or bias, noise, activation, dropout; (n, n_in) -> (n, n_out).

    Parameters
    ----------
    n_in, n_out : int
        Numbers of inputs and outputs.
    activation : Activation
        Activation, which also decides the initialisation of the weights; see `utils.rna.glorot`.
    batch_norm : bool
        Whether to use batch norm instead of a bias.
    gaussian_std, p_drop : float
        Standard deviation of the noise, and probability of dropping an output.
    p_dropConnect, dropConnect_moments
        Arguments of `utils.layers.DropConnect`.
    rng : numpy.random.Generator
        Generator of the initial weights W (n_in, n_out).
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: Activation = rna.relu(),
        batch_norm: bool = False,
        gaussian_std: float = 0.0,
        p_drop: float = 0.0,
        *,
        rng: np.random.Generator,
        p_dropConnect: float = 0.0,
        dropConnect_moments: bool = False,
    ) -> None:
        all_out = n_out * rna.pieces_of(activation)
        self.W = parameter(rna.glorot(rng, (n_in, all_out), n_in, n_out, activation), regularizable=True)
        self.norm = BatchNorm(all_out) if batch_norm else Bias(all_out)
        self.noise, self.dropout = GaussianNoise(gaussian_std), Dropout(p_drop)
        self.activation, self.connect = activation, DropConnect(p_dropConnect, dropConnect_moments)

    def linear(self, x: Tensor, W: Tensor) -> Tensor:
        """Apply only the product."""
        return pt.dot(x, W)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        _check_inputs(self, x)

        def rest(linear):
            return rna.applied(self.activation, self.noise(self.norm(linear, phase), phase))

        return self.dropout(self.connect.outputs(x, self.W, phase, self.linear, rest), phase)


class Softmax(Layer):
    """Softmax regression, (n, n_in) -> logits (n, n_classes).

    The logits are the outputs before the softmax. The special test sums them over views, and the losses of
    `utils.training.losses` take them; `probabilities` applies the softmax to them.

    Parameters
    ----------
    n_in : int
        Number of inputs.
    n_classes : int
        Number of classes.
    rng : numpy.random.Generator
        Generator of the initial weights W (n_in, n_classes).
    """

    def __init__(self, n_in: int, n_classes: int, *, rng: np.random.Generator) -> None:
        self.W = parameter(rna.glorot(rng, (n_in, n_classes), n_in, n_classes), regularizable=True)
        self.b = parameter(np.zeros(n_classes))

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        _check_inputs(self, x)
        return pt.dot(x, self.W) + self.b

    @staticmethod
    def probabilities(logits: np.ndarray) -> Tensor:
        """Compute ``exp(a) / sum(exp(a))`` over the classes, (n, n_classes)."""
        return pt.special.softmax(logits, axis=1)


class FullyConnected(Layer):
    """Reshape, hidden layers, softmax: (n, ...) -> logits (n, n_classes).

    Parameters
    ----------
    n_in : int
        Number of inputs per image after the reshape.
    n_classes : int
        Number of classes.
    n_hidden : sequence of int
        Number of units of each hidden layer; empty for a softmax on the inputs.
    p_drop : float or sequence of float
        Probability of dropping a unit: one for all hidden layers, or one for each.
    rng : numpy.random.Generator
        Generator of the initial weights.
    **options
        Options of every `Hidden` layer.
    """

    def __init__(
        self,
        n_in: int,
        n_classes: int,
        n_hidden: Any = (1024,),
        p_drop: Any = 0.0,
        *,
        rng: np.random.Generator,
        **options: Any,
    ) -> None:
        n_hidden = [n_hidden] if np.ndim(n_hidden) == 0 else list(n_hidden)
        if any(isinstance(n, bool) or n != int(n) or n < 1 for n in n_hidden):
            raise ValueError(f'n_hidden must be a list of whole numbers >= 1, got {n_hidden!r}')
        drops = [p_drop] * len(n_hidden) if np.ndim(p_drop) == 0 else list(p_drop)
        if len(drops) != len(n_hidden):
            raise ValueError(
                f'p_drop must be one probability or one for each of the {len(n_hidden)} hidden '
                f'layers, got {len(drops)}: {p_drop!r}'
            )
        probability(p_drop, 'p_drop') if np.ndim(p_drop) == 0 else None
        sizes = [n_in, *(int(n) for n in n_hidden)]
        self.hidden = [Hidden(i, o, p_drop=p, rng=rng, **options) for i, o, p in zip(sizes, sizes[1:], drops)]
        self.softmax = Softmax(sizes[-1], n_classes, rng=rng)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        x = flatten(x)
        for layer in self.hidden:
            x = layer(x, phase)
        return self.softmax(x, phase)


def _check_inputs(layer, x):
    n_in = layer.W.type.shape[0]
    if x.ndim != 2 or x.type.shape[1] not in (None, n_in):
        raise ValueError(f'{type(layer).__name__} layer of {n_in} inputs applied to shape {x.type.shape}')
