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
    """Learning-rate range test: train a fresh network while the rate grows, see where the cost falls fastest.

    Parameters
    ----------
    lowest, highest : float
    steps : int
        Minibatches.
    figure : path or None
        Where to draw it.
    **options
        Further arguments of `test`.

    Returns
    -------
    rates, costs, smooth, suggestion
        See `raise_rate`.
    """
    if not 0 < lowest < highest or steps < 6:
        raise ValueError(f'expected 0 < lowest < highest and 6 steps at least, got {lowest!r}, {highest!r}, {steps!r}')
    console = Console(verbose)
    options = context.validate(options) | {'members': 1, 'portion': 1.0, 'replacement': False}  # one rate for all
    if options['pretrain_epochs']:
        raise ValueError(
            f'the range test trains a fresh network, got pretrain_epochs={options["pretrain_epochs"]}: leave it out'
        )
    with (
        context.open_data(options, console.say) as data,
        Trainer(
            network_maker(options, data),
            data,
            training_settings(options),
            teacher=open_teacher(context, options, data, console.say),
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
    console.say(
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
        ``train(batch) -> cost``, one step of the optimiser.
    batches : iterable
        Minibatches, `steps` of them at least.
    set_rate : callable
    lowest, highest : float
        First and last rate; they grow by a constant factor.
    steps : int
    smoothing : float
        Of the exponential mean of the costs.

    Returns
    -------
    rates, costs, smooth : list of float
        Until the smoothed cost is four times its minimum or not finite.
    suggestion : float or None
        Where the smoothed cost falls fastest, over about an eighth of the steps.

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
        smooth.append(mean / (1 - smoothing**k))  # the mean begins at 0
        if smooth[-1] > 4 * min(smooth):
            break
    suggestion, falling = None, np.array(smooth[: int(np.argmin(smooth)) + 1] if smooth else [])
    reach = max(1, steps // 15)  # a difference of neighbours would find the noise of single minibatches
    if len(falling) > 2 * reach:
        change = falling[2 * reach :] - falling[: -2 * reach]
        suggestion = rates[reach + int(np.argmin(change))] if change.min() < 0 else None
    return rates, costs, smooth, suggestion
