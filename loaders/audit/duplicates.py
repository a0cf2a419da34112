"""Images with exactly the same pixels."""

from __future__ import annotations

import numpy as np


def groups(images: np.ndarray) -> np.ndarray:
    """Number the groups of identical images: images (n, h, w) -> group of each image, int64 (n,).

    Groups are numbered from 0 in the order of their first images.
    """
    number = {}
    return np.array([number.setdefault(image.tobytes(), len(number)) for image in images])


def duplicates_in_training(images: np.ndarray, usage: np.ndarray) -> np.ndarray:
    """Return True for each image with an exact duplicate, other than itself, among the training images."""
    group = groups(images)
    in_training = np.bincount(group[usage == 0], minlength=group.max() + 1)
    return in_training[group] > (usage == 0)
