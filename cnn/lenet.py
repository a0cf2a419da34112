"""LeNet-5, thesis 3.3.2."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from cnn.layers import AvgPool, Conv, per_convolution
from mlp.layers import FullyConnected
from utils import rna
from utils.annotations import Tensor
from utils.layer import Layer, Phase, n_features
from utils.layers import LayerOptions
from utils.rna import Activation


class LeNet5(Layer):
    """Two 5x5 convolutions without padding, each pooled, hidden layers of 120 and 84 units, softmax [1]_.

    There are two differences from 1998: the pooling has no parameters, and the second convolution reads all channels
    instead of a selection for each filter. The parameters are those of `cnn.A`, with two values of `p_dropConv`.

    References
    ----------
    .. [1] LeCun, Bottou, Bengio and Haffner (1998), Gradient-Based Learning Applied to Document Recognition,
       Proceedings of the IEEE 86, section II.B.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (120, 84),
        activation: Activation = rna.tanh(),
        batch_norm: bool = False,
        p_drop: float = 0.0,
        p_dropConv: Sequence[float] = (0.0, 0.0),
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = dict(activation=activation, batch_norm=batch_norm, rng=rng) | options
        d1, d2 = per_convolution(self, p_dropConv, 2)
        self.conv1 = Conv(1, 6, size=5, border='valid', pool=AvgPool(2), p_drop=d1, **options)
        self.conv2 = Conv(6, 16, size=5, border='valid', pool=AvgPool(2), p_drop=d2, **options)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 32x32 images
        x = self.conv1(x, phase)  # (n, 32, 32,  1) -> (n, 14, 14, 6)
        return self.conv2(x, phase)  # (n,  5,  5, 16)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, 400) -> (n, n_classes)
