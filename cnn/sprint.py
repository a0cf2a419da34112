"""Network Sprint, designed like airbench [1]_ for the lowest error in a minute of processor time.

.. [1] Jordan (2024), 94% on CIFAR-10 in 3.29 Seconds on a Single A100 GPU, arXiv 2404.00498.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from cnn.layers import Conv, GlobalAvgPool, MaxPool, needs_batch_norm, per_convolution
from cnn.vgg import filters
from mlp.layers import FullyConnected
from utils import ops, rna
from utils.annotations import Tensor
from utils.layer import Layer, Phase, n_features, parameter
from utils.layers import BatchNorm, Bias, LayerOptions


class Whitening(Layer):
    """Whitening of patches: projections on their principal components; (n, h, w, 1) -> (n, h', w', 2 * components).

    The outputs are ``W (patch - mean)`` and their negatives, for a rectifier after the layer. The rows of W are
    eigenvectors of the patches' covariance, divided by the square root of eigenvalue plus `eps` ([1]_, section 3.2).
    `fit` computes the filters from the training images; they are not trained.

    Parameters
    ----------
    size : int
        Side of the patches in pixels.
    stride : int
        Distance between patches in pixels.
    components : int
        Number of principal components, the largest first; each gives two outputs.
    border : int
        Rows and columns of zero padding on each side.
    eps : float
        Constant added to the eigenvalues, relative to the variance of the pixels.

    References
    ----------
    .. [1] Jordan (2024), arXiv 2404.00498; the idea is Page's (2019), How to Train Your ResNet.
    """

    def __init__(self, size: int, stride: int, components: int, border: int = 0, eps: float = 5e-4) -> None:
        self.size, self.stride, self.border, self.eps = size, stride, border, eps
        self.W = parameter(np.zeros((size, size, 1, 2 * components)), trainable=False)
        self.shift = parameter(np.zeros(2 * components), trainable=False)

    def fit(self, images: np.ndarray) -> None:
        """Compute the filters from images (n, h, w, 1) in [0, 1]."""
        windows = np.lib.stride_tricks.sliding_window_view(images[..., 0], (self.size, self.size), (1, 2))
        patches = windows[:, :: self.stride, :: self.stride].reshape(-1, self.size**2).astype(np.float64)
        mean = patches.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False, bias=True))  # ascending
        scale = np.sqrt(values + self.eps * patches.var())
        rows = (vectors / scale).T[::-1][: self.shift.type.shape[0] // 2]
        rows *= np.sign(rows[np.arange(len(rows)), abs(rows).argmax(axis=1)])[:, None]  # the same on every machine
        rows = np.concatenate([rows, -rows])
        floatX = self.W.dtype
        self.W.set_value(rows.T.reshape(self.W.type.shape).astype(floatX))
        self.shift.set_value((-rows @ mean).astype(floatX))

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return ops.conv2d(x, self.W, self.border, self.stride) + self.shift


class SprintBlock(Layer):
    """Two 3x3 convolutions, the first pooled, each with batch norm without gamma: (n, h, w, i) -> (n, h/2, w/2, o).

    The first filters of each convolution initially pass one channel through (`utils.rna.dirac`). The learning rate of
    beta is `beta_rate` times that of the weights.
    """

    def __init__(self, n_in: int, n_out: int, p_drop: Sequence[float], beta_rate: float, **options: Any) -> None:
        self.conv1 = Conv(n_in, n_out, pool=MaxPool(2), p_drop=p_drop[0], **options)
        self.conv2 = Conv(n_out, n_out, p_drop=p_drop[1], **options)
        for conv in (self.conv1, self.conv2):
            conv.W.set_value(rna.dirac(conv.W.get_value()))
            conv.norm = BatchNorm(conv.W.type.shape[3], scale=False, beta_rate=beta_rate)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.conv2(self.conv1(x, phase), phase)


class Sprint(Layer):
    """Whitened 4x4 patches with stride 2, three blocks of two convolutions, global average pooling, softmax.

    As in airbench94 of [1]_, the whitening is frozen, the initialisation is dirac, batch norm comes after pooling and
    has no gamma, the learning rate of beta is 64 times as large, and the logits are multiplied by 1/9. The changes for
    faces, which are grey and larger than the 32x32 pixels of CIFAR-10, are 4x4 patches with stride 2 instead of 2x2
    with stride 1; widths of 64, 128 and 256; rectifiers instead of GELU, whose cost on a CPU exceeds its benefit; and
    the mean of the last maps instead of their maximum.

    The network always uses batch norm. The parameters are those of `cnn.A`, with 6 values of `p_dropConv` (an empty
    sequence means 0 for all), and two more:

    Parameters
    ----------
    beta_rate : float
        Factor of the learning rate of beta.
    logit_scale : float
        Factor of the logits.

    References
    ----------
    .. [1] Jordan (2024), 94% on CIFAR-10 in 3.29 Seconds on a Single A100 GPU, arXiv 2404.00498, section 3.
    """

    def __init__(
        self,
        im_dim: tuple[int, int],
        n_classes: int,
        n_hidden: Sequence[int] = (),
        p_drop: float = 0.0,
        p_dropConv: Sequence[float] = (),
        width: float = 1.0,
        beta_rate: float = 64.0,
        logit_scale: float = 1 / 9,
        *,
        rng: np.random.Generator,
        **options: Unpack[LayerOptions],
    ) -> None:
        options = {'batch_norm': True, 'rng': rng} | options
        needs_batch_norm(self, options)
        d = per_convolution(self, p_dropConv, 6) if len(p_dropConv) else [0.0] * 6
        n64, n128, n256 = filters(width, 64, 128, 256)
        self.activation = options.get('activation', rna.relu())
        self.whitening, self.bias = Whitening(4, 2, components=16, border=1), Bias(32)
        self.block1 = SprintBlock(32, n64, d[0:2], beta_rate, **options)
        self.block2 = SprintBlock(n64, n128, d[2:4], beta_rate, **options)
        self.block3 = SprintBlock(n128, n256, d[4:6], beta_rate, **options)
        self.mean = GlobalAvgPool()
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, n_hidden, p_drop, **options)
        self.logit_scale = logit_scale

    def features(self, x: Tensor, phase: Phase) -> Tensor:  # shapes for 48x48 images
        x = self.bias(self.whitening(x, phase), phase)  # (n, 48, 48, 1) -> (n, 24, 24, 32)
        x = rna.applied(self.activation, x)
        x = self.block1(x, phase)  # (n, 24, 24,  32) -> (n, 12, 12,  64)
        x = self.block2(x, phase)  # (n, 12, 12,  64) -> (n,  6,  6, 128)
        x = self.block3(x, phase)  # (n,  6,  6, 128) -> (n,  3,  3, 256)
        return self.mean(x, phase)  # (n, 256)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.fc(self.features(x, phase), phase) * np.asarray(self.logit_scale, x.dtype)
