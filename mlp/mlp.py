"""The multi-layer perceptron of thesis 3.2."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from mlp.layers import FullyConnected
from utils.annotations import Tensor
from utils.layer import Layer, Phase, flatten, n_features
from utils.layers import LayerOptions


class MLP(Layer):
    """Multi-layer perceptron on the pixels.

    Parameters
    ----------
    im_dim : (int, int)
        Height and width of the images in pixels.
    n_classes : int
        Number of classes.
    n_hidden : sequence of int
        Number of units of each hidden layer.
    p_drop : float
        Probability of dropping a unit of the hidden layers.
    p_dropConv : sequence
        Always empty, because there is no convolution.
    rng : numpy.random.Generator
        Generator of the initial weights.
    **options
        Options of the layers: `activation`, `batch_norm` (True by default) and the others of
        `utils.layers.LayerOptions`.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (1024,),
        p_drop: float = 0.5,
        p_dropConv: Sequence[float] = (),
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        if len(p_dropConv):
            raise ValueError(f'p_dropConv must be empty: the network MLP has no convolutions, got {list(p_dropConv)}')
        options = {'batch_norm': True, 'rng': rng} | options
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # (n, height, width, 1)
        return flatten(x)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase)  # (n, n_classes)
