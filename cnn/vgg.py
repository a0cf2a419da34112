"""Networks A and B: VGGNet [1]_ reduced to small images, thesis Table 2; VGG, a wider one, and VGG11.

.. [1] Simonyan and Zisserman (2014), Very Deep Convolutional Networks for Large-Scale Image Recognition,
   arXiv 1409.1556.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Unpack

import numpy as np

from cnn.layers import Conv, MaxPool, per_convolution
from mlp.layers import FullyConnected
from utils.annotations import Tensor
from utils.layer import Layer, Phase, n_features
from utils.layers import LayerOptions


class A(Layer):
    """Four 3x3 convolutions, three poolings, hidden layers, softmax.

    Parameters
    ----------
    im_dim : (int, int)
        Height and width of the images; 8 at least.
    n_classes : int
    n_hidden : sequence of int
        Units of each hidden layer.
    p_drop : float
        Probability of dropping a unit of the hidden layers.
    p_dropConv : sequence of 4 floats
        The same for the outputs of each convolution.
    width : float
        Factor on the number of filters; 1 is the thesis's network.
    rng : numpy.random.Generator
        Draws the weights.
    **options
        `activation`, `batch_norm` (True here) and the others of `utils.layers.LayerOptions`.

    Raises
    ------
    ValueError
        The images are too small, or an argument is out of its range.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (1024,),
        p_drop: float = 0.5,
        p_dropConv: Sequence[float] = (0.2, 0.3, 0.4, 0.5),
        width: float = 1.0,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': True, 'rng': rng} | options
        d1, d2, d3, d4 = per_convolution(self, p_dropConv, 4)
        n64, n128, n256 = filters(width, 64, 128, 256)
        self.conv1 = Conv(1, n64, pool=MaxPool(2), p_drop=d1, **options)
        self.conv2 = Conv(n64, n128, pool=MaxPool(2), p_drop=d2, **options)
        self.conv3 = Conv(n128, n256, p_drop=d3, **options)
        self.conv4 = Conv(n256, n256, pool=MaxPool(2), p_drop=d4, **options)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        x = self.conv1(x, phase)  # (n, 48, 48,   1) -> (n, 24, 24,  64)
        x = self.conv2(x, phase)  # (n, 12, 12, 128)
        x = self.conv3(x, phase)  # (n, 12, 12, 256)
        return self.conv4(x, phase)  # (n,  6,  6, 256)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 9216) -> (n, n_classes)


class B(Layer):
    """Six 3x3 convolutions, four poolings, hidden layers, softmax.

    Parameters as in `A`, with six values of `p_dropConv`, and

    Parameters
    ----------
    last_pool : bool
        The fourth pooling; False leaves images of 6x6 pixels (of 48x48) to the hidden layers, not 3x3.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (1024,),
        p_drop: float = 0.5,
        p_dropConv: Sequence[float] = (0.2, 0.3, 0.4, 0.4, 0.2, 0.2),
        width: float = 1.0,
        last_pool: bool = True,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': True, 'rng': rng} | options
        d1, d2, d3, d4, d5, d6 = per_convolution(self, p_dropConv, 6)
        n64, n128, n256, n512 = filters(width, 64, 128, 256, 512)
        self.conv1 = Conv(1, n64, pool=MaxPool(2), p_drop=d1, **options)
        self.conv2 = Conv(n64, n128, pool=MaxPool(2), p_drop=d2, **options)
        self.conv3 = Conv(n128, n256, p_drop=d3, **options)
        self.conv4 = Conv(n256, n256, pool=MaxPool(2), p_drop=d4, **options)
        self.conv5 = Conv(n256, n512, p_drop=d5, **options)
        self.conv6 = Conv(n512, n512, pool=MaxPool(2) if last_pool else None, p_drop=d6, **options)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        x = self.conv1(x, phase)  # (n, 48, 48,   1) -> (n, 24, 24,  64)
        x = self.conv2(x, phase)  # (n, 12, 12, 128)
        x = self.conv3(x, phase)  # (n, 12, 12, 256)
        x = self.conv4(x, phase)  # (n,  6,  6, 256)
        x = self.conv5(x, phase)  # (n,  6,  6, 512)
        return self.conv6(x, phase)  # (n,  3,  3, 512)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 4608) -> (n, n_classes)


class VGG(Layer):
    """Four pairs of 3x3 convolutions, a pooling after each, hidden layers, softmax [1]_.

    The network of the best single figure on FER2013 without other data, 73.28 % of the public half right (chosen on
    the private half), with hidden layers of 4096 and 4096 and `p_drop` 0.2 on crops of 40x40 pixels, which leave
    2x2. Here the hidden layers are normalised as well.

    Parameters as in `A`, with eight values of `p_dropConv`.

    References
    ----------
    .. [1] Khaireddin and Chen (2021), Facial Emotion Recognition: State of the Art Performance on FER2013,
       arXiv 2105.03588, section III.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (4096, 4096),
        p_drop: float = 0.2,
        p_dropConv: Sequence[float] = (0.0,) * 8,
        width: float = 1.0,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': True, 'rng': rng} | options
        d = per_convolution(self, p_dropConv, 8)
        n = [1, *filters(width, 64, 128, 256, 512)]
        self.conv = []
        for k in range(4):
            self.conv += [
                Conv(n[k], n[k + 1], p_drop=d[2 * k], **options),
                Conv(n[k + 1], n[k + 1], pool=MaxPool(2), p_drop=d[2 * k + 1], **options),
            ]
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        for conv in self.conv:  # (n, 48, 48,   1) -> (n, 24, 24,  64) -> (n, 12, 12, 128)
            x = conv(x, phase)  # -> (n, 6, 6, 256) -> (n, 3, 3, 512)
        return x

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 4608) -> (n, n_classes)


class VGG11(Layer):
    """Configuration A of [1]_, of which the thesis's A and B are the beginning: eight convolutions, five poolings.

    For images of 224x224 it is that of [1]_; smaller ones, 32 at least, leave less before the hidden layers: 48x48 a
    single pixel of 512 channels.

    Parameters as in `A`, with eight values of `p_dropConv`; without batch norm, as [1]_.

    References
    ----------
    .. [1] Simonyan and Zisserman (2014), Very Deep Convolutional Networks for Large-Scale Image Recognition,
       arXiv 1409.1556, Table 1.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (4096, 4096),
        p_drop: float = 0.5,
        p_dropConv: Sequence[float] = (0.0,) * 8,
        width: float = 1.0,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': False, 'rng': rng} | options
        d = per_convolution(self, p_dropConv, 8)
        n = [1, *filters(width, 64, 128, 256, 256, 512, 512, 512, 512)]
        pooled = (0, 1, 3, 5, 7)  # the others keep their size
        self.conv = [
            Conv(n[k], n[k + 1], pool=MaxPool(2) if k in pooled else None, p_drop=d[k], **options) for k in range(8)
        ]
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        for conv in self.conv:  # (n, 48, 48, 1) -> (n, 24, 24, 64) -> (n, 12, 12, 128) -> (n, 6, 6, 256)
            x = conv(x, phase)  # -> (n, 3, 3, 512) -> (n, 1, 1, 512)
        return x

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 512) -> (n, n_classes)


def filters(width: float, *counts: Any) -> list[Any]:
    """Numbers of filters times `width`, rounded, at least 1."""
    if not (isinstance(width, Real) and 0 < width < 1e9):
        raise ValueError(f'width must be a factor > 0 on the number of filters, got {width!r}')
    return [max(1, round(width * n)) for n in counts]
