"""Link the faces of consecutive frames to persons by overlap, and smooth probabilities over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.recognition.detection import Detection, overlap


class Tracker:
    """Numbers the persons of consecutive frames. A face that overlaps an earlier one gets the same number.

    Parameters
    ----------
    least : float
        Smallest intersection over union at which two boxes show the same person.
    patience : float
        Time in seconds for which a person who is out of sight keeps the number.
    """

    def __init__(self, least: float = 0.3, patience: float = 1.0) -> None:
        self.least, self.patience, self._next = least, patience, 1
        self._last: dict[int, tuple[Detection, float]] = {}

    def __call__(self, found: list[Detection], time: float) -> list[int]:
        """Return the numbers of the faces of a frame, in their order; the best overlaps are linked first."""
        self._last = {k: (box, t) for k, (box, t) in self._last.items() if time - t <= self.patience}
        pairs = sorted(
            ((overlap(one, box), k, i) for i, one in enumerate(found) for k, (box, _) in self._last.items()),
            reverse=True,
        )
        numbers: dict[int, int] = {}
        for common, person, i in pairs:
            if common >= self.least and i not in numbers and person not in numbers.values():
                numbers[i] = person
        for i in range(len(found)):
            if i not in numbers:
                numbers[i], self._next = self._next, self._next + 1
            self._last[numbers[i]] = found[i], time
        return [numbers[i] for i in range(len(found))]


def smoothed(times: Any, values: Any, seconds: float = 0.5) -> np.ndarray:
    """Smooth values over time with Gaussian weights; the times need not be equally spaced.

    Parameters
    ----------
    times : array (n,)
        Times in seconds, ascending.
    values : array (n, k)
        Values at these times.
    seconds : float
        Standard deviation of the weights; 0 leaves the values unchanged.

    Returns
    -------
    array (n, k)
        Smoothed values.
    """
    times, values = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    if seconds <= 0 or len(times) < 2:
        return values
    out = np.empty_like(values)
    first = np.searchsorted(times, times - 4 * seconds)
    last = np.searchsorted(times, times + 4 * seconds, side='right')
    for k, (a, b) in enumerate(zip(first, last)):
        weights = np.exp(-0.5 * ((times[a:b] - times[k]) / seconds) ** 2)
        out[k] = weights @ values[a:b] / weights.sum()
    return out


def changes(times: Sequence[Any], values: np.ndarray, least_seconds: float = 0.3) -> list[tuple[float, int]]:
    """Find the times at which the most probable class changes for at least `least_seconds`.

    Returns
    -------
    list of (float, int)
        Time in seconds and class; the first entry is the beginning.
    """
    answers = np.argmax(values, axis=1) if len(values) else np.empty(0, int)
    out: list[tuple[float, int]] = []
    k = 0
    while k < len(answers):
        end = k
        while end + 1 < len(answers) and answers[end + 1] == answers[k]:
            end += 1
        long_enough = times[end] - times[k] >= least_seconds or not out
        if long_enough and (not out or out[-1][1] != answers[k]):
            out.append((float(times[k]), int(answers[k])))
        k = end + 1
    return out
