"""Divide images into folds of similar size and class proportions, keeping the images of a group together."""

from __future__ import annotations

import numpy as np

SEED = 0  # fixed: folds depend on the images, not on an experiment's seed


def deal(labels: np.ndarray, k: int) -> np.ndarray:
    """Deal images out to k folds, class by class. Fold sizes, in total and in each class, differ by at most one.

    Parameters
    ----------
    labels : int array (n,)
        Class of each image.
    k : int
        Number of folds.

    Returns
    -------
    int array (n,)
        Fold of each image, from 0 to k - 1.
    """
    order = np.random.default_rng(SEED).permutation(len(labels))
    order = order[np.argsort(labels[order], kind='stable')]
    folds = np.empty(len(labels), int)
    folds[order] = np.arange(len(labels)) % k
    return folds


def divide(counts: np.ndarray, k: int) -> np.ndarray:
    """Divide groups into k folds with nearly equal parts of every class.

    The algorithm is greedy and gives the result of scikit-learn's StratifiedGroupKFold [1]_. Groups with the most
    uneven classes come first. Each goes to the fold for which the standard deviation over the folds, averaged over
    the classes, becomes smallest. Ties go to the fold with the fewest images.

    Parameters
    ----------
    counts : int array (n_groups, n_classes)
        Number of images of each group and class. Every class has at least one.
    k : int
        Number of folds.

    Returns
    -------
    int array (n_groups,)
        Fold of each group, from 0 to k - 1. No fold is empty if there are at least k groups.

    References
    ----------
    .. [1] Pedregosa et al. (2011), Scikit-learn: Machine Learning in Python, JMLR 12.
    """
    folds, one, whole = np.zeros((k, counts.shape[1])), np.eye(k)[:, :, None], counts.sum(axis=0)
    out = np.empty(len(counts), int)
    for group in np.argsort(-np.std(counts, axis=1), kind='mergesort'):
        tried = (folds + one * counts[group]) / whole  # (where it goes, fold, class)
        unevenness = tried.std(axis=1).mean(axis=1).tolist()
        sizes = folds.sum(axis=1).tolist()
        best = 0
        for fold in range(1, k):
            value, least = unevenness[fold], unevenness[best]
            alike = abs(value - least) <= 1e-8 + 1e-5 * abs(least)
            if value < least or (alike and sizes[fold] < sizes[best]):
                best = fold
        out[group] = best
        folds[best] += counts[group]
    return out


def divide_groups(groups: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Divide images into k folds by `divide`: groups and labels, int arrays (n,) -> fold of each image, int array (n,).

    Groups with equally uneven classes are taken in an order drawn with a fixed seed.
    """
    names, place = np.unique(groups, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), int)
    np.add.at(counts, (place, label), 1)
    order = np.random.default_rng(SEED).permutation(len(names))
    folds = np.empty(len(names), int)
    folds[order] = divide(counts[order], k)
    return folds[place]
