"""Some images of a data set, as they lie in its file or selected from those."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np


class Subset:
    """Some images of a data set with what is known of each.

    Attributes
    ----------
    name : str
        'training', 'test', 'special_test', 'reduced_training' or 'validation'.
    x_shape : (int, int)
        Height and width.
    transforms : tuple of str
        Names of the views, see `loaders.sets.transforms`.
    y, source, usage, view, twin : arrays (n,)
        Class (uint8); number of the original image in the source (int32); 0 Training,
        1 PublicTest, 2 PrivateTest (uint8); index into `transforms` (uint8); whether the
        original has an exact duplicate, other than itself, among the training originals (bool).
    person : int32 array (n,) or None
        Who is in the image: index into `Dataset.people`, -1 where that is not known; None where
        the set knows no people.
    votes : uint8 or float32 array (n, n_classes) or None
        Votes of several people for each class, not all 0; None where the set has none.
    base : Subset
        The stored subset that this one selects from; itself if it is stored.
    rows : int32 array (n,)
        Its rows in the base.
    """

    def __init__(
        self,
        name: str,
        transforms: Sequence[str],
        x: np.ndarray,
        columns: Sequence[np.ndarray],
        person: np.ndarray | None = None,
        votes: np.ndarray | None = None,
    ) -> None:
        self.name, self.transforms = name, transforms
        self.x_shape = x.shape[1:]
        self.y, self.source, self.usage, self.view, self.twin = columns
        self.person, self.votes = person, votes
        self.base = self
        self.rows = np.arange(len(x), dtype=np.int32)
        self._x = x

    def select(self, name: str, rows: np.ndarray) -> Subset:
        """The subset of these rows, int32 (m,), under another name."""
        columns = (self.y, self.source, self.usage, self.view, self.twin)
        known = (None if column is None else column[rows] for column in (self.person, self.votes))
        subset = Subset(name, self.transforms, self._x, [column[rows] for column in columns], *known)
        subset.base, subset.rows = self, rows
        return subset

    def __len__(self) -> int:
        return len(self.y)

    def images(self, rows: Any = None) -> np.ndarray:
        """Images as a new uint8 array (len(rows), height, width).

        Parameters
        ----------
        rows : int array or slice, optional
            Rows of this subset in any order, also repeated; all by default.
        """
        if self.base._x is None:
            raise ValueError('the data set is closed')
        if self.base is not self:
            return self.base.images(self.rows if rows is None else self.rows[rows])
        if rows is None or isinstance(rows, slice):
            return self._x[slice(None) if rows is None else rows].copy()
        return self._x[np.asarray(rows)]

    @functools.cached_property
    def soft_labels(self) -> np.ndarray | None:
        """The part of the votes that each class has, float32 (n, n_classes): rows sum to 1; None without votes."""
        if self.votes is None:
            return None
        votes = self.votes.astype(np.float64)
        return (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
