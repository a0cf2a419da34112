"""Images with exactly the same pixels."""

from __future__ import annotations

import numpy as np


def groups(images: np.ndarray) -> np.ndarray:
    """Number of the group of equal images that each belongs to: (n, h, w) -> int64 (n,).

    Groups are numbered by their first image, from 0.
    """
    number = {}
    return np.array([number.setdefault(image.tobytes(), len(number)) for image in images])


def duplicates_in_training(images: np.ndarray, usage: np.ndarray) -> np.ndarray:
    """True where an image has an exact duplicate, other than itself, among the training images."""
    group = groups(images)
    in_training = np.bincount(group[usage == 0], minlength=group.max() + 1)
    return in_training[group] > (usage == 0)
