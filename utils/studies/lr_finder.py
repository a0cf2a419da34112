"""The learning-rate range test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.experiment.building import network_maker, training_settings
from utils.experiment.console import Console
from utils.experiment.teachers import open_teacher
from utils.results import plots
from utils.training.steps import batches_of
from utils.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.annotations import StrPath
    from utils.experiment.context import Context


def rate_range(
    context: Context,
    *,
    lowest: float = 1e-4,
    highest: float = 10.0,
    steps: int = 100,
    figure: StrPath = 'rates.png',
    verbose: int = 1,
    **options: Any,
) -> Figure:
    """Learning-rate range test: train a new network with a growing rate and find where the cost falls fastest.

    Parameters
    ----------
    lowest, highest : float
        First and last learning rate, 0 < lowest < highest.
    steps : int
        Number of minibatches, at least 6.
    figure : path or None
        File of the figure; None draws none.
    verbose : {1, 0, 2}
        Level of output, as in `test`.
    **options
        Further arguments of `test`.

    Returns
    -------
    rates, costs, smooth, suggestion
        Result of `raise_rate`.

    Raises
    ------
    ValueError
        An argument is wrong.
    FloatingPointError
        The cost is not finite from the start.
    """
    if not 0 < lowest < highest or steps < 6:
        raise ValueError(f'expected 0 < lowest < highest and at least 6 steps, got {lowest!r}, {highest!r}, {steps!r}')
    console = Console(verbose)
    options = context.validate(options) | {'members': 1, 'portion': 1.0, 'replacement': False}  # one rate for all
    if options['pretrain_epochs']:
        raise ValueError(
            f'the range test trains a new network, got pretrain_epochs={options["pretrain_epochs"]}: leave it out'
        )
    with (
        context.open_data(options, console.info) as data,
        Trainer(
            network_maker(options, data),
            data,
            training_settings(options),
            teacher=open_teacher(context, options, data, console.info),
        ) as trainer,
    ):
        f, subset = trainer.functions, data.reduced_training if options['val'] else data.training
        order = np.random.default_rng(options['seed'])
        rows = np.concatenate([order.permutation(len(subset)) for _ in range(-(-steps * f.batch_size // len(subset)))])
        trainer.targets.put(f, subset)
        batches = batches_of(f, subset, rows)
        out = raise_rate(
            lambda batch: f.train(*batch[0], batch[1])[0],
            batches,
            lambda rate: f.rate.set_value(np.float32(rate)),
            lowest,
            highest,
            steps,
        )
    rates, costs, smooth, suggestion = out
    if len(rates) < 2:
        raise FloatingPointError(f'the training cost is not finite from the start: try a lowest below {lowest:g}')
    if figure:
        plots.save(plots.rate_range(rates, costs, smooth, suggestion), figure)
    console.info(
        f'tried rates from {rates[0]:.3g} to {rates[-1]:.3g}; '
        + (f'the cost falls fastest at {suggestion:.3g}' if suggestion else 'the cost never falls')
        + (f"; figure '{figure}'" if figure else '')
    )
    return out


def raise_rate(
    train: Callable[[Any], Any],
    batches: Any,
    set_rate: Any,
    lowest: float = 1e-4,
    highest: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
) -> Any:
    """Raise the learning rate from minibatch to minibatch until the cost explodes [1]_.

    Parameters
    ----------
    train : callable
        Function ``train(batch) -> cost`` that makes one step of the optimiser.
    batches : iterable
        Minibatches, at least `steps`.
    set_rate : callable
        Function ``set_rate(rate)`` that sets the learning rate.
    lowest, highest : float
        First and last rate; the rate grows by a constant factor.
    steps : int
        Number of minibatches.
    smoothing : float
        Decay of the exponential moving average of the costs.

    Returns
    -------
    rates, costs, smooth : list of float
        Rates, costs and smoothed costs, until the smoothed cost exceeds four times its minimum or a cost is not finite.
    suggestion : float or None
        Rate at which the smoothed cost falls fastest, over about an eighth of the steps; None if it never falls.

    References
    ----------
    .. [1] Smith (2017), Cyclical Learning Rates for Training Neural Networks, WACV, section 3.3.
    """
    rates, costs, smooth, mean = [], [], [], 0.0
    for k, (rate, batch) in enumerate(zip(np.geomspace(lowest, highest, steps), batches), start=1):
        set_rate(rate)
        cost = float(train(batch))
        if not np.isfinite(cost):
            break
        mean = smoothing * mean + (1 - smoothing) * cost
        rates.append(float(rate))
        costs.append(cost)
        smooth.append(mean / (1 - smoothing**k))  # bias correction: the mean starts at 0
        if smooth[-1] > 4 * min(smooth):
            break
    suggestion, falling = None, np.array(smooth[: int(np.argmin(smooth)) + 1] if smooth else [])
    reach = max(1, steps // 15)  # differences of neighbours would show the noise of single minibatches
    if len(falling) > 2 * reach:
        change = falling[2 * reach :] - falling[: -2 * reach]
        suggestion = rates[reach + int(np.argmin(change))] if change.min() < 0 else None
    return rates, costs, smooth, suggestion
