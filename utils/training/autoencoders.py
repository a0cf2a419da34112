"""Denoising autoencoders [1]_ [2]_ of a network's own layers: what unsupervised pre-training trains.

The encoder is a layer without pooling, noise and dropout: its weights, its bias or batch norm (with the minibatch's
statistics) and its activation. The decoder has the same weights, transposed, and a bias of its own. The input is
corrupted, and the cost compares the reconstruction with the input as it was. Convolutions have the transposed
convolution as decoder [3]_.

==================  ===========================================================================
`Denoising`         the settings
`Autoencoder`       the expressions of one layer
`decoded`           a code brought down through several layers to the pixels
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
        Of 'masking' noise the probability with which an input is set to 0, in [0, 1); of 'gaussian' noise its standard
        deviation, >= 0. 0 corrupts nothing.
    noise : {'masking', 'gaussian'}
    learning_rate : float or sequence of float
        Of plain gradient descent, divided for each layer by the size of its sums, see `Autoencoder.terms`; one for all
        layers, or one for each.
    layers : int, optional
        How many layers are pre-trained, from below; by default the whole chain, see `utils.training.chains.chain`.
    images : str, optional
        Path of the unlabelled images; by default the training images of the data set, without those for validation.

    Raises
    ------
    ValueError
        A setting that is out of its range; names it, and says what it must be.
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
            _refuse('images', 'the path of a folder of images or of a HDF5 set', self.images)

    def rate_of(self, k: int) -> float:
        """The learning rate of layer k, counted from 0."""
        rates = self.learning_rate
        return float(rates[k] if isinstance(rates, (list, tuple)) else rates)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _refuse(name, wanted, value):
    raise ValueError(f'{name} of pretrain_args must be {wanted}, got {value!r:.100}')


def corrupted(x: Tensor, phase: Phase, settings: Denoising) -> Tensor:
    """A copy of x with noise drawn by the phase, see `Denoising`."""
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
        The layer, with its input, which it is to reconstruct, and its output in the network.
    pixels : bool
        Whether the input are pixels in [0, 1]: the reconstruction is then a sigmoid and the cost the cross-entropy;
        else it is linear and the cost the squared error.

    Attributes
    ----------
    name, layer : str, Layer
    x : tensor
        The input: (n, n_in), or (n, h, w, channels) of a convolution.
    bias : shared variable
        Of the decoder: (n_in,) or (channels,); it begins at 0.

    Raises
    ------
    ValueError
        The layer's activation is maxout, which has no transpose.
    """

    def __init__(self, call: Call, pixels: bool) -> None:
        self.name, self.layer, self.x, self.y, self.pixels = *call, pixels
        if rna.pieces_of(self.layer.activation) > 1:
            raise ValueError(
                f'layer {self.name} cannot be pre-trained: the weights of {self.layer.activation!r} have no transpose '
                'that takes its outputs; choose another activation, or pretrain_epochs=0'
            )
        self.bias = parameter(np.zeros(self.x.type.shape[-1]))
        self.bias.name = f'decoder of {self.name}'

    @property
    def terms(self) -> float:
        """Inputs that a unit of the code reads, and units that an input is reconstructed from, together.

        Of a 3x3 convolution nine times the channels that it reads and the filters that it has. The cost curves the more
        the more there are, so the learning rate is divided by them, and one suits layers of all sizes.
        """
        code, reads = self.layer.linear(self.x, self.layer.W).type.shape[1:], math.prod(self.layer.W.type.shape[:-1])
        return reads * (1 + math.prod(code) / math.prod(self.x.type.shape[1:]))

    @property
    def trained(self) -> list[Shared]:
        """What pre-training changes: the layer's weights and bias (or gamma and beta) and the decoder's bias."""
        own = [self.layer.W, *parameters(self.layer.norm, trainable=True).values()]
        return [*dict.fromkeys(own), self.bias]

    def encode(self, x: Tensor, phase: Phase) -> Tensor:
        """The code of inputs: what the layer makes of them without pooling, noise and dropout."""
        y = self.layer.norm(self.layer.linear(x, self.layer.W), phase)
        return rna.applied(self.layer.activation, y) if self.layer.activation else y

    def decode(self, code: Tensor) -> Tensor:
        """Linear reconstruction of inputs from their code: the transpose of the layer's linear part, and the bias."""
        forward = self.layer.linear(self.x, self.layer.W)
        return pytensor.grad(None, self.x, known_grads={forward: code}) + self.bias

    def shown(self, linear: Tensor) -> Tensor:
        """The reconstruction itself."""
        return pt.sigmoid(linear) if self.pixels else linear

    def costs(self, linear: Tensor) -> Tensor:
        """Costs (n,) of linear reconstructions: summed over the inputs; of images, the mean over their pixels.

        With the sigmoid s(a): ``-x log s(a) - (1 - x) log(1 - s(a)) = log(1 + exp(a)) - x a``.
        """
        each = pt.softplus(linear) - self.x * linear if self.pixels else (linear - self.x) ** 2
        costs = pt.sum(each, axis=-1, dtype=each.dtype, acc_dtype=each.dtype)
        return mean(costs, (1, 2)) if costs.ndim == 3 else costs


def decoded(stack: Sequence[Autoencoder], code: Tensor) -> Tensor | None:
    """Pixels from the code of the last of some autoencoders, decoded layer by layer.

    Where images were pooled, each value is given to all pixels of its window; where outputs are scaled for dropout, the
    scale is taken away; response normalisation is passed over.

    Returns
    -------
    tensor or None
        None where a layer in between cannot be gone back through.
    """
    linear = stack[-1].decode(code)
    for lower, upper in zip(stack[-2::-1], stack[:0:-1]):
        back = _through(upper, lower, linear)
        if back is None:
            return None
        linear = lower.decode(back)
    return stack[0].shown(linear)


def _through(upper, lower, x):
    """What a reconstruction of the inputs of one layer says of the code of the one below; None where nothing."""
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
