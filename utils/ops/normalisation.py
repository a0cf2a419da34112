"""Local response normalisation, an expression of PyTensor's own operations and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

from utils.ops.images import as_images

if TYPE_CHECKING:
    from utils.annotations import Tensor


def local_response_norm(x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> Tensor:
    """Normalise each output by the squares of neighbouring channels at the same position [1]_.

    ``y[..., c] = x[..., c] / (k + alpha * sum over c' of x[..., c'] ** 2) ** beta``, with c' from ``c - size // 2`` to
    ``c + size // 2``, limited to existing channels.

    Parameters
    ----------
    x : tensor (n, height, width, channels)
        Images of static shape.
    size : int
        Number of channels in a neighbourhood, odd. (PyTorch and Caffe divide alpha by it; the paper does not.)
    alpha, beta, k : float

    Returns
    -------
    tensor (n, height, width, channels)

    Raises
    ------
    ValueError
        If the size is even or below 1, or the shape of the images is not static.

    References
    ----------
    .. [1] Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks,
       NIPS, section 3.3.
    """
    x = as_images(x)
    n, height, width, channels = x.type.shape
    if size != int(size) or size < 1 or size % 2 == 0:
        raise ValueError(f'the size of a neighbourhood must be odd, got {size!r}')
    if None in (n, height, width, channels):
        raise ValueError(f'local response normalisation needs images of known shape, got {x.type}')
    half = size // 2
    zeros = pt.zeros((n, height, width, half), dtype=x.dtype)
    squares = pt.concatenate([zeros, x**2, zeros], axis=3) if half else x**2
    total = sum(squares[..., j : j + channels] for j in range(1, size)) + squares[..., :channels] if half else squares
    number = np.dtype(x.dtype).type
    return x / (number(k) + number(alpha) * total) ** number(beta)
