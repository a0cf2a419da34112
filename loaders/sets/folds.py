"""Cross-validation: fold i of k of an open set, with the interface of a data set.

All originals of the set, training and test images alike, are divided into k folds. Those of fold i are the test images
and all others are the training images. Nothing is written: the images are read from the set's file.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from loaders import fer2013
from loaders.audit.duplicates import duplicates_in_training
from loaders.errors import DataError
from loaders.sets.dataset import Dataset
from loaders.sets.grouping import SEED, deal, divide_groups
from loaders.sets.splits import draw, draw_people
from loaders.sets.subset import Subset

TESTED = 2  # usage of the test images, as for all images that symfer itself holds out
COLUMNS = ('y', 'source', 'usage', 'view', 'duplicate', 'person', 'votes')


class Pool:
    """The images of several stored subsets, concatenated and indexed by row.

    Attributes
    ----------
    shape : (int, int, int)
        Number of images, height, width.
    """

    def __init__(self, parts: Sequence[Subset]) -> None:
        self.parts = parts
        self.shape = (sum(map(len, parts)), *parts[0].x_shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        out, first = np.empty((len(rows), *self.shape[1:]), np.uint8), 0
        for part in self.parts:
            mine = (rows >= first) & (rows < first + len(part))
            out[mine] = part.images(rows[mine] - first)
            first += len(part)
        return out


class Gathered(Subset):
    """Images selected from a `Pool`, with the interface of a stored subset."""

    def __init__(self, name: str, transforms: Sequence[str], pool: Pool, rows: np.ndarray, columns: Any) -> None:
        super().__init__(name, transforms, pool, columns[:5], *columns[5:])  # type: ignore[arg-type]
        self.rows, self._places = np.arange(len(rows), dtype=np.int32), rows

    def images(self, rows: Any = None) -> np.ndarray:
        """Return images as `Subset.images` does."""
        if self._x is None:
            raise ValueError('the data set is closed')
        return self._x[self._places if rows is None else self._places[rows]]


class Fold:
    """Fold i of k of an open set, with the attributes of a `Dataset`. Closing the fold closes the set.

    The folds depend on the originals, their classes, the people in them and k. They depend neither on a seed nor on the
    views, so they are the same for all sets built from one source.

    Parameters
    ----------
    data : Dataset
        Open data set to divide.
    i, k : int
        Number of the fold, from 1 to k, and number of folds, at least 2.

    Attributes
    ----------
    fold : (int, int)
        i and k.
    by : str
        'person', or 'image' if the set knows no people.
    about : str
        Line that describes how the set is divided.
    training, test, special_test : Subset
        As in `Dataset`. All views of an original are on the same side of the division. `test` has the first view of
        each original. The flag `duplicate` is recomputed from the first views.
    reduced_training, validation : Subset or None
        Parts of `training` that have no person in common (no original, if the set knows no people). `validation` is the
        same fraction of the training images as in the set. None if the set holds out no images or only one person is
        left for training.

    Raises
    ------
    DataError
        i or k is out of range, there are fewer people (or originals) than folds, or the set stores views of its
        training images but not of its test images.
    """

    def __init__(self, data: Dataset, i: int, k: int) -> None:
        if k < 2 or not 1 <= i <= k:
            raise DataError(f'expected fold i of k with 2 <= k and 1 <= i <= k, got fold {i} of {k}')
        self.fold, self._set, self._n_views = (i, k), data, len(data.transforms)
        self.path, self.shape, self.layout, self.fingerprint = data.path, data.shape, data.layout, data.fingerprint
        self.classes, self.transforms, self.people = data.classes, data.transforms, data.people
        self.name, self.number, self.is_fer2013 = f'{data.name} fold {i}/{k}', None, False
        self._gather()
        known = self._person is not None and (self._person >= 0).any()
        self._groups = (
            np.where(self._person < 0, len(self.people) + np.arange(len(self._y)), self._person) if known else None
        )
        self.by = 'person' if known else 'image'
        n_groups = len(self._y if self._groups is None else np.unique(self._groups))
        if n_groups < k:
            what = 'images' if self._groups is None else 'people'
            raise DataError(f'{data.path}: {k} folds need as many {what}, but there are {n_groups}: choose a smaller k')
        tested = self._divided(k) == i - 1
        self._make_subsets(np.flatnonzero(~tested), np.flatnonzero(tested))

    def _gather(self):
        """Gather the columns of each original, in the source's order, and the rows of its views."""
        data, n_views = self._set, self._n_views
        parts = [data.training, data.special_test or data.test]
        if any(part.transforms != data.transforms for part in parts):
            raise DataError(
                f'{data.path}: has {n_views} views of each training image but not of each test image, which folds '
                'need: rebuild the set'
            )
        for part in parts:
            views = np.arange(n_views, dtype=np.uint8)
            if (
                len(part) % n_views
                or (part.view.reshape(-1, n_views) != views).any()
                or (part.source.reshape(-1, n_views) != part.source[::n_views, None]).any()
            ):
                raise DataError(f'{data.path}: {part.name}: the views of an original are not in consecutive rows')
        self._pool = Pool(parts)
        self._columns = [
            None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
            for name in COLUMNS
        ]
        source = self._columns[1][::n_views]
        self._order = np.argsort(source, kind='stable').astype(np.int32)
        if len(np.unique(source)) < len(source):
            raise DataError(f'{data.path}: an original image appears twice, so folds could have it in common')
        self._source = source[self._order]
        self._y, self._person = (
            None if column is None else column[::n_views][self._order]
            for column in (self._columns[0], self._columns[5])
        )

    def _divided(self, k):
        """Return the fold of each original, counted from 0."""
        if self._groups is None:
            return deal(self._y, k)
        return divide_groups(self._groups, self._y, k)

    def _make_subsets(self, training, tested):
        """Make the subsets from the training and test originals."""
        data, n_views = self._set, self._n_views
        usage = np.zeros(len(self._y), np.uint8)
        usage[tested] = TESTED
        duplicate = duplicates_in_training(self._pool[self._order * n_views], usage)
        self.training = self._subset('training', data.transforms, training, range(n_views), usage, duplicate)
        self.test = self._subset('test', data.test.transforms, tested, [0], usage, duplicate)
        self.special_test = None
        if data.special_test is not None:
            self.special_test = self._subset('special_test', data.transforms, tested, range(n_views), usage, duplicate)
        held_out = self._held_out(training)
        self.reduced_training = self.validation = None
        if held_out is not None:
            mask = np.repeat(held_out, n_views)
            self.reduced_training = self.training.select('reduced_training', np.flatnonzero(~mask).astype(np.int32))
            self.validation = self.training.select('validation', np.flatnonzero(mask).astype(np.int32))
        self.about = self._about(training, tested, held_out)

    def _subset(self, name, transforms, originals, views, usage, duplicate):
        rows = (self._order[originals][:, None] * self._n_views + np.array(views, np.int32)).ravel()
        columns = [None if column is None else column[rows] for column in self._columns]
        columns[2], columns[4] = (np.repeat(values[originals], len(views)) for values in (usage, duplicate))
        return Gathered(name, transforms, self._pool, rows, columns)

    def _held_out(self, training):
        """Return whether each training original is held out for validation; None if none is."""
        if self._set.validation is None:
            return None
        n, rows = round(len(self._set.validation) / len(self._set.training) * len(training)), np.arange(len(training))
        if self._groups is None:
            n = min(max(1, n), len(rows) - 1)
            return np.isin(rows, draw(rows, self._y[training], n, SEED, stratify=True)) if n else None
        person = self._person[training]
        if len(np.unique(person[person >= 0])) < 2:
            return None
        return np.isin(rows, draw_people(person, self._y[training], n, SEED, stratify=True))

    def _about(self, training, tested, held_out):
        kind = self.by if self.by == 'person' else 'image (the set knows no people)'

        def numbers(originals):
            text = f'{len(originals)} images'
            if self._groups is None:
                return text
            people = self._person[originals]
            n = len(np.unique(people[people >= 0]))
            text += f' of {n} {"person" if n == 1 else "people"}'
            return text + (f' and of {(people < 0).sum()} unknown ones' if (people < 0).any() else '')

        held = '' if held_out is None else f' ({numbers(training[held_out])} held out for validation)'
        return (
            f'fold {self.fold[0]} of {self.fold[1]} by {kind}: trained on {numbers(training)}{held}, '
            f'tested on {numbers(tested)}'
        )

    @property
    def counts(self) -> Any:
        """Numbers of original images of each usage and class: array (3, n_classes)."""
        first = [(s.y[s.view == 0], s.usage[s.view == 0]) for s in (self.training, self.test)]
        return sum(fer2013.count(y, usage, len(self.classes)) for y, usage in first)

    @functools.cached_property
    def content_digest(self) -> str:
        """Hex digest of the set's digest and of the images on which the fold trains, validates and tests."""
        digest = hashlib.sha256(repr(('fold', *self.fold, self._set.content_digest)).encode())
        for subset in (self.training, self.test, self.validation):
            digest.update(b'-' if subset is None else np.ascontiguousarray(subset.source))
        return digest.hexdigest()

    def subsets(self) -> list[Subset]:
        """Return the existing subsets."""
        every = (self.training, self.test, self.special_test, self.reduced_training, self.validation)
        return [subset for subset in every if subset is not None]

    def verify(self) -> bool:
        """Read all images of the set's file and compare them with their checksums, as `Dataset.verify` does."""
        return self._set.verify()

    def close(self) -> None:
        """Close the set."""
        self._set.close()
        for subset in self.subsets():
            subset._x = None

    def __enter__(self) -> Fold:
        return self

    def __exit__(self, *_):
        self.close()
