"""Open data sets: `load(path)` -> a Dataset of Subsets.

The images stay on disk and are read on demand through a memory map. Opening a set takes milliseconds whatever its
size, and the system's file cache keeps the images that are used.
"""

from __future__ import annotations

import functools
import hashlib
import os
import zlib
from typing import Any

import h5py
import numpy as np

from loaders import fer2013
from loaders.errors import DataError
from loaders.sets import hdf5, optional
from loaders.sets.subset import Subset


class Dataset:
    """An open data set, usable as a context manager.

    Attributes
    ----------
    path, name : str
        Path of the file, and name of the set.
    number : int or None
        1 to 4 for the sets of the thesis, None for a custom set.
    shape : (int, int)
        Height and width of the images.
    classes : tuple of str
        Class names; a label is an index into them.
    transforms : tuple of str
        Names of the views stored of each training image.
    fingerprint : str
        Hex digest of the originals, the same for all sets built from one source. See also `content_digest`.
    layout : str
        Layout that the source was recognised as.
    fold : None
        Always None. In a `loaders.Fold`, `fold` is (i, k), `by` is what the set is divided by and `about` is a line
        that describes the fold.
    people : tuple of str
        Names of the people that `Subset.person` indexes; empty if the set has none.
    training, test : Subset
        Training and test images.
    special_test : Subset or None
        All views of each test image, in consecutive rows; None if there is only one view.
    reduced_training, validation : Subset or None
        Parts of `training` that have no original in common.
    """

    fold: tuple[int, int] | None = None
    by = about = ''

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self._crc = str(path), {}
        try:
            file = h5py.File(path, 'r')
        except OSError as error:
            raise DataError(f'{path}: {cannot_open(error)}') from error
        with file:
            try:
                self._read(file)
            except DataError:
                raise
            except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError) as error:
                raise DataError(f'{path}: damaged: {error}') from error

    def _read(self, file):
        path = self.path
        hdf5.check_file(file, path)
        self.name = hdf5.text(file, 'name', path)
        self.number = hdf5.number(file, 'number', path) or None
        self.classes = hdf5.texts(file, 'classes', path)
        self.fingerprint = hdf5.text(file, 'fingerprint', path)
        self.layout = hdf5.text(file, 'layout', path)
        self.people = optional.read_people(file, path)
        self.training, self.test, self.special_test = (
            self._stored(hdf5.group(file, name, path), name) for name in hdf5.STORED
        )
        if self.training is None or self.test is None:
            raise DataError(f'{path}: no training or no test subset')
        self.reduced_training, self.validation = (
            self._selected(hdf5.group(file, name, path), name) for name in hdf5.SELECTED
        )
        self.shape = self.training.x_shape
        self.transforms = self.training.transforms
        if any(s.x_shape != self.shape for s in self.subsets()):
            raise DataError(f'{path}: the subsets have images of different sizes')
        if (self.validation is None) != (self.reduced_training is None):
            raise DataError(f'{path}: one of validation and reduced_training is missing')
        optional.check_alike(self.subsets(), self.people, path)

    def _stored(self, node, name):
        if node is None:
            return None
        path = self.path
        x = hdf5.dataset(node, 'x', path, np.uint8, 3)
        names = [hdf5.stored_name(node, column) for column in hdf5.COLUMNS]
        stored = [hdf5.dataset(node, c, path, dtype, 1) for c, dtype in zip(names, hdf5.COLUMNS.values())]
        if any(len(column) != len(x) for column in stored):
            raise DataError(f'{path}: {name}: x, y, source, usage, view and duplicate differ in length')
        transforms = hdf5.texts(node, 'transforms', path)
        y, source, usage, view, duplicate = (column[:] for column in stored)
        for what, values, n in (
            ('label', y, len(self.classes)),
            ('usage', usage, 3),
            ('view', view, len(transforms)),
            ('duplicate flag', duplicate, 2),
        ):
            if values.max() >= n:
                row = int(np.argmax(values >= n))
                raise DataError(f'{path}: {name} row {row}: expected a {what} from 0 to {n - 1}, found {values[row]}')
        if source.min() < 0:
            raise DataError(f'{path}: {name}: a negative source')
        for what, values in zip(names, (y, source, usage, view, duplicate)):
            hdf5.check_crc(values, hdf5.stamped(node, what, path), path, f'{name}/{what}')
        self._crc[name] = hdf5.stamped(node, 'x', path)
        mapped = np.memmap(path, np.uint8, 'r', x.id.get_offset(), x.shape)
        columns = (y, source, usage, view, duplicate.astype(bool))
        known = optional.read_columns(node, len(x), len(self.classes), self.people, path)
        return Subset(name, transforms, mapped.view(np.ndarray), columns, *known)

    def _selected(self, node, name):
        if node is None:
            return None
        rows = hdf5.dataset(node, 'rows', self.path, np.int32, 1)[:]
        if rows.min() < 0 or rows.max() >= len(self.training):
            raise DataError(f'{self.path}: {name}: a row outside the training images')
        hdf5.check_crc(rows, hdf5.stamped(node, 'rows', self.path), self.path, f'{name}/rows')
        return self.training.select(name, rows)

    @property
    def counts(self) -> Any:
        """Numbers of original images of each usage and class: array (3, n_classes)."""
        return sum(
            fer2013.count(s.y[s.view == 0], s.usage[s.view == 0], len(self.classes)) for s in (self.training, self.test)
        )

    @property
    def is_fer2013(self) -> bool:
        """Whether the counts of each usage and class are FER2013's."""
        return fer2013.is_fer2013(self.classes, self.counts)

    @functools.cached_property
    def content_digest(self) -> Any:
        """Hex digest of everything that training and testing depend on; equal for equal sets.

        It covers the name and number of the set, the classes, the source's fingerprint, the views, the labels, the
        validation split and the checksums of the pixels, so it differs between the sets of one source. For a set of an
        early version, which has no checksums, all images are read.
        """
        digest = hashlib.sha256(repr((self.name, self.number, self.classes, self.fingerprint)).encode())
        for name in hdf5.STORED:
            subset = getattr(self, name)
            if subset is None:
                continue
            crc = zlib.crc32(subset._x) if self._crc[name] is None else self._crc[name]
            digest.update(repr((name, len(subset), subset.x_shape, subset.transforms, crc)).encode())
            for column in (subset.y, subset.source, subset.usage, subset.view, subset.duplicate):
                digest.update(column)
            optional.digest_columns(digest, subset)
        for name in hdf5.SELECTED:
            subset = getattr(self, name)
            if subset is not None:
                digest.update(repr((name, len(subset))).encode())
                digest.update(subset.rows)
        return digest.hexdigest()

    def subsets(self) -> list[Subset]:
        """Return the existing subsets, stored ones first."""
        every = (self.training, self.test, self.special_test, self.reduced_training, self.validation)
        return [subset for subset in every if subset is not None]

    def verify(self) -> bool:
        """Read all images and compare them with their checksums. The other arrays were checked on opening.

        Returns
        -------
        bool
            False for a set of an early version, which has no checksums.

        Raises
        ------
        DataError
            Images were damaged after they were written.
        """
        for name, crc in self._crc.items():
            hdf5.check_crc(getattr(self, name)._x, crc, self.path, f'{name}/x')
        return None not in self._crc.values()

    def close(self) -> None:
        """Release the file. The images can no longer be read; the other columns can."""
        for subset in self.subsets():
            subset._x = None

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *_):
        self.close()


def cannot_open(error: Any) -> str:
    """Explain in plain words why h5py could not open a file."""
    if isinstance(error, FileNotFoundError):
        return 'no such file'
    if isinstance(error, IsADirectoryError):
        return 'a folder, not a data set'
    if isinstance(error, PermissionError):
        return 'no permission to read it'
    if 'truncated' in str(error):
        return 'truncated: the file is shorter than it says'
    return 'not an HDF5 file, or damaged'


def load(path: str | os.PathLike[str]) -> Dataset:
    """Open and check a data set written by `build`.

    Returns
    -------
    Dataset
        Open data set. Its images are read on demand.

    Raises
    ------
    DataError
        The file is missing, truncated, of another format, or contradicts itself.

    Examples
    --------
    >>> with load('datasets/set2.h5') as data:                      # doctest: +SKIP
    ...     x, y = data.training.images(slice(0, 128)), data.training.y[:128]
    """
    return Dataset(path)
