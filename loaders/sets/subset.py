"""Subsets of a data set: stored in its file, or selected from a stored one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


class Subset:
    """Some images of a data set, with their labels and other columns.

    Attributes
    ----------
    name : str
        'training', 'test', 'special_test', 'reduced_training' or 'validation'.
    x_shape : (int, int)
        Height and width of the images.
    transforms : tuple of str
        Names of the views, see `loaders.sets.transforms`.
    y : uint8 array (n,)
        Class of each image.
    source : int32 array (n,)
        Number of the original image in the source.
    usage : uint8 array (n,)
        0 Training, 1 PublicTest, 2 PrivateTest.
    view : uint8 array (n,)
        Index into `transforms`.
    duplicate : bool array (n,)
        Whether the original has an exact duplicate, other than itself, among the training originals.
    person : int32 array (n,) or None
        Person in each image: index into `Dataset.people`, -1 if unknown. None if the set knows no people.
    votes : uint8 or float32 array (n, n_classes) or None
        Votes of several people for each class, not all 0. None if the set has no votes.
    base : Subset
        Stored subset that this one is selected from; the subset itself if it is stored.
    rows : int32 array (n,)
        Rows of the images in the base.
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
        self.y, self.source, self.usage, self.view, self.duplicate = columns
        self.person, self.votes = person, votes
        self.base = self
        self.rows = np.arange(len(x), dtype=np.int32)
        self._x = x

    @property
    def twin(self) -> np.ndarray:
        """The former name of `duplicate`."""
        warnings.warn('Subset.twin is now Subset.duplicate', FutureWarning, stacklevel=2)
        return self.duplicate

    def select(self, name: str, rows: np.ndarray) -> Subset:
        """Return the subset of these rows, int32 (m,), under another name."""
        columns = (self.y, self.source, self.usage, self.view, self.duplicate)
        known = (None if column is None else column[rows] for column in (self.person, self.votes))
        subset = Subset(name, self.transforms, self._x, [column[rows] for column in columns], *known)
        subset.base, subset.rows = self, rows
        return subset

    def __len__(self) -> int:
        return len(self.y)

    def images(self, rows: Any = None) -> np.ndarray:
        """Return images as a new uint8 array (len(rows), height, width).

        Parameters
        ----------
        rows : int array or slice, optional
            Rows of this subset, in any order and possibly repeated; all by default.

        Raises
        ------
        ValueError
            The data set is closed.
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
        """Votes as fractions, float32 (n, n_classes), with rows that sum to 1; None without votes."""
        if self.votes is None:
            return None
        votes = self.votes.astype(np.float64)
        return (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
