"""Cross-validation: fold i of k of an open set, itself a data set.

All originals of the set, whether they were to train or to test, are divided into k folds; those of fold i are the test
images, all others the training images. Nothing is written: images are read out of the set's file.
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

TESTED = 2  # usage of the test images, as of all that symfer holds out itself
COLUMNS = ('y', 'source', 'usage', 'view', 'twin', 'person', 'votes')


class Pool:
    """The images of stored subsets, one after the other, of which rows are read.

    Attributes
    ----------
    shape : (int, int, int)
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
    """Images out of a `Pool`, which stand together as those of a stored subset do."""

    def __init__(self, name: str, transforms: Sequence[str], pool: Pool, rows: np.ndarray, columns: Any) -> None:
        super().__init__(name, transforms, pool, columns[:5], *columns[5:])  # type: ignore[arg-type]
        self.rows, self._places = np.arange(len(rows), dtype=np.int32), rows

    def images(self, rows: Any = None) -> np.ndarray:
        """As of `Subset`."""
        if self._x is None:
            raise ValueError('the data set is closed')
        return self._x[self._places if rows is None else self._places[rows]]


class Fold:
    """Fold i of k of an open set, with the attributes of a `Dataset`; closing it closes the set.

    The folds follow from the originals, their classes and who is in them, and from k: not from a seed, and not from
    the views, so that they are the same for all sets made from one source.

    Parameters
    ----------
    data : Dataset
    i, k : int
        1 <= i <= k, 2 <= k.

    Attributes
    ----------
    fold : (int, int)
        i and k.
    by : str
        'person', or 'image' where the set knows no people.
    about : str
        How the set is divided, in a line.
    training, test, special_test : Subset
        As of `Dataset`. All views of an original are in one of them; an image of the test images is its first view. The
        flag `twin` is found anew, from the first views.
    reduced_training, validation : Subset or None
        Parts of `training` without a person (an original, where the set knows no people) in common, the validation
        images as large a part of it as the set holds out; None where it holds out none, or one person trains.

    Raises
    ------
    DataError
        i or k are out of range, there are fewer people (originals) than folds, or the set does not store the views
        of its test images though it does those of its training images.
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
            raise DataError(f'{data.path}: {k} folds need as many {what}, and there are {n_groups}: choose a smaller k')
        tested = self._divided(k) == i - 1
        self._make_subsets(np.flatnonzero(~tested), np.flatnonzero(tested))

    def _gather(self):
        """What is known of each original, in the source's order, and where its views are."""
        data, n_views = self._set, self._n_views
        parts = [data.training, data.special_test or data.test]
        if any(part.transforms != data.transforms for part in parts):
            raise DataError(
                f'{data.path}: has {n_views} views of each training image, and not of each test image, which folds '
                'need: make the set anew'
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
            raise DataError(f'{data.path}: an original image is there twice, so that folds would have it in common')
        self._source = source[self._order]
        self._y, self._person = (
            None if column is None else column[::n_views][self._order]
            for column in (self._columns[0], self._columns[5])
        )

    def _divided(self, k):
        """The fold of each original, from 0 on."""
        if self._groups is None:
            return deal(self._y, k)
        return divide_groups(self._groups, self._y, k)

    def _make_subsets(self, training, tested):
        """The subsets, from the originals that train and those that test."""
        data, n_views = self._set, self._n_views
        usage = np.zeros(len(self._y), np.uint8)
        usage[tested] = TESTED
        twin = duplicates_in_training(self._pool[self._order * n_views], usage)
        self.training = self._subset('training', data.transforms, training, range(n_views), usage, twin)
        self.test = self._subset('test', data.test.transforms, tested, [0], usage, twin)
        self.special_test = None
        if data.special_test is not None:
            self.special_test = self._subset('special_test', data.transforms, tested, range(n_views), usage, twin)
        held_out = self._held_out(training)
        self.reduced_training = self.validation = None
        if held_out is not None:
            mask = np.repeat(held_out, n_views)
            self.reduced_training = self.training.select('reduced_training', np.flatnonzero(~mask).astype(np.int32))
            self.validation = self.training.select('validation', np.flatnonzero(mask).astype(np.int32))
        self.about = self._about(training, tested, held_out)

    def _subset(self, name, transforms, originals, views, usage, twin):
        rows = (self._order[originals][:, None] * self._n_views + np.array(views, np.int32)).ravel()
        columns = [None if column is None else column[rows] for column in self._columns]
        columns[2], columns[4] = (np.repeat(values[originals], len(views)) for values in (usage, twin))
        return Gathered(name, transforms, self._pool, rows, columns)

    def _held_out(self, training):
        """Whether each original that trains is held out for validation; None where none is."""
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
        kind = self.by if self.by == 'person' else 'image, for the set knows no people'

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
        """Original images of each usage and class: array (3, n_classes)."""
        first = [(s.y[s.view == 0], s.usage[s.view == 0]) for s in (self.training, self.test)]
        return sum(fer2013.count(y, usage, len(self.classes)) for y, usage in first)

    @functools.cached_property
    def content_digest(self) -> str:
        """Hex digest of the set's own and of what the fold trains, validates and tests on."""
        digest = hashlib.sha256(repr(('fold', *self.fold, self._set.content_digest)).encode())
        for subset in (self.training, self.test, self.validation):
            digest.update(b'-' if subset is None else np.ascontiguousarray(subset.source))
        return digest.hexdigest()

    def subsets(self) -> list[Subset]:
        """The subsets that there are."""
        every = (self.training, self.test, self.special_test, self.reduced_training, self.validation)
        return [subset for subset in every if subset is not None]

    def verify(self) -> bool:
        """As of `Dataset`: all images of the set's file are read and compared with their checksums."""
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
