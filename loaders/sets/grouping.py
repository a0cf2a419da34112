"""Images divided into parts of like size and like classes, without dividing what belongs together."""

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


def divide(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Divide groups into parts in which every class has the share that the part is to have, as far as that goes.

    Greedy, as scikit-learn's StratifiedGroupKFold [1]_, whose answer it gives for equal shares: the groups whose
    classes are most uneven come first; each goes to the part where the standard deviation over the parts, mean of all
    classes, becomes smallest, of equal ones to that with the fewest images.

    Parameters
    ----------
    counts : int array (n_groups, n_classes)
        Images of each group and class; every class has some.
    shares : float array (n_parts,)
        Of mean 1.

    Returns
    -------
    int array (n_groups,)
        The part of each; none is empty where there are as many groups and the shares are equal.

    References
    ----------
    .. [1] Pedregosa et al. (2011), Scikit-learn: Machine Learning in Python, JMLR 12.
    """
    whole = counts.sum(axis=0) * shares[:, None]
    parts, n, one = np.zeros(whole.shape), len(shares), np.eye(len(shares))[:, :, None]
    out = np.empty(len(counts), int)
    for group in np.argsort(-np.std(counts, axis=1), kind='mergesort'):
        tried = (parts + one * counts[group]) / whole  # (where it goes, part, class)
        unevenness = tried.std(axis=1).mean(axis=1).tolist()
        sizes = (parts.sum(axis=1) + counts[group].sum()).tolist()
        best = 0
        for part in range(1, n):
            value, least = unevenness[part], unevenness[best]
            alike = abs(value - least) <= 1e-8 + 1e-5 * abs(least)
            if value < least or (alike and sizes[part] < sizes[best]):
                best = part
        out[group] = best
        parts[best] += counts[group]
    return out


def divide_groups(groups: np.ndarray, labels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """`divide` for images of which their groups and classes are given: the part of each, int array (n,).

    Groups that are alike come in an order drawn with a fixed seed. A part left without a group gets the one whose size
    is nearest to the part's, as long as another part has two.
    """
    names, place = np.unique(groups, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(classes)), int)
    np.add.at(counts, (place, label), 1)
    order = np.random.default_rng(SEED).permutation(len(names))
    parts = np.empty(len(names), int)
    parts[order] = divide(counts[order], np.asarray(shares, float))
    sizes = counts.sum(axis=1)
    for part, wanted in enumerate(np.asarray(shares) / len(shares) * len(labels)):
        movable = np.bincount(parts, minlength=len(shares))[parts] > 1
        if not (parts == part).any() and movable.any():
            distance = np.where(movable, abs(sizes - wanted), np.inf)
            parts[int(np.argmin(distance))] = part
    return parts[place]
