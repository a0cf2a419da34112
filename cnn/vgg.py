"""Networks A and B, VGGNet [1]_ adapted to small images (thesis Table 2), the wider network VGG, and VGG11.

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
        Height and width of the images in pixels, at least 8.
    n_classes : int
        Number of classes.
    n_hidden : sequence of int
        Number of units of each hidden layer.
    p_drop : float
        Probability of dropping a unit of the hidden layers.
    p_dropConv : sequence of 4 floats
        Probability of dropping an output of each convolution.
    width : float
        Factor of the number of filters; 1 gives the network of the thesis.
    rng : numpy.random.Generator
        Generator of the initial weights.
    **options
        Options of the layers: `activation`, `batch_norm` (True by default) and the others of
        `utils.layers.LayerOptions`.

    Raises
    ------
    ValueError
        The images are too small, or an argument is out of range.
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

    The parameters are those of `A`, with six values of `p_dropConv`, and one more:

    Parameters
    ----------
    last_pool : bool
        Whether there is a fourth pooling. Without it, the hidden layers read 6x6 instead of 3x3 pixels of 48x48 images.
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

    This network has the best published accuracy of a single network on FER2013 without other data: 73.28 % of the
    public half, chosen on the private half. It was reached with hidden layers of 4096 and 4096 units and `p_drop` 0.2
    on crops of 40x40 pixels, whose last maps have 2x2 pixels. Here, batch norm is also used in the hidden layers.

    The parameters are those of `A`, with eight values of `p_dropConv`.

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
    """Configuration A of [1]_, of which networks A and B of the thesis are the first layers: eight convolutions.

    The network has five poolings. For images of 224x224 it is that of [1]_. Smaller images, of at least 32x32, leave
    fewer pixels for the hidden layers: 48x48 leave a single pixel of 512 channels.

    The parameters are those of `A`, with eight values of `p_dropConv` and, as in [1]_, no batch norm by default.

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
        pooled = (0, 1, 3, 5, 7)  # convolutions followed by a pooling
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
    """Multiply numbers of filters by `width` and round them, to at least 1."""
    if not (isinstance(width, Real) and 0 < width < 1e9):
        raise ValueError(f'width must be a factor > 0 of the number of filters, got {width!r}')
    return [max(1, round(width * n)) for n in counts]
