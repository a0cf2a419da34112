"""AlexNet [1]_ and ZFNet [2]_: the networks of ImageNet 2012 and 2013, with response normalisation (thesis 3.3.2).

Each is its paper's for images of 200 pixels and more. For smaller ones the steps of the first convolutions, which
would leave nothing of 48 pixels, are left out: 48x48 then become 5x5 or 6x6 pixels, as 224x224 become 6x6.

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

ORIGINAL = 200  # pixels of the shorter side from which a network is its paper's


class AlexNet(Layer):
    """Five convolutions, three of them in two groups, overlapping poolings, response normalisation [1]_.

    Parameters as in `cnn.A`, with 5 values of `p_dropConv`, without batch norm; the adaptation to small images is 5x5
    filters in place of 11x11 in steps of 4.

    References
    ----------
    .. [1] Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks,
       NIPS, section 3.5; the second, fourth and fifth convolution read the half of the channels that is on their GPU.
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
        n96, n256, n384 = (2 * n for n in filters(width, 48, 128, 192))  # even: each GPU has half of them
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
    """AlexNet with smaller filters and steps in its first two convolutions, without groups [1]_.

    Parameters as in `AlexNet`; the adaptation to small images is 5x5 filters in steps of 1 in two convolutions.

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
