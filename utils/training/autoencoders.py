"""Denoising autoencoders [1]_ [2]_ made of a network's layers, for unsupervised pre-training.

The encoder is a layer without pooling, noise and dropout: its weights, its bias or batch norm (with the minibatch's
statistics) and its activation. The decoder has the transposed weights and a separate bias; the decoder of a convolution
is the transposed convolution [3]_. The input is corrupted, and the cost compares the reconstruction with the
uncorrupted input.

==================  ===========================================================================
`Denoising`         the settings
`Autoencoder`       the expressions of one layer
`decoded`           a code decoded through several layers down to the pixels
==================  ===========================================================================

References
----------
.. [1] Vincent, Larochelle, Bengio and Manzagol (2008), Extracting and Composing Robust Features with Denoising
   Autoencoders, ICML.
.. [2] Vincent, Larochelle, Lajoie, Bengio and Manzagol (2010), Stacked Denoising Autoencoders, JMLR 11:3371.
.. [3] Masci, Meier, Cireşan and Schmidhuber (2011), Stacked Convolutional Auto-Encoders for Hierarchical Feature
   Extraction, ICANN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from utils import rna
from utils.layer import mean, parameter, parameters
from utils.training.chains import ancestors

if TYPE_CHECKING:
    from utils.annotations import Shared, Tensor
    from utils.layer import Phase
    from utils.training.chains import Call


NOISES = ('masking', 'gaussian')


@dataclass(frozen=True)
class Denoising:
    """Settings of pre-training, `pretrain_args` of `launch.test`.

    Attributes
    ----------
    corruption : float
        For 'masking' noise, the probability in [0, 1) that an input is set to 0. For 'gaussian' noise, its standard
        deviation, >= 0. 0 turns corruption off.
    noise : {'masking', 'gaussian'}
    learning_rate : float or sequence of float
        Learning rate of plain gradient descent, one for all layers or one for each. It is divided by the number of
        terms in the sums of the layer, see `Autoencoder.terms`.
    layers : int, optional
        Number of layers to pre-train, from the lowest up; by default the whole chain, see
        `utils.training.chains.chain`.
    images : str, optional
        Path of the unlabelled images; by default the training images of the data set, without those for validation.

    Raises
    ------
    ValueError
        If a setting is out of its range; the message says what it must be.
    """

    corruption: float = 0.3
    noise: str = 'masking'
    learning_rate: Any = 5.0
    layers: int | None = None
    images: str | None = None

    def __post_init__(self):
        if self.noise not in NOISES:
            _refuse('noise', f'one of {", ".join(NOISES)}', self.noise)
        least_and_below = ('a probability in [0, 1)', 1) if self.noise == 'masking' else ('a number >= 0', math.inf)
        if not (_is_number(self.corruption) and 0 <= self.corruption < least_and_below[1]):
            _refuse('corruption', least_and_below[0], self.corruption)
        rates = self.learning_rate if isinstance(self.learning_rate, (list, tuple)) else [self.learning_rate]
        if not rates or not all(_is_number(rate) and 0 < rate < math.inf for rate in rates):
            _refuse('learning_rate', 'a number > 0, or one for each layer', self.learning_rate)
        if self.layers is not None and not (type(self.layers) is int and self.layers >= 1):
            _refuse('layers', 'a whole number >= 1', self.layers)
        if self.images is not None and not (isinstance(self.images, str) and self.images and '\0' not in self.images):
            _refuse('images', 'the path of a folder of images or of an HDF5 set', self.images)

    def rate_of(self, k: int) -> float:
        """The learning rate of layer k, counted from 0."""
        rates = self.learning_rate
        return float(rates[k] if isinstance(rates, (list, tuple)) else rates)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _refuse(name, wanted, value):
    raise ValueError(f'{name} of pretrain_args must be {wanted}, got {value!r:.100}')


def corrupted(x: Tensor, phase: Phase, settings: Denoising) -> Tensor:
    """Corrupt x with noise drawn by the phase, see `Denoising`."""
    amount = np.asarray(settings.corruption, x.dtype)
    if not settings.corruption:
        return x
    if settings.noise == 'masking':
        return pt.switch(phase.uniform(x) >= amount, x, np.asarray(0, x.dtype))
    return x + amount * phase.normal(x)


class Autoencoder:
    """A layer with a decoder.

    Parameters
    ----------
    call : Call
        The layer with its input, which is to be reconstructed, and its output in the network.
    pixels : bool
        Whether the inputs are pixels in [0, 1]. If so, the reconstruction is a sigmoid and the cost the cross-entropy;
        otherwise the reconstruction is linear and the cost the squared error.

    Attributes
    ----------
    name, layer : str, Layer
    x : tensor
        Input of the layer: (n, n_in), or (n, h, w, channels) for a convolution.
    bias : shared variable
        Bias of the decoder, (n_in,) or (channels,); initially 0.

    Raises
    ------
    ValueError
        If the layer's activation is maxout, which has no transpose.
    """

    def __init__(self, call: Call, pixels: bool) -> None:
        self.name, self.layer, self.x, self.y, self.pixels = *call, pixels
        if rna.pieces_of(self.layer.activation) > 1:
            raise ValueError(
                f'layer {self.name} cannot be pre-trained: with {self.layer.activation!r}, the transposed '
                'weights do not fit its outputs; choose another activation, or pretrain_epochs=0'
            )
        self.bias = parameter(np.zeros(self.x.type.shape[-1]))
        self.bias.name = f'decoder of {self.name}'

    @property
    def terms(self) -> float:
        """Number of inputs that a unit of the code reads, plus the number of units that an input is reconstructed from.

        For a 3x3 convolution, this is nine times the sum of its input channels and its filters. The curvature of the
        cost grows with this number, so the learning rate is divided by it: one rate then suits layers of all sizes.
        """
        code, reads = self.layer.linear(self.x, self.layer.W).type.shape[1:], math.prod(self.layer.W.type.shape[:-1])
        return reads * (1 + math.prod(code) / math.prod(self.x.type.shape[1:]))

    @property
    def trained(self) -> list[Shared]:
        """The trained parameters: the layer's weights and bias (or gamma and beta) and the decoder's bias."""
        own = [self.layer.W, *parameters(self.layer.norm, trainable=True).values()]
        return [*dict.fromkeys(own), self.bias]

    def encode(self, x: Tensor, phase: Phase) -> Tensor:
        """Compute the code of inputs: the output of the layer without pooling, noise and dropout."""
        y = self.layer.norm(self.layer.linear(x, self.layer.W), phase)
        return rna.applied(self.layer.activation, y) if self.layer.activation else y

    def decode(self, code: Tensor) -> Tensor:
        """Reconstruct inputs linearly from their code: the transpose of the layer's linear part, plus the bias."""
        forward = self.layer.linear(self.x, self.layer.W)
        return pytensor.grad(None, self.x, known_grads={forward: code}) + self.bias

    def shown(self, linear: Tensor) -> Tensor:
        """The reconstruction of a linear reconstruction: its sigmoid for pixels, otherwise itself."""
        return pt.sigmoid(linear) if self.pixels else linear

    def costs(self, linear: Tensor) -> Tensor:
        """Costs (n,) of linear reconstructions: sums over the inputs; for images, means over the pixels.

        With the sigmoid s(a): ``-x log s(a) - (1 - x) log(1 - s(a)) = log(1 + exp(a)) - x a``.
        """
        each = pt.softplus(linear) - self.x * linear if self.pixels else (linear - self.x) ** 2
        costs = pt.sum(each, axis=-1, dtype=each.dtype, acc_dtype=each.dtype)
        return mean(costs, (1, 2)) if costs.ndim == 3 else costs


def decoded(stack: Sequence[Autoencoder], code: Tensor) -> Tensor | None:
    """Decode the code of the last of several autoencoders, layer by layer, down to the pixels.

    Pooling is undone by giving each value to all pixels of its window, and the scale of dropout by dividing by it.
    Response normalisation is ignored.

    Returns
    -------
    tensor or None
        None if a layer in between cannot be decoded.
    """
    linear = stack[-1].decode(code)
    for lower, upper in zip(stack[-2::-1], stack[:0:-1]):
        back = _through(upper, lower, linear)
        if back is None:
            return None
        linear = lower.decode(back)
    return stack[0].shown(linear)


def _through(upper, lower, x):
    """The code of the layer below that follows from reconstructed inputs of a layer; None if none follows."""
    if any(isinstance(v, pytensor.compile.SharedVariable) for v in ancestors(upper.x, [lower.y])):
        return None
    drop = getattr(getattr(lower.layer, 'dropout', None), 'p', 0)
    x = x * np.asarray(1 / (1 - drop), x.dtype) if drop else x
    shape = lower.layer.linear(lower.x, lower.layer.W).type.shape
    if len(shape) == 2:
        return x if x.type.shape == shape else None
    if x.ndim == 2 and x.type.shape[1] == shape[3]:  # a mean over the image
        x = x.dimshuffle(0, 'x', 'x', 1)
    elif x.ndim == 2 and x.type.shape[1] == np.prod(lower.y.type.shape[1:]):
        x = x.reshape(lower.y.type.shape)
    if x.ndim != 4 or x.type.shape[3] != shape[3]:
        return None
    rows, columns = ((np.arange(n) * m) // n for n, m in zip(shape[1:3], x.type.shape[1:3]))
    return x[:, rows][:, :, columns]
