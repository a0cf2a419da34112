"""Networks C and D: residual networks [1]_ reduced to small images, thesis Table 4; and ResNet18.

All always use batch norm, and pool where [1]_ steps by two.

.. [1] He, Zhang, Ren and Sun (2015), Deep Residual Learning for Image Recognition, arXiv 1512.03385.
"""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from cnn.layers import Conv, GlobalAvgPool, MaxPool, Residual, per_convolution
from cnn.vgg import filters
from mlp.layers import FullyConnected
from utils.annotations import Tensor
from utils.layer import Layer, Phase, n_features
from utils.layers import LayerOptions


class C(Layer):
    """A 5x5 convolution, six residual blocks, four poolings, hidden layers, softmax.

    Parameters as in `cnn.A`, with 13 values of `p_dropConv`: the first convolution's, then two for each block.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (1024,),
        p_drop: float = 0.5,
        p_dropConv: Sequence[float] = (0.2, *[0.2] * 4, *[0.3] * 4, *[0.4] * 4),
        width: float = 1.0,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': True, 'rng': rng} | options
        _needs_batch_norm(self, options)
        d = per_convolution(self, p_dropConv, 13)
        n64, n128, n256 = filters(width, 64, 128, 256)
        self.conv = Conv(1, n64, size=5, pool=MaxPool(2), p_drop=d[0], **options)
        self.block1 = Residual(n64, n64, p_drop=d[1:3], **options)
        self.block2 = Residual(n64, n64, pool=MaxPool(2), p_drop=d[3:5], **options)
        self.block3 = Residual(n64, n128, p_drop=d[5:7], **options)
        self.block4 = Residual(n128, n128, pool=MaxPool(2), p_drop=d[7:9], **options)
        self.block5 = Residual(n128, n256, p_drop=d[9:11], **options)
        self.block6 = Residual(n256, n256, pool=MaxPool(2), p_drop=d[11:13], **options)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        x = self.conv(x, phase)  # (n, 48, 48,   1) -> (n, 24, 24,  64)
        x = self.block1(x, phase)  # (n, 24, 24,  64)
        x = self.block2(x, phase)  # (n, 12, 12,  64)
        x = self.block3(x, phase)  # (n, 12, 12, 128)
        x = self.block4(x, phase)  # (n,  6,  6, 128)
        x = self.block5(x, phase)  # (n,  6,  6, 256)
        return self.block6(x, phase)  # (n,  3,  3, 256)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 2304) -> (n, n_classes)


class D(Layer):
    """Two 3x3 convolutions, a residual block, three poolings, hidden layers, softmax.

    Parameters as in `cnn.A`; the last two of the 4 values of `p_dropConv` are the block's.
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
        _needs_batch_norm(self, options)
        d = per_convolution(self, p_dropConv, 4)
        n64, n128 = filters(width, 64, 128)
        self.conv1 = Conv(1, n64, pool=MaxPool(2), p_drop=d[0], **options)
        self.conv2 = Conv(n64, n128, pool=MaxPool(2), p_drop=d[1], **options)
        self.block = Residual(n128, n128, pool=MaxPool(2), p_drop=d[2:4], **options)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        x = self.conv1(x, phase)  # (n, 48, 48,   1) -> (n, 24, 24,  64)
        x = self.conv2(x, phase)  # (n, 12, 12, 128)
        return self.block(x, phase)  # (n,  6,  6, 128)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 4608) -> (n, n_classes)


class ResNet18(Layer):
    """The 18 layers of [1]_ for small images: a 3x3 convolution, four stages of two blocks, mean, softmax.

    Parameters as in `cnn.A`, with 17 values of `p_dropConv`: the first convolution's, then two for each block; and

    Parameters
    ----------
    projection : bool
        1x1 convolutions as shortcuts where the width doubles; False: shortcuts without parameters.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun (2015), Deep Residual Learning for Image Recognition, arXiv 1512.03385, Table 1;
       the first convolution as in section 4.2.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (),
        p_drop: float = 0.0,
        p_dropConv: Sequence[float] = (0.0,) * 17,
        width: float = 1.0,
        projection: bool = True,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': True, 'rng': rng} | options
        _needs_batch_norm(self, options)
        d = per_convolution(self, p_dropConv, 17)
        n = filters(width, 64, 64, 128, 256, 512)
        self.conv = Conv(1, n[0], p_drop=d[0], **options)
        self.blocks = []
        for k in range(8):
            if k in (2, 4, 6):
                self.blocks.append(MaxPool(2))
            self.blocks.append(
                Residual(
                    n[(k + 1) // 2], n[k // 2 + 1], p_drop=d[2 * k + 1 : 2 * k + 3], projection=projection, **options
                )
            )
        self.mean = GlobalAvgPool()
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        x = self.conv(x, phase)  # (n, 48, 48,   1) -> (n, 48, 48,  64)
        for block in self.blocks:  # -> (n, 48, 48, 64) -> (n, 24, 24, 128)
            x = block(x, phase)  # -> (n, 12, 12, 256) -> (n, 6, 6, 512)
        return self.mean(x, phase)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 512) -> (n, n_classes)


def _needs_batch_norm(network, options):
    if not options['batch_norm']:
        raise ValueError(
            f'network {type(network).__name__} always uses batch norm (thesis Table 5): '
            f'batch_norm must be True, got {options["batch_norm"]!r}'
        )
