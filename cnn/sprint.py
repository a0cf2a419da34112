"""Network Sprint: the least error for a minute of processor time, in the manner of airbench [1]_.

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
    """Patches in the directions of their principal components, all of variance 1; (n, h, w, 1) -> (n, h', w', n_out).

    ``W (patch - mean)``, and its negative for a rectifier after it, where the rows of W are eigenvectors of the
    patches' covariance over the square root of eigenvalue plus `eps` [1]_ (section 3.2). The filters come from the
    training images by `fit` and stay as they are.

    Parameters
    ----------
    size : int
        Side of the patches.
    stride : int
        Steps between them.
    components : int
        How many, the largest first; two outputs each.
    border : int
        Rows and columns of zeros on each side.
    eps : float
        Added to the eigenvalues, as a part of the variance of a pixel.

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

    The first of a convolution's filters begin by passing their channel on (`utils.rna.dirac`); beta learns `beta_rate`
    times as fast as the weights.
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
    """Whitened patches of 4x4 in steps of two, three blocks of two convolutions, mean, softmax.

    As airbench94 of [1]_: frozen whitening, dirac initialisation, batch norm after pooling and without gamma, its beta
    64 times as fast, logits times 1/9. For faces, grey and larger than the 32x32 of CIFAR-10: patches of 4x4
    pixels in steps of two in the place of 2x2 in steps of one, widths 64, 128, 256, rectifiers (GELU costs a CPU more
    than it gives), the mean of the last maps in the place of their maximum.

    Always with batch norm. Parameters as in `cnn.A`, with 6 values of `p_dropConv` (none at all: 0 each); and

    Parameters
    ----------
    beta_rate : float
        Factor on the learning rate of the betas.
    logit_scale : float
        Factor on the logits.

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
