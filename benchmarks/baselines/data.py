"""The images for training, validating and testing the baselines."""

from __future__ import annotations

import numpy as np

from loaders import Dataset, Subset
from loaders.sets.splits import draw


def parts(data: Dataset, images: int | None = None, seed: int = 0) -> dict[str, Subset]:
    """Reduced training, validation and test images of a set, as a dict with keys 'training', 'validation', 'test'.

    Parameters
    ----------
    data : Dataset
        Set with validation images.
    images : int, optional
        Approximate number of training images to use, including validation images. The same fraction is drawn from
        each class, and from the test images.
    seed : int
        Seed of the choice.

    Raises
    ------
    ValueError
        The set has no validation images, or `images` is out of range.
    """
    if data.validation is None:
        raise ValueError(
            f"'{data.path}' has no validation images, which are needed to choose settings: make it with "
            'python -m loaders SOURCE --sets 1 --validation 3709'
        )
    found = {'training': data.reduced_training, 'validation': data.validation, 'test': data.test}
    total = len(data.reduced_training) + len(data.validation)
    if images is None:
        return found
    least = 10 * len(data.classes)
    if not least <= images <= total:
        raise ValueError(f'expected {least} to {total} images, got {images}')
    return {name: _share(subset, images / total, seed) for name, subset in found.items()}


def _share(subset, share, seed):
    n = max(1, round(share * len(subset)))
    return subset.select(subset.name, draw(np.arange(len(subset)), subset.y, n, seed, stratify=True))
