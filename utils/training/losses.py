"""Losses: negative log-likelihood, squared hinge, smoothed and soft labels, number of errors, L1 and L2 terms.

All take `logits` (n, n_classes), the linear outputs of a network, and `y`, integer labels (n,).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytensor.tensor as pt

from utils.layer import mean, parameters

if TYPE_CHECKING:
    from utils.annotations import Tensor
    from utils.layer import Layer
    from utils.training.targets import Distillation


class Labels(NamedTuple):
    """Labels and soft targets of the images of a minibatch.

    Attributes
    ----------
    y : tensor (n,)
        Class of each image.
    weight : tensor (n,) or None
        Weight of these labels for each image, if images are mixed; None: 1.
    votes, teacher : tensor (n, n_classes) or None
        Distributions over the classes, if the cost uses them, see `utils.training.targets`.
    """

    y: Tensor
    weight: Tensor | None = None
    votes: Tensor | None = None
    teacher: Tensor | None = None

    def mixed(self, partner: Callable[[Tensor], Tensor], weight: Tensor) -> list[Labels]:
        """Labels of mixed images: their own with `weight` (n,), those of their partners with 1 minus it."""
        others = (None if values is None else partner(values) for values in (self.votes, self.teacher))
        return [self._replace(weight=weight), Labels(partner(self.y), 1 - weight, *others)]


def negative_log_likelihood(logits: Tensor, y: Tensor) -> Tensor:
    """Negative log-probability of the true class under the softmax, (n,); thesis eq. 4-5."""
    log_p = pt.special.log_softmax(logits, axis=1)
    return -log_p[pt.arange(y.shape[0]), y.astype('int32')]


def squared_hinge(logits: Tensor, y: Tensor) -> Tensor:
    """Sum of the squared hinge losses of one-versus-rest classifiers, (n,): the L2-SVM of [1]_.

    ``sum over k of max(0, 1 - t_k * s_k) ** 2`` with the scores s and t = 1 for the class of the image, -1 for others.

    References
    ----------
    .. [1] Tang (2013), Deep Learning using Linear Support Vector Machines, ICML workshop, eq. 9 and section 2.3. It won
       the FER2013 challenge. Its penalty on the squares of the weights is `L2_reg` or `weight_decay` here.
    """
    one = np.asarray(1, logits.dtype)
    classes = np.arange(logits.type.shape[1], dtype='int32')[None]
    target = pt.switch(pt.eq(y.astype('int32').dimshuffle(0, 'x'), classes), one, -one)
    return pt.sum(pt.maximum(one - target * logits, 0) ** 2, axis=1, dtype=logits.dtype, acc_dtype=logits.dtype)


LOSSES = {'nll': negative_log_likelihood, 'l2svm': squared_hinge}


def smoothed(losses: Tensor, logits: Tensor, smoothing: float) -> Tensor:
    """Costs (n,) with label smoothing [1]_.

    Parameters
    ----------
    losses : tensor (n,)
        Negative log-likelihoods of the labels.
    logits : tensor (n, n_classes)
    smoothing : float in [0, 1)
        Part of each label that is spread evenly over all classes.

    References
    ----------
    .. [1] Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), Rethinking the Inception Architecture for Computer
       Vision, CVPR, section 7.
    """
    even = -mean(pt.special.log_softmax(logits, axis=1), 1)
    return np.float32(1 - smoothing) * losses + np.float32(smoothing) * even


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropies (n,) between distributions over the classes, `targets` (n, n_classes), and the softmax.

    ``-sum over k of targets_k * log p_k``. For the distribution of the annotators' votes, this is scheme CEL of [1]_.

    References
    ----------
    .. [1] Barsoum, Zhang, Canton Ferrer and Zhang (2016), Training Deep Networks for Facial Expression Recognition with
       Crowd-Sourced Label Distribution, ICMI, arXiv 1608.01041, section 4.
    """
    log_p = pt.special.log_softmax(logits, axis=1)
    return -pt.sum(targets * log_p, axis=1, dtype=logits.dtype, acc_dtype=logits.dtype)


def distilled(costs: Tensor, logits: Tensor, teacher: Tensor, distillation: Distillation) -> Tensor:
    """Costs (n,) that combine those of the labels with the outputs of a teacher [1]_.

    ``(1 - w) * costs + w * T ** 2 * cross_entropy(logits / T, teacher)``. The factor T ** 2 compensates for the
    gradients of the second term, which shrink by T ** 2.

    Parameters
    ----------
    costs : tensor (n,)
        Costs of the labels.
    logits : tensor (n, n_classes)
    teacher : tensor (n, n_classes)
        Softmax of the teacher's logits divided by T.
    distillation : Distillation
        Weight w and temperature T.

    References
    ----------
    .. [1] Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Neural Network, arXiv 1503.02531, section 2.
    """
    weight, temperature = distillation.weight, distillation.temperature
    soft = cross_entropy(logits * np.float32(1 / temperature), teacher)
    return np.float32(1 - weight) * costs + np.float32(weight * temperature**2) * soft


def image_costs(
    logits: Tensor,
    labels: Sequence[Labels],
    smoothing: float = 0.0,
    class_weights: np.ndarray | None = None,
    loss: str = 'nll',
    distillation: Distillation | None = None,
) -> tuple[Tensor, Tensor]:
    """Losses (n,) of the images by their labels alone, and their costs (n,) in training.

    Parameters
    ----------
    logits : tensor (n, n_classes)
    labels : sequence of Labels
        Labels of the images; two with weights if images are mixed.
    smoothing : float in [0, 1)
        See `smoothed`; applied to labels and votes, not to a teacher's outputs.
    class_weights : array (n_classes,), optional
        Factors on the costs by class, see `utils.training.balance`.
    loss : {'nll', 'l2svm'}
        Name of the loss, a key of `LOSSES`.
    distillation : Distillation, optional
        Weight and temperature of a teacher's outputs, if the labels have them.

    Returns
    -------
    loss, costs : tensor (n,)
        The same expression if no option distinguishes them.
    """
    plain = class_weights is None and labels[0].votes is labels[0].teacher is None  # smoothed once, at the end

    def of(one):
        nll = LOSSES[loss](logits, one.y)
        if plain:
            return nll, nll
        costs = nll if one.votes is None else cross_entropy(logits, one.votes)
        costs = smoothed(costs, logits, smoothing) if smoothing else costs
        if one.teacher is not None:
            costs = distilled(costs, logits, one.teacher, distillation)
        return nll, costs if class_weights is None else costs * pt.constant(class_weights)[one.y.astype('int32')]

    nll, costs = of(labels[0])
    if len(labels) > 1:
        a, b = (one.weight for one in labels)
        nll, costs = (a * own + b * more for own, more in zip((nll, costs), of(labels[1])))
    if plain:
        costs = smoothed(nll, logits, smoothing) if smoothing else nll
    return nll, costs


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of `values` (n,) over the images whose weight (n,) is 1; images that fill up a minibatch have 0."""
    return total(values, weights) / total(weights, weights)


def total(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of `values` (n,) over the images whose weight (n,) is 1."""
    return pt.sum(values * weights, dtype=weights.dtype, acc_dtype=weights.dtype)


def errors(logits: Tensor, y: Tensor) -> Tensor:
    """Errors (n,): 1.0 for each image whose largest logit is not that of its class, otherwise 0.0."""
    return pt.neq(pt.argmax(logits, axis=1), y).astype(logits.dtype)


def l1(network: Layer) -> Tensor:
    """Sum of the absolute values of all weights (biases, gamma and beta are not weights)."""
    return sum(abs(W).sum(acc_dtype=W.dtype) for W in parameters(network, regularizable=True).values())


def l2(network: Layer) -> Tensor:
    """Sum of the squares of all weights."""
    return sum((W**2).sum(acc_dtype=W.dtype) for W in parameters(network, regularizable=True).values())
