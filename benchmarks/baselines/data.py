"""The images that the baselines learn, choose and are tested by."""

from __future__ import annotations

import numpy as np

from loaders import Dataset, Subset
from loaders.sets.splits import draw


def parts(data: Dataset, images: int | None = None, seed: int = 0) -> dict[str, Subset]:
    """Reduced training, validation and test images of a set, by these names.

    Parameters
    ----------
    data : Dataset
        With validation images.
    images : int, optional
        About so many training images alone, validation images counted in; equal parts of each class, and of the test
        images as large a part.
    seed : int
        Of the choice.

    Raises
    ------
    ValueError
        The set has no validation images, or `images` is not a number that it has.
    """
    if data.validation is None:
        raise ValueError(
            f"'{data.path}' has no validation images, by which settings are chosen: make it with "
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
