"""Networks C and D, residual networks [1]_ adapted to small images (thesis Table 4), and ResNet18 and ResNet34.

All of them always use batch norm. They pool where [1]_ uses a stride of 2; ResNets can also use the strides.

.. [1] He, Zhang, Ren and Sun (2015), Deep Residual Learning for Image Recognition, arXiv 1512.03385.
"""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from cnn.layers import Conv, GlobalAvgPool, MaxPool, Residual, needs_batch_norm, per_convolution
from cnn.vgg import filters
from mlp.layers import FullyConnected
from utils.annotations import Tensor
from utils.layer import Layer, Phase, n_features
from utils.layers import LayerOptions


class C(Layer):
    """A 5x5 convolution, six residual blocks, four poolings, hidden layers, softmax.

    The parameters are those of `cnn.A`, with 13 values of `p_dropConv`: one for the first convolution, then two for
    each block.
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
        needs_batch_norm(self, options)
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

    The parameters are those of `cnn.A`. The last two of the 4 values of `p_dropConv` belong to the block.
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
        needs_batch_norm(self, options)
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
    """The 18 layers of [1]_: a convolution, four stages of two blocks, global average pooling, softmax.

    For small images, the first convolution is 3x3 with stride 1, as in section 4.2 of [1]_. The original network, for
    images of 224x224, starts with 7x7 filters of stride 2 and a pooling.

    The parameters are those of `cnn.A`, with 17 values of `p_dropConv` and three more. One value of `p_dropConv`
    belongs to the first convolution and two to each block; an empty sequence means 0 for all.

    Parameters
    ----------
    projection : bool
        Whether shortcuts are 1x1 convolutions where the width doubles; otherwise they have no parameters.
    strides : bool
        Whether the first convolution of a stage has stride 2, as in [1]_; otherwise a pooling precedes it.
    original : bool
        Whether to use the first layers of [1]_.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun (2015), Deep Residual Learning for Image Recognition, arXiv 1512.03385, Table 1.
    """

    stages = (2, 2, 2, 2)

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (),
        p_drop: float = 0.0,
        p_dropConv: Sequence[float] = (),
        width: float = 1.0,
        projection: bool = True,
        strides: bool = False,
        original: bool = False,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': True, 'rng': rng} | options
        needs_batch_norm(self, options)
        n_convolutions = 1 + 2 * sum(self.stages)
        d = per_convolution(self, p_dropConv if np.size(p_dropConv) else (0.0,) * n_convolutions, n_convolutions)
        n = filters(width, 64, 64, 128, 256, 512)
        first = {'size': 7, 'stride': 2} if original else {}
        pool = MaxPool(3, stride=2, ignore_border=False) if original else None
        self.conv = Conv(1, n[0], pool=pool, p_drop=d[0], **first, **options)
        self.blocks = []
        before, drops = n[0], iter(zip(d[1::2], d[2::2]))
        for stage, (n_blocks, n_out) in enumerate(zip(self.stages, n[1:])):
            if stage and not strides:
                self.blocks.append(MaxPool(2))
            for k in range(n_blocks):
                step = 2 if strides and stage and k == 0 else 1
                block = Residual(before, n_out, p_drop=next(drops), projection=projection, stride=step, **options)
                self.blocks.append(block)
                before = n_out
        self.mean = GlobalAvgPool()
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        x = self.conv(x, phase)  # (n, 48, 48,   1) -> (n, 48, 48,  64)
        for block in self.blocks:  # -> (n, 48, 48, 64) -> (n, 24, 24, 128)
            x = block(x, phase)  # -> (n, 12, 12, 256) -> (n, 6, 6, 512)
        return self.mean(x, phase)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 512) -> (n, n_classes)


class ResNet34(ResNet18):
    """The 34 layers of [1]_: `ResNet18` with stages of 3, 4, 6 and 3 blocks, and 33 values of `p_dropConv`.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun (2015), Deep Residual Learning for Image Recognition, arXiv 1512.03385, Table 1.
    """

    stages = (3, 4, 6, 3)
