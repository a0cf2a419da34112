"""AlexNet [1]_ and ZFNet [2]_: the networks of ImageNet 2012 and 2013, with response normalisation (thesis 3.3.2).

For images of at least 200 pixels, each network is that of its paper. For smaller images, the strides of the first
convolutions are 1, because larger ones would leave almost nothing of 48 pixels. The last maps of 48x48 images have 5x5
or 6x6 pixels, those of 224x224 images 6x6.

.. [1] Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks, NIPS.
.. [2] Zeiler and Fergus (2013), Visualizing and Understanding Convolutional Networks, arXiv 1311.2901.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from cnn.layers import Conv, LocalResponseNorm, MaxPool, per_convolution
from cnn.vgg import filters
from mlp.layers import FullyConnected
from utils.annotations import Tensor
from utils.layer import Layer, Phase, n_features
from utils.layers import LayerOptions

ORIGINAL = 200  # shorter side in pixels from which a network is that of its paper


class AlexNet(Layer):
    """Five convolutions, three of them in two groups, overlapping poolings, response normalisation [1]_.

    The parameters are those of `cnn.A`, with 5 values of `p_dropConv` and no batch norm by default. For small images,
    the first filters are 5x5 with stride 1 instead of 11x11 with stride 4.

    References
    ----------
    .. [1] Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks,
       NIPS, section 3.5; the second, fourth and fifth convolutions read only the half of the channels on their GPU.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (4096, 4096),
        p_drop: float = 0.5,
        p_dropConv: Sequence[float] = (0.0,) * 5,
        width: float = 1.0,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': False, 'rng': rng} | options
        d = per_convolution(self, p_dropConv, 5)
        n96, n256, n384 = (2 * n for n in filters(width, 48, 128, 192))  # even: half of them on each GPU of the paper
        first: dict[str, Any] = {'size': 11, 'stride': 4, 'border': 2} if min(im_dim) >= ORIGINAL else {'size': 5}
        self.norm, self.pool = LocalResponseNorm(), MaxPool(3, stride=2)
        self.conv1 = Conv(1, n96, p_drop=d[0], **first, **options)
        self.conv2 = Conv(n96, n256, size=5, groups=2, p_drop=d[1], **options)
        self.conv3 = Conv(n256, n384, p_drop=d[2], **options)
        self.conv4 = Conv(n384, n384, groups=2, p_drop=d[3], **options)
        self.conv5 = Conv(n384, n256, groups=2, p_drop=d[4], **options)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images, and for 224x224
        for conv in (self.conv1, self.conv2):
            x = self.pool(self.norm(conv(x, phase), phase), phase)
        # (n, 11, 11, 256), (n, 13, 13, 256)
        x = self.conv5(self.conv4(self.conv3(x, phase), phase), phase)
        return self.pool(x, phase)  # (n, 5, 5, 256), (n, 6, 6, 256)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)


class ZFNet(Layer):
    """AlexNet with smaller filters and strides in its first two convolutions, without groups [1]_.

    The parameters are those of `AlexNet`. For small images, the first two convolutions have 5x5 filters with stride 1.

    References
    ----------
    .. [1] Zeiler and Fergus (2013), Visualizing and Understanding Convolutional Networks, arXiv 1311.2901, Figure 3.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (4096, 4096),
        p_drop: float = 0.5,
        p_dropConv: Sequence[float] = (0.0,) * 5,
        width: float = 1.0,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': False, 'rng': rng} | options
        d = per_convolution(self, p_dropConv, 5)
        n96, n256, n384 = filters(width, 96, 256, 384)
        original = min(im_dim) >= ORIGINAL
        first: dict[str, Any] = {'size': 7, 'stride': 2, 'border': 1} if original else {'size': 5}
        second: dict[str, Any] = {'size': 5, 'stride': 2, 'border': 0} if original else {'size': 5}
        self.norm, self.pool = LocalResponseNorm(), MaxPool(3, stride=2, ignore_border=False)
        self.conv1 = Conv(1, n96, p_drop=d[0], **first, **options)
        self.conv2 = Conv(n96, n256, p_drop=d[1], **second, **options)
        self.conv3 = Conv(n256, n384, p_drop=d[2], **options)
        self.conv4 = Conv(n384, n384, p_drop=d[3], **options)
        self.conv5 = Conv(n384, n256, p_drop=d[4], **options)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images, and for 224x224
        for conv in (self.conv1, self.conv2):
            x = self.norm(self.pool(conv(x, phase), phase), phase)
        # (n, 12, 12, 256), (n, 13, 13, 256)
        x = self.conv5(self.conv4(self.conv3(x, phase), phase), phase)
        return self.pool(x, phase)  # (n, 6, 6, 256), (n, 6, 6, 256)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)
