"""The confidence interval of the benchmark of the library's overhead."""

import numpy as np

from benchmarks.overhead import interval


def test_the_interval_holds_the_true_median_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        middle, low, high = interval(1.02 + 0.05 * rng.standard_t(3, 40), draws=500, seed=seed)
        assert low <= middle <= high
        held += low <= 1.02 <= high
    assert 180 <= held <= 200


def test_equal_ratios_leave_no_interval():
    assert interval([1.5] * 9) == (1.5, 1.5, 1.5)
