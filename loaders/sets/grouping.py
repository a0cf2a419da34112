"""Images divided into folds of like size and like classes, without dividing what belongs together."""

from __future__ import annotations

import numpy as np

SEED = 0  # folds follow from the images, and not from an experiment's seed


def deal(labels: np.ndarray, k: int) -> np.ndarray:
    """Deal images out to k folds, class by class: the sizes, in all and of each class, differ by one at most.

    Parameters
    ----------
    labels : int array (n,)
    k : int

    Returns
    -------
    int array (n,)
        The fold of each, from 0 on.
    """
    order = np.random.default_rng(SEED).permutation(len(labels))
    order = order[np.argsort(labels[order], kind='stable')]
    folds = np.empty(len(labels), int)
    folds[order] = np.arange(len(labels)) % k
    return folds


def divide(counts: np.ndarray, k: int) -> np.ndarray:
    """Divide groups into k folds in which every class has an equal part, as far as that goes.

    Greedy, as scikit-learn's StratifiedGroupKFold [1]_, whose answer it gives: the groups whose classes are most uneven
    come first; each goes to the fold where the standard deviation over the folds, mean of all classes, becomes
    smallest, of equal ones to that with the fewest images.

    Parameters
    ----------
    counts : int array (n_groups, n_classes)
        Images of each group and class; every class has some.
    k : int

    Returns
    -------
    int array (n_groups,)
        The fold of each, from 0 on; none is empty where there are as many groups.

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
    """`divide` for images of which groups and classes are given, int arrays (n,): the fold of each, int array (n,).

    Groups that are alike come in an order drawn with a fixed seed.
    """
    names, place = np.unique(groups, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), int)
    np.add.at(counts, (place, label), 1)
    order = np.random.default_rng(SEED).permutation(len(names))
    folds = np.empty(len(names), int)
    folds[order] = divide(counts[order], k)
    return folds[place]
