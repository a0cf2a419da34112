"""Convolutional layers.

===================  ====================================================================
`Conv`               convolution, pooling, batch norm or bias, noise, activation, dropout
`MaxPool`            maximum over windows
`AvgPool`            mean over windows
`GlobalAvgPool`      mean over the whole image
`LocalResponseNorm`  local response normalisation across channels
`Residual`           residual block of two convolutions
===================  ====================================================================

Images have the shape (n, height, width, channels) in the graph.
"""

import warnings
from collections.abc import Sequence
from types import MethodType
from typing import Any

import numpy as np
import pytensor.tensor as pt

from utils import ops, rna
from utils.annotations import Tensor
from utils.layer import Layer, Phase, attributes, entries, mean, output_shape, parameter, sublayers
from utils.layers import BatchNorm, Bias, DropConnect, Dropout, GaussianNoise
from utils.rna import Activation


class _Pool(Layer):
    def __init__(self, window=2, stride=None, ignore_border=True):
        self.window, self.ignore_border = window, ignore_border
        self.stride = window if stride is None else stride


class MaxPool(_Pool):
    """Maximum over windows, (n, h, w, c) -> (n, h // window, w // window, c); see `utils.ops.max_pool`."""

    pool_op = ops.MaxPool

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return ops.max_pool(x, self.window, self.stride, self.ignore_border)


class AvgPool(_Pool):
    """Mean over windows; with the arguments of `MaxPool`."""

    pool_op = ops.AvgPool

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return ops.avg_pool(x, self.window, self.stride, self.ignore_border)


class GlobalAvgPool(Layer):
    """Mean over all pixels of each channel, (n, h, w, c) -> (n, c), which makes hidden layers unnecessary [1]_.

    References
    ----------
    .. [1] Lin, Chen and Yan (2014), Network In Network, ICLR, arXiv 1312.4400, section 3.2.
    """

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return mean(x, (1, 2))


class LocalResponseNorm(Layer):
    """Local response normalisation, (n, h, w, c) -> (n, h, w, c); see `utils.ops.local_response_norm`."""

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


class Conv(Layer):
    """Convolutional layer, (n, h, w, n_in) -> (n, h', w', n_out).

    The order is convolution, pooling, batch norm or bias, noise, activation, dropout. Pooling comes between the linear
    output and the activation (thesis 3.3.1).

    Parameters
    ----------
    n_in, n_out : int
        Numbers of input channels and of filters.
    size : int or (int, int)
        Sides of the filters, odd.
    border : {'same', 'valid'}, int or (int, int)
        Zero padding: 'same' keeps the size of the images, 'valid' adds none, numbers are rows and columns on each side.
    pool : MaxPool or AvgPool, optional
        Pooling layer.
    activation : Activation or None
        Activation; None leaves the output linear.
    batch_norm : bool
        Whether to use batch norm instead of a bias.
    gaussian_std, p_drop : float
        Standard deviation of the noise, and probability of dropping an output.
    rng : numpy.random.Generator
        Generator of the initial filters W (size, size, n_in / groups, n_out).
    stride : int or (int, int)
        Stride of the convolution.
    groups : int
        Number of groups into which channels and filters are divided.
    p_dropConnect, dropConnect_moments
        Arguments of `utils.layers.DropConnect`.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 3,
        border: Any = 'same',
        pool: Any = None,
        activation: Activation = rna.relu(),
        batch_norm: bool = False,
        gaussian_std: float = 0.0,
        p_drop: float = 0.0,
        *,
        rng: np.random.Generator,
        stride: Any = 1,
        groups: int = 1,
        p_dropConnect: float = 0.0,
        dropConnect_moments: bool = False,
    ) -> None:
        self.size = (size, size) if np.ndim(size) == 0 else tuple(size)
        if any(s < 1 or s % 2 == 0 for s in self.size):
            raise ValueError(f'the sides of filters must be odd, got {size!r}')
        if n_in % groups or n_out % groups:
            raise ValueError(f'{n_in} channels and {n_out} filters cannot be divided into {groups} groups')
        pixels, all_out = self.size[0] * self.size[1], n_out * rna.pieces_of(activation)
        self.W = parameter(
            rna.glorot(
                rng,
                (*self.size, n_in // groups, all_out),
                pixels * n_in // groups,
                pixels * n_out // groups,
                activation,
            ),
            regularizable=True,
        )
        self.pool, self.border, self.activation = pool, border, activation
        self.stride, self.groups, self.connect = stride, groups, DropConnect(p_dropConnect, dropConnect_moments)
        self.norm = BatchNorm(all_out) if batch_norm else Bias(all_out)
        self.noise, self.dropout = GaussianNoise(gaussian_std), Dropout(p_drop, 'p_dropConv')

    def linear(self, x: Tensor, W: Tensor) -> Tensor:
        """Apply only the convolution."""
        return ops.conv2d(x, W, self.border, self.stride, self.groups)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        def rest(x):
            x = self.pool(x, phase) if self.pool else x
            x = self.noise(self.norm(x, phase), phase)
            return rna.applied(self.activation, x) if self.activation else x

        return self.dropout(self.connect.outputs(x, self.W, phase, self.linear, rest), phase)


class Residual(Layer):
    """Residual block of two 3x3 convolutions, (n, h, w, n_in) -> (n, h', w', n_out) [1]_.

    The second convolution is linear. The shortcut is added to its output, followed by pooling, activation and dropout.
    If the width grows, the shortcut pads the input with channels of zeros, which needs no parameters (option A of
    [1]_), or is a projection.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of input channels and of filters; ``n_out >= n_in`` without a projection.
    pool : MaxPool or AvgPool, optional
        Pooling between the sum and the activation.
    activation, batch_norm, gaussian_std, rng
        Arguments of `Conv`.
    p_drop : (float, float)
        Probabilities of dropping an output of the first convolution and of the block.
    projection : bool
        Whether the shortcut is a linear 1x1 convolution if the width or the size changes (option B of [1]_).
    stride : int
        Stride of the first convolution and of the shortcut.
    **dropped
        Arguments `p_dropConnect` and `dropConnect_moments` of the convolutions.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun (2015), Deep Residual Learning for Image Recognition, arXiv 1512.03385,
       eq. 1 and section 3.3; thesis 3.3.3.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        pool: Any = None,
        activation: Activation = rna.relu(),
        batch_norm: bool = True,
        gaussian_std: float = 0.0,
        p_drop: Sequence[float] = (0.0, 0.0),
        projection: bool = False,
        *,
        rng: np.random.Generator,
        stride: int = 1,
        **dropped: Any,
    ) -> None:
        if rna.pieces_of(activation) > 1:
            raise ValueError('a residual block adds its outputs before the activation, which cannot be maxout')
        if n_out < n_in and not projection:
            raise ValueError(f'a shortcut without parameters cannot narrow {n_in} channels to {n_out}')
        options = dict(batch_norm=batch_norm, gaussian_std=gaussian_std, rng=rng, **dropped)
        self.conv1 = Conv(n_in, n_out, activation=activation, p_drop=p_drop[0], stride=stride, **options)
        self.conv2 = Conv(n_out, n_out, activation=None, **options)
        self.pool, self.activation, self.dropout = pool, activation, Dropout(p_drop[1], 'p_dropConv')
        self.more, self.stride, self.projection = n_out - n_in, stride, None
        if projection and (self.more or stride > 1):
            self.projection = Conv(n_in, n_out, size=1, activation=None, stride=stride, **options)

    def shortcut(self, x: Tensor, phase: Phase) -> Tensor:
        if self.projection:
            return self.projection(x, phase)
        x = x[:, :: self.stride, :: self.stride] if self.stride > 1 else x
        if not self.more:
            return x
        return pt.concatenate([x, pt.zeros((*x.type.shape[:3], self.more), dtype=x.dtype)], axis=3)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        y = self.conv2(self.conv1(x, phase), phase) + self.shortcut(x, phase)
        if self.pool:
            y = self.pool(y, phase)
        return self.dropout(rna.applied(self.activation, y), phase)


def sides_after(network: Any, im_dim: tuple[int, int]) -> Any:
    """Return the height and width of the images after the layers that `network` has so far.

    .. deprecated:: 1.1
        Write the convolutional part as a method and call `utils.layer.n_features` on it.
    """
    warnings.warn(
        'cnn.layers.sides_after will be removed: write the convolutional part as a method, features(self, x, phase), '
        'and use utils.layer.n_features(self.features, im_dim), which is height * width * channels',
        FutureWarning,
        stacklevel=2,
    )
    parts = [part for name, value in attributes(network) for _, part in entries(name, value)]

    def so_far(network, x, phase):
        for part in parts:
            x = part(x, phase) if isinstance(part, Layer) else x
        return x

    return output_shape(MethodType(so_far, network), im_dim)[:2]


def per_convolution(network: Any, p_dropConv: Sequence[float], n_convolutions: int) -> list[Any]:
    """Check that `p_dropConv` has one probability for each of the convolutions of a network.

    Returns
    -------
    list of float

    Raises
    ------
    ValueError
        The number of values is wrong. The message says how many convolutions the network has.
    """
    values = [p_dropConv] if np.ndim(p_dropConv) == 0 else list(p_dropConv)
    if len(values) != n_convolutions:
        raise ValueError(
            f'p_dropConv must have one probability for each of the {n_convolutions} convolutions '
            f'of network {type(network).__name__}, got {len(values)}: {values}'
        )
    return values


def needs_batch_norm(network: Any, options: Any) -> None:
    """Raise ValueError for ``batch_norm=False`` in the options of a network that always uses batch norm."""
    if not options['batch_norm']:
        raise ValueError(
            f'network {type(network).__name__} always uses batch norm: batch_norm must be True, got '
            f'{options["batch_norm"]!r}'
        )


def thesis_parameter_count(network: Any) -> int:
    """Count the parameters of the convolutional part as Tables 3 and 5 of the thesis do.

    These are the pixels of each filter (regardless of its input channels) and one bias per filter or, with batch norm,
    gamma and beta.
    """
    return sum(
        conv.W.type.shape[3] * (conv.size[0] * conv.size[1] + (2 if isinstance(conv.norm, BatchNorm) else 1))  # type: ignore[attr-defined]
        for conv in sublayers(network, Conv).values()
    )
