"""Costs: negative log-likelihood, smoothed labels, number of errors, L1 and L2 terms.

All take `logits`, the linear outputs (n, n_classes) of a network, and `y`, labels (n,) of an integer type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

from utils.layer import mean, parameters

if TYPE_CHECKING:
    from utils.annotations import Tensor
    from utils.layer import Layer


def negative_log_likelihood(logits: Tensor, y: Tensor) -> Tensor:
    """Minus the log-probability that the softmax gives to the true class, (n,); thesis eq. 4-5."""
    log_p = pt.special.log_softmax(logits, axis=1)
    return -log_p[pt.arange(y.shape[0]), y.astype('int32')]


def smoothed(losses: Tensor, logits: Tensor, smoothing: float) -> Tensor:
    """Costs (n,) of labels of which the part `smoothing` is spread evenly over all classes [1]_.

    Parameters
    ----------
    losses : tensor (n,)
        Negative log-likelihoods of the labels as they are.
    smoothing : float in [0, 1)

    References
    ----------
    .. [1] Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), Rethinking the Inception Architecture for Computer
       Vision, CVPR, section 7.
    """
    even = -mean(pt.special.log_softmax(logits, axis=1), 1)
    return np.float32(1 - smoothing) * losses + np.float32(smoothing) * even


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of `values` (n,) over the images whose weight (n,) is 1; images that only fill up have 0."""
    return total(values, weights) / total(weights, weights)


def total(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of `values` (n,) over the images whose weight (n,) is 1."""
    return pt.sum(values * weights, dtype=weights.dtype, acc_dtype=weights.dtype)


def errors(logits: Tensor, y: Tensor) -> Tensor:
    """1.0 for each image whose largest output is not its class, else 0.0; (n,)."""
    return pt.neq(pt.argmax(logits, axis=1), y).astype(logits.dtype)


def l1(network: Layer) -> Tensor:
    """Sum of the absolute values of all weights (biases, gamma and beta are not weights)."""
    return sum(abs(W).sum(acc_dtype=W.dtype) for W in parameters(network, regularizable=True).values())


def l2(network: Layer) -> Tensor:
    """Sum of the squares of all weights."""
    return sum((W**2).sum(acc_dtype=W.dtype) for W in parameters(network, regularizable=True).values())
