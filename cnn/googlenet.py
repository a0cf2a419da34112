"""GoogLeNet [1]_: inception modules and two auxiliary classifiers whose costs are added in training (thesis 3.3.2).

.. [1] Szegedy et al. (2014), Going Deeper with Convolutions, arXiv 1409.4842.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pytensor.tensor as pt

from cnn.layers import AvgPool, Conv, GlobalAvgPool, LocalResponseNorm, MaxPool, per_convolution
from cnn.vgg import filters
from mlp.layers import FullyConnected
from utils.annotations import Tensor
from utils.layer import Layer, Phase, n_features
from utils.layers import Dropout, LayerOptions

ORIGINAL = 200  # shorter side in pixels from which the network is that of its paper
# Table 1 of the paper: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; projection after the pooling. None: a pooling.
MODULES = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
AUXILIARY = (3, 6)  # indices into MODULES, 4a and 4d, after which the auxiliary classifiers are attached


class Inception(Layer):
    """Inception module: 1x1, 3x3 and 5x5 filters and a pooling in parallel, (n, h, w, c) -> (n, h, w, c').

    Parameters
    ----------
    n_in : int
        Number of input channels c.
    n1, n3_reduced, n3, n5_reduced, n5, projected : int
        Numbers of filters. The output has ``c' = n1 + n3 + n5 + projected`` channels.
    p_drop : float
        Probability of dropping an output.
    **options
        Options of every `Conv`.

    References
    ----------
    .. [1] Szegedy et al. (2014), Going Deeper with Convolutions, arXiv 1409.4842, Figure 2b.
    """

    def __init__(
        self,
        n_in: int,
        n1: int,
        n3_reduced: int,
        n3: int,
        n5_reduced: int,
        n5: int,
        projected: int,
        *,
        p_drop: float = 0.0,
        **options: Any,
    ) -> None:
        self.conv1 = Conv(n_in, n1, size=1, **options)
        self.reduce3, self.conv3 = Conv(n_in, n3_reduced, size=1, **options), Conv(n3_reduced, n3, **options)
        self.reduce5, self.conv5 = Conv(n_in, n5_reduced, size=1, **options), Conv(n5_reduced, n5, size=5, **options)
        self.project, self.pool = Conv(n_in, projected, size=1, **options), MaxPool(3, stride=1)
        self.dropout, self.n_out = Dropout(p_drop, 'p_dropConv'), n1 + n3 + n5 + projected

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        parts = [
            self.conv1(x, phase),
            self.conv3(self.reduce3(x, phase), phase),
            self.conv5(self.reduce5(x, phase), phase),
            self.project(self.pool(_framed(x), phase), phase),
        ]
        return self.dropout(pt.concatenate(parts, axis=3), phase)


def _framed(x):
    """Pad images by one pixel of -inf on each side, which no maximum selects."""
    n, height, width, channels = x.type.shape
    least = np.asarray(-np.inf, x.dtype)
    row = pt.full((n, 1, width, channels), least, dtype=x.dtype)
    x = pt.concatenate([row, x, row], axis=1)
    column = pt.full((n, height + 2, 1, channels), least, dtype=x.dtype)
    return pt.concatenate([column, x, column], axis=2)


class Auxiliary(Layer):
    """Auxiliary classifier: 5x5 average pooling with stride 3, 1x1 filters, a hidden layer, softmax; [1]_, section 5.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels of the inputs.
    n_classes : int
        Number of classes.
    n_filters, n_hidden : int
        Numbers of filters and of hidden units.
    **options
        Options of every layer.

    References
    ----------
    .. [1] Szegedy et al. (2014), Going Deeper with Convolutions, arXiv 1409.4842.
    """

    def __init__(self, shape: tuple[int, ...], n_classes: int, n_filters: int, n_hidden: int, **options: Any) -> None:
        height, width, channels = shape
        self.conv = Conv(channels, n_filters, size=1, **options)
        n_in = n_features(self.features, (height, width), channels)
        self.fc = FullyConnected(n_in, n_classes, [n_hidden], 0.7, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:
        window = min(5, x.type.shape[1]), min(5, x.type.shape[2])
        return self.conv(AvgPool(window, stride=3)(x, phase), phase)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)


class GoogLeNet(Layer):
    """Three convolutions, nine inception modules, global average pooling, softmax; two auxiliary classifiers [1]_.

    The parameters are those of `cnn.A`, with 9 values of `p_dropConv`, one per module, and no batch norm by default.
    `p_drop` also applies to the pooled outputs. For images of less than 200 pixels, the first convolution is 5x5 with
    stride 1 instead of 7x7 with stride 2. The last maps of 48x48 images have 3x3 pixels, those of 224x224 images 7x7.

    References
    ----------
    .. [1] Szegedy et al. (2014), Going Deeper with Convolutions, arXiv 1409.4842, Table 1; the costs of the auxiliary
       classifiers have a weight of 0.3 (section 5).
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (),
        p_drop: float = 0.4,
        p_dropConv: Sequence[float] = (0.0,) * 9,
        width: float = 1.0,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': False, 'rng': rng} | options
        drops = iter(per_convolution(self, p_dropConv, 9))
        n64, n192, n128, n1024 = filters(width, 64, 192, 128, 1024)
        first: dict[str, Any] = {'size': 7, 'stride': 2} if min(im_dim) >= ORIGINAL else {'size': 5}
        self.norm, self.pool = LocalResponseNorm(), MaxPool(3, stride=2, ignore_border=False)
        self.conv1 = Conv(1, n64, **first, **options)
        self.conv2, self.conv3 = Conv(n64, n64, size=1, **options), Conv(n64, n192, **options)
        self.modules, channels = [], n192
        for sizes in MODULES:
            module = self.pool
            if sizes is not None:
                module = Inception(channels, *filters(width, *sizes), p_drop=next(drops), **options)
                channels = module.n_out  # type: ignore[attr-defined]
            self.modules.append(module)
        self.auxiliary = [
            Auxiliary(self._shape_behind(place, im_dim), n_classes, n128, n1024, **options) for place in AUXILIARY
        ]
        self.mean, self.dropout = GlobalAvgPool(), Dropout(p_drop)
        self.fc = FullyConnected(channels, n_classes, n_hidden, p_drop, **options)

    def _shape_behind(self, place, im_dim):
        x = pt.tensor(dtype='float32', shape=(1, *im_dim, 1))
        return self._until(place, x, Phase())[0].type.shape[1:]

    def _until(self, last, x, phase):
        """Return the output of the module with index `last`, and the outputs read by the auxiliary classifiers."""
        x = self.norm(self.pool(self.conv1(x, phase), phase), phase)
        x = self.pool(self.norm(self.conv3(self.conv2(x, phase), phase), phase), phase)
        tapped = []
        for place, module in enumerate(self.modules[: last + 1]):
            x = module(x, phase)
            if place in AUXILIARY:
                tapped.append(x)
        return x, tapped

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        x, tapped = self._until(len(MODULES), x, phase)
        if phase.train:
            for classifier, seen in zip(self.auxiliary, tapped):
                phase.add_logits(classifier(seen, phase), 0.3)
        return self.fc(self.dropout(self.mean(x, phase), phase), phase)
