"""Schedules of the learning rate: pure functions of the progress of training.

==================  ===========================================================================
`constant`          the same rate in every epoch, as in the thesis
`step`              multiplied by a factor at regular intervals
`cosine`            half a period of the cosine, after a warm-up
`one_cycle`         up and down
`plateau`           multiplied by a factor when validation has not improved for some epochs
==================  ===========================================================================

Each takes ``(epoch, n_epochs, figures, ...)``: the number of completed epochs, the number of epochs of stage train, and
the rule's validation figure of each completed epoch (an empty list without validation). It returns the factor on the
learning rate in the next epoch. It has no state, so a resumed run has the rates of an uninterrupted one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np


def constant(epoch: int, n_epochs: int, figures: Sequence[Any]) -> float:
    """Keep the learning rate constant: the factor is 1."""
    return 1.0


def step(
    epoch: int, n_epochs: int, figures: Sequence[Any], every: int = 30, factor: float = 0.1, after: int = 0
) -> float:
    """Multiply the rate by `factor` every `every` epochs, counted from epoch `after` on.

    Parameters
    ----------
    every : int >= 1
    factor : float
    after : int
    """
    return float(factor ** (max(0, epoch - after) // every))


def cosine(epoch: int, n_epochs: int, figures: Sequence[Any], warmup: int = 0, least: float = 0.0) -> float:
    """Lower the factor from 1 to `least` along half a period of the cosine [1]_, after a linear warm-up [2]_.

    Parameters
    ----------
    warmup : int
        Number of warm-up epochs, with the factors 1 / (warmup + 1), 2 / (warmup + 1), ...
    least : float
        Limit that the factor approaches at the end.

    References
    ----------
    .. [1] Loshchilov and Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR, eq. 5,
       without restarts.
    .. [2] Goyal et al. (2017), Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, arXiv 1706.02677,
       section 2.2.
    """
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return _along_cosine(1.0, least, (epoch - warmup) / max(1, n_epochs - warmup))


def one_cycle(
    epoch: int, n_epochs: int, figures: Sequence[Any], rise: float = 0.3, first: float = 0.04, last: float = 4e-6
) -> float:
    """Raise the factor from `first` to 1, then lower it to `last`, both along a cosine [1]_.

    Parameters
    ----------
    rise : float in (0, 1)
        Fraction of the epochs in which the factor rises.
    first, last : float

    References
    ----------
    .. [1] Smith and Topin (2019), Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
       Rates, arXiv 1708.07120; with cosines instead of straight lines, as is now usual.
    """
    top, end = max(0.0, rise * n_epochs - 1), n_epochs - 1
    if epoch <= top:
        return _along_cosine(first, 1.0, epoch / top) if top else 1.0
    return _along_cosine(1.0, last, (epoch - top) / (end - top))


def plateau(
    epoch: int,
    n_epochs: int,
    figures: Sequence[int],
    factor: float = 0.5,
    patience: int = 5,
    threshold: float = 1e-4,
    least: float = 0.0,
) -> float:
    """Multiply the rate by `factor` whenever validation has not improved for more than `patience` epochs.

    Parameters
    ----------
    factor : float
    patience : int
    threshold : float
        An improvement is a figure below (1 - threshold) times the best so far.
    least : float
        Lower limit of the factor on the learning rate.
    """
    best, waited, rate = math.inf, 0, 1.0
    for figure in figures:
        if figure < best * (1 - threshold):
            best, waited = figure, 0
        else:
            waited += 1
        if waited > patience:
            rate, waited = max(rate * factor, least), 0
    return rate


def factor(schedule: Callable[..., Any], epoch: int, n_epochs: int, figures: Sequence[float]) -> float:
    """Call a schedule and check its factor.

    Raises
    ------
    ValueError
        If the factor is not a finite number >= 0.
    """
    value = schedule(epoch, n_epochs, figures)
    number = np.ndim(value) == 0 and isinstance(value, (Real, np.ndarray))
    if not (number and np.isfinite(value) and value >= 0):
        raise ValueError(
            f'a schedule must return factors >= 0 on the learning rate, got {value!r:.100} after {epoch} of '
            f'{n_epochs} epochs'
        )
    return float(value)


SCHEDULES = {'constant': constant, 'step': step, 'cosine': cosine, 'one_cycle': one_cycle, 'plateau': plateau}


def _along_cosine(start, end, part):
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
