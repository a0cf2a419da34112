"""Temperature scaling: a single number that calibrates the probabilities of a trained network [1]_.

The logits are divided by it before the softmax. The predicted classes do not change; the confidence becomes the rate of
right answers.

References
----------
.. [1] Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, ICML, section 4.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import logsumexp

LEAST, MOST = 0.05, 20.0


def fit_temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """Find the temperature with the smallest cross-entropy on images that the network was not trained on.

    Parameters
    ----------
    logits : array (n, n_classes)
        Logits of validation images.
    y : int array (n,)
        Labels of these images.

    Returns
    -------
    float
        Temperature from `LEAST` to `MOST`; above 1 for an overconfident network.
    """
    from scipy.optimize import minimize_scalar  # takes half a second, and training can start without it

    logits = np.asarray(logits, dtype=float)
    own = logits[np.arange(len(y)), y]

    def cross_entropy(log_temperature):
        factor = math.exp(-log_temperature)
        return float(np.mean(logsumexp(factor * logits, axis=1) - factor * own))

    # Over log T, where both bounds are equally far from 1; the cross-entropy is convex in 1 / T, so it has one minimum.
    found = minimize_scalar(cross_entropy, bounds=(math.log(LEAST), math.log(MOST)), method='bounded')
    return math.exp(found.x)


def is_temperature(value: Any) -> bool:
    """Whether a value from a file is a temperature."""
    return type(value) in (int, float) and LEAST / 2 <= value <= 2 * MOST
