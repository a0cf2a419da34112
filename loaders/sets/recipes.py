"""Recipes of sets: the four of the thesis (section 5.2), and custom ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loaders.errors import DataError
from loaders.fer2013 import N_TRAINING


@dataclass(frozen=True)
class Recipe:
    """How a set is built from the original images.

    Attributes
    ----------
    name : str
        Name of the set. 'set 2' is written to set2.h5.
    views : tuple of str
        Views stored of each training image, see `loaders.sets.transforms`. The test subset has the first view of each
        test image, which should be the plainest. If there are several views, the special test has them all.
    size : (int, int) or None
        Height and width of the stored images; None keeps those of the originals.
    held_out : float
        Default fraction of the training originals that `build` holds out for validation.
    number : int or None
        1 to 4 for the sets of the thesis, None for a custom set.
    """

    name: str
    views: tuple[str, ...] = ('identity',)
    size: tuple[int, int] | None = None
    held_out: float = 0
    number: int | None = None


def with_mirror(names: Sequence[str]) -> tuple[str, ...]:
    """Return each view followed by its mirror image."""
    return tuple(view for name in names for view in (name, name + '+mirror'))


def thesis_set(number: int, shape: tuple[int, int]) -> Recipe:
    """Return the recipe of set 1, 2, 3 or 4 of the thesis for originals of shape (height, width).

    The thesis crops 4 of 48 pixels in set 3 and 6 of 48 in set 4. Other sizes are cropped in proportion.
    """

    def less(pixels):
        return tuple(side - round(pixels * side / 48) for side in shape)

    if number == 1:
        return Recipe('set 1', number=1)
    if number == 2:
        return Recipe('set 2', ('identity', 'mirror'), held_out=3709 / N_TRAINING, number=2)
    if number == 3:
        crops = ('centre', 'top_left', 'top_right', 'bottom_left', 'bottom_right')
        return Recipe('set 3', with_mirror(crops), less(4), 3000 / N_TRAINING, 3)
    if number == 4:
        changes = ('centre', 'left', 'right', 'rotate45', 'rotate315', 'enlarge', 'reduce')
        return Recipe('set 4', with_mirror(changes), less(6), 2870 / N_TRAINING, 4)
    raise DataError(f'a set must be 1, 2, 3, 4 or a Recipe, got {number!r}')
