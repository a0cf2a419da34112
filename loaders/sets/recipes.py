"""What the sets consist of: the four of the thesis (section 5.2), and the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loaders.errors import DataError
from loaders.fer2013 import N_TRAINING


@dataclass(frozen=True)
class Recipe:
    """How a set is made from the original images.

    Attributes
    ----------
    name : str
        'set 2' is written to set2.h5.
    views : tuple of str
        Views stored of each training image, see `loaders.sets.transforms`. The test images are
        stored in the first of them, which should be the plainest; if there are several,
        all of them make up the special test.
    size : (int, int) or None
        Height and width of the stored images; None keeps those of the originals.
    held_out : float
        Part of the training originals held out for validation where `build` is given no number.
    number : int or None
        1 to 4 for the sets of the thesis.
    """

    name: str
    views: tuple[str, ...] = ('identity',)
    size: tuple[int, int] | None = None
    held_out: float = 0
    number: int | None = None


def with_mirror(names: Sequence[str]) -> tuple[str, ...]:
    """Each view, followed by its mirror image."""
    return tuple(view for name in names for view in (name, name + '+mirror'))


def thesis_set(number: int, shape: tuple[int, int]) -> Recipe:
    """Set 1, 2, 3 or 4 of the thesis for originals of a shape (height, width).

    The thesis cuts 4 pixels off 48 in set 3 and 6 in set 4; other sizes lose as many for
    each 48.
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
    raise DataError(f'a set is 1, 2, 3, 4 or a Recipe, got {number!r}')
