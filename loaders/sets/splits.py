"""Choose images by seed: for validation, and for testing if a source has no test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loaders.errors import DataError

if TYPE_CHECKING:
    from loaders.sources.originals import Originals


DRAWS = 100  # random choices of people, of which the best is taken


def number_of(part: float, n: int) -> int:
    """Convert `part` of n images, a number of images in [0, n) or a fraction in (0, 1), to a number of images."""
    if isinstance(part, (int, np.integer)) and 0 <= part < n:
        return int(part)
    if isinstance(part, float) and 0 < part < 1 and round(part * n) < n:
        return round(part * n)
    raise DataError(f'expected a number of images from 0 to {n - 1} or a fraction between 0 and 1, got {part!r}')


def shares(counts: np.ndarray, k: int) -> np.ndarray:
    """Divide k in proportion to counts into whole numbers, rounding the largest remainders up."""
    exact = k * counts / counts.sum()
    whole = np.floor(exact).astype(int)
    rest = np.argsort(whole - exact, kind='stable')[: k - whole.sum()]
    whole[rest] += 1
    return whole


def draw(candidates: np.ndarray, labels: np.ndarray, k: int, seed: int, stratify: bool = False) -> np.ndarray:
    """Choose k of the candidates by seed and return them in ascending order.

    With the same seed, a smaller choice is part of a larger one (except for the rounding of strata).

    Parameters
    ----------
    candidates : int array (m,)
        Row numbers to choose from.
    labels : uint8 array (m,)
        Classes of the candidates.
    k : int
        Number of candidates to choose.
    seed : int
        Seed of the choice.
    stratify : bool
        Whether to keep the proportions of the classes.
    """
    order = np.random.default_rng(seed).permutation(len(candidates))
    if not stratify:
        return np.sort(candidates[order[:k]])
    counts = np.bincount(labels)
    chosen = [order[labels[order] == label][:share] for label, share in enumerate(shares(counts, k))]
    return np.sort(candidates[np.concatenate(chosen)])


def draw_people(person: np.ndarray, labels: np.ndarray, k: int, seed: int, stratify: bool = False) -> np.ndarray:
    """Choose people by seed whose images number as close to k as possible, and return the rows of all their images.

    At least one person is chosen and at least one is not. Images of unknown people are not chosen.

    Parameters
    ----------
    person : int32 array (m,)
        Person in each image; -1 for unknown.
    labels : uint8 array (m,)
        Class of each image.
    k : int
        Number of images wanted.
    seed : int
        Seed of the choice.
    stratify : bool
        Whether to take, of `DRAWS` random choices, the one closest to k images and to the proportions of the classes,
        with a strong preference for choices that leave images of every class. If False, a smaller choice is part of a
        larger one with the same seed.

    Returns
    -------
    int array
        Rows of the chosen images, ascending.

    Raises
    ------
    DataError
        There are fewer than two known people.
    """
    people, index = np.unique(person[person >= 0], return_inverse=True)
    if len(people) < 2:
        raise DataError(
            f'cannot hold out whole people: the images show {len(people)}, expected 2 or more; hold out none '
            '(validation=0, --validation 0), or remove the column person'
        )
    counts = np.zeros((len(people), int(labels.max()) + 1))
    np.add.at(counts, (index, labels[person >= 0]), 1)
    every = np.bincount(labels, minlength=counts.shape[1])
    rng = np.random.default_rng(seed)
    best, least = None, np.inf
    for _ in range(DRAWS if stratify else 1):
        order = rng.permutation(len(people))
        sums = counts[order].sum(axis=1).cumsum()[:-1]
        chosen = order[: int(np.abs(sums - k).argmin()) + 1]
        part = counts[chosen].sum(axis=0)
        distance = np.abs(part / part.sum() - every / every.sum()).sum() + abs(part.sum() - k) / max(k, 1)
        distance += 10 * ((every > 0) & (part >= every)).sum()
        if best is None or distance < least:
            best, least = chosen, distance
    return np.flatnonzero(np.isin(person, people[best]))


def choose_validation(
    originals: Originals,
    k: int,
    duplicates: np.ndarray,
    *,
    seed: int = 0,
    stratify: bool = False,
    no_duplicates: bool = False,
) -> np.ndarray:
    """Return the rows of the k training originals held out for validation, ascending.

    If people are known, all images of some people are held out, as close to k as possible. No person is then in both
    training and validation.

    Parameters
    ----------
    originals : Originals
        Images of the source.
    k : int
        Number of images to hold out.
    duplicates : bool array (n,)
        Whether each original has an exact duplicate among the training originals.
    seed : int
        Seed of the choice.
    stratify : bool
        Whether to keep the proportions of the classes.
    no_duplicates : bool
        Whether to choose only images that have no exact duplicate in training.
    """
    training = originals.usage == 0
    if k and originals.person is not None:
        if no_duplicates:
            training &= ~np.isin(originals.person, originals.person[training & duplicates])
        rows = np.flatnonzero(training)
        return rows[draw_people(originals.person[rows], originals.labels[rows], k, seed, stratify)]
    candidates = np.flatnonzero(training & ~duplicates if no_duplicates else training)
    if k > len(candidates):
        raise DataError(f'cannot hold out {k} training images without an exact duplicate: there are {len(candidates)}')
    return draw(candidates, originals.labels[candidates], k, seed, stratify)


def hold_out_test(originals: Originals, part: float, seed: int) -> None:
    """Choose test images by seed, stratified by class, and set their usage. If people are known, choose whole people.

    Parameters
    ----------
    originals : Originals
        Images of the source; `usage` and `notes` are changed in place.
    part : int or float
        Number or fraction of the images.
    seed : int
        Seed of the choice.
    """
    k = number_of(part, len(originals))
    if originals.person is not None and k:
        rows = draw_people(originals.person, originals.labels, k, seed, stratify=True)
        originals.usage[rows] = 2
        n = len(np.unique(originals.person[rows]))
        originals.notes.append(
            f'split by person: all {len(rows)} images of {n} of {len(originals.people)} people held out for testing, '
            f'with nearly equal parts of each class, seed {seed}'
        )
        return
    rows = draw(np.arange(len(originals)), originals.labels, k, seed, stratify=True)
    originals.usage[rows] = 2
    originals.notes.append(
        f'{k} of {len(originals)} images held out for testing, in equal parts of each class, seed {seed}'
    )
