"""The learning-rate range test."""
import numpy as np


def rate_range(train, batches, set_rate, lowest=1e-4, highest=10., steps=100, smoothing=.9):
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
    rates, costs, smooth, mean = [], [], [], 0.
    for k, (rate, batch) in enumerate(zip(np.geomspace(lowest, highest, steps), batches), start=1):
        set_rate(rate)
        cost = float(train(batch))
        if not np.isfinite(cost):
            break
        mean = smoothing * mean + (1 - smoothing) * cost
        rates.append(float(rate))
        costs.append(cost)
        smooth.append(mean / (1 - smoothing ** k))      # the mean begins at 0
        if smooth[-1] > 4 * min(smooth):
            break
    suggestion, falling = None, np.array(smooth[:int(np.argmin(smooth)) + 1] if smooth else [])
    reach = max(1, steps // 15)         # a difference of neighbours would find the noise of single minibatches
    if len(falling) > 2 * reach:
        change = falling[2 * reach:] - falling[:-2 * reach]
        suggestion = rates[reach + int(np.argmin(change))] if change.min() < 0 else None
    return rates, costs, smooth, suggestion
