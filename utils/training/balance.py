"""Balances classes of unequal size, by weights in the cost or by sampling the images."""

from __future__ import annotations

import numpy as np

METHODS = ('none', 'weights', 'sampling')


def class_weights(y: np.ndarray, n_classes: int) -> np.ndarray:
    """Weights of the classes in the cost: their inverse frequencies, with a mean of 1 over the images [1]_.

    Parameters
    ----------
    y : int array (n,)
        Labels.
    n_classes : int

    Returns
    -------
    float32 array (n_classes,)
        ``n / (k * n_c)`` for the k classes that have images, 0 for the others.

    References
    ----------
    .. [1] King and Zeng (2001), Logistic Regression in Rare Events Data, Political Analysis 9, section 4.2.
    """
    counts = np.bincount(y, minlength=n_classes)
    there = counts > 0
    return np.where(there, len(y) / (there.sum() * np.maximum(counts, 1)), 0).astype(np.float32)


def balanced_rows(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
    """Draw n rows with replacement; all classes have the same probability, and all images within a class.

    Parameters
    ----------
    rng : numpy.random.Generator
    y : int array (n,)
        Labels.

    Returns
    -------
    int array (n,)
        Row numbers.
    """
    classes, place = np.unique(y, return_inverse=True)
    by_class = np.argsort(place, kind='stable')  # rows of the first class, of the second, ...
    counts = np.bincount(place)
    first = np.cumsum(counts) - counts
    drawn = rng.integers(len(classes), size=len(y))
    return by_class[first[drawn] + rng.integers(counts[drawn])]
