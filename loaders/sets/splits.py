"""Images chosen by seed: for validation, and for testing where a source has no test images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loaders.errors import DataError

if TYPE_CHECKING:
    from loaders.sources.originals import Originals


def number_of(part: float, n: int) -> int:
    """How many of n images: `part` as a number of images, or as a fraction in (0, 1)."""
    if isinstance(part, (int, np.integer)) and 0 <= part < n:
        return int(part)
    if isinstance(part, float) and 0 < part < 1 and round(part * n) < n:
        return round(part * n)
    raise DataError(f'expected a number of images from 0 to {n - 1} or a fraction between 0 and 1, got {part!r}')


def shares(counts: np.ndarray, k: int) -> np.ndarray:
    """Divide k in proportion to counts: whole numbers, largest remainders rounded up."""
    exact = k * counts / counts.sum()
    whole = np.floor(exact).astype(int)
    rest = np.argsort(whole - exact, kind='stable')[: k - whole.sum()]
    whole[rest] += 1
    return whole


def draw(candidates: np.ndarray, labels: np.ndarray, k: int, seed: int, stratify: bool = False) -> np.ndarray:
    """Choose k of the candidates, by seed, ascending.

    With the same seed, fewer images are a part of more (but for the rounding of strata).

    Parameters
    ----------
    candidates : int array (m,)
        Row numbers to choose from.
    labels : uint8 array (m,)
        Their classes.
    stratify : bool
        Keep the proportions of the classes.
    """
    order = np.random.default_rng(seed).permutation(len(candidates))
    if not stratify:
        return np.sort(candidates[order[:k]])
    counts = np.bincount(labels)
    chosen = [order[labels[order] == label][:share] for label, share in enumerate(shares(counts, k))]
    return np.sort(candidates[np.concatenate(chosen)])


def choose_validation(
    originals: Originals,
    k: int,
    duplicates: np.ndarray,
    *,
    seed: int = 0,
    stratify: bool = False,
    no_duplicates: bool = False,
) -> np.ndarray:
    """Rows of the k training originals held out for validation, ascending.

    Parameters
    ----------
    duplicates : bool array (n,)
        True where an original has an exact duplicate among the training originals.
    no_duplicates : bool
        Choose among the images without an exact duplicate in training only.
    """
    training = originals.usage == 0
    candidates = np.flatnonzero(training & ~duplicates if no_duplicates else training)
    if k > len(candidates):
        raise DataError(f'cannot hold out {k} training images without an exact duplicate: there are {len(candidates)}')
    return draw(candidates, originals.labels[candidates], k, seed, stratify)
