"""The original images of a source, before they are transformed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from loaders import fer2013
from loaders.errors import DataError, check_class_names
from loaders.sets.optional import bad_votes


@dataclass
class Originals:
    """The images of a source, in the source's order.

    Attributes
    ----------
    images : uint8 array (n, height, width)
        Grey levels, 0 black to 255 white.
    labels : uint8 array (n,)
        Index into `classes`.
    usage : uint8 array (n,)
        0 Training, 1 PublicTest, 2 PrivateTest.
    ids : int32 array (n,)
        Number of each image in the source, ascending. Number 0 of a table is the first row below the header. Bad rows
        that were left out leave gaps.
    classes : tuple of str
        Class names.
    layout : str
        Layout that the source was recognised as.
    notes : list of str
        Notes for the user: rows left out, images resized, a split by seed, ...
    person : int32 array (n,), optional
        Person in each image: index into `people`, -1 if unknown. None if the source names no people.
    people : tuple of str
        Names of the people.
    votes : uint8 or float32 array (n, n_classes), optional
        Votes of several people for each class, not all 0.
    """

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    ids: np.ndarray
    classes: tuple = fer2013.CLASSES
    layout: str = 'arrays'
    notes: list = field(default_factory=list)
    person: np.ndarray | None = None
    people: tuple = ()
    votes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def counts(self) -> np.ndarray:
        """Numbers of images of each usage and class: array (3, n_classes)."""
        return fer2013.count(self.labels, self.usage, len(self.classes))

    def fingerprint(self) -> str:
        """Return the hex digest of size, classes, pixels, labels and usages, in the source's order."""
        digest = hashlib.sha256(repr((self.images.shape, tuple(self.classes))).encode())
        for array in (self.images, self.labels, self.usage):
            digest.update(np.ascontiguousarray(array, np.uint8))
        return digest.hexdigest()

    def check(self, name: str) -> None:
        """Raise DataError unless the arrays are consistent and a set can be built from them."""
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.ndim != 3:
            raise DataError(
                f'{name}: images must be a uint8 array (n, height, width), '
                f'found {self.images.dtype} {self.images.shape}'
            )
        for what in ('labels', 'usage', 'ids'):
            if getattr(self, what).shape != (n,):
                raise DataError(f'{name}: {what} must have the shape ({n},), found {getattr(self, what).shape}')
        if n and (self.labels.max() >= len(self.classes) or self.usage.max() > 2):
            raise DataError(f'{name}: a label or usage is out of range')
        if len(self.classes) > 256:
            raise DataError(f'{name}: {len(self.classes)} classes, at most 256 can be stored')
        check_class_names(self.classes, name)
        self.check_optional(name)
        counts = self.counts
        notes = ''.join(f'; {note}' for note in self.notes[:2])
        if not counts[0].any():
            raise DataError(
                f'{name}: no training images, only test images; expected training images as well, '
                f'or <class>/<image> without train and test{notes}'
            )
        if not counts[1:].any():
            raise DataError(
                f'{name}: no test images; give the fraction of the training images '
                f'to hold out for testing (test=0.2, --test 0.2){notes}'
            )
        for class_name, images in zip(self.classes, counts[0]):
            if images == 0:
                raise DataError(f'{name}: class {class_name} has no training image{notes}')

    def check_optional(self, name: str) -> None:
        """Raise DataError unless people and votes, if any, are consistent with the images."""
        n, k = len(self.images), len(self.classes)
        if self.person is not None:
            if self.person.shape != (n,) or self.person.dtype != np.int32:
                raise DataError(
                    f'{name}: person must be an int32 array ({n},), found {self.person.dtype} {self.person.shape}'
                )
            if not self.people or n and not -1 <= self.person.min() <= self.person.max() < len(self.people):
                raise DataError(f'{name}: person must be -1 or the index of one of {len(self.people)} people')
            if len(set(self.people)) < len(self.people) or not all(p.strip() and p.isprintable() for p in self.people):
                raise DataError(f'{name}: the names of people must be unique and printable')
        if self.votes is not None:
            if self.votes.shape != (n, k) or self.votes.dtype not in (np.uint8, np.float32):
                raise DataError(
                    f'{name}: votes must be a uint8 or float32 array ({n}, {k}), '
                    f'found {self.votes.dtype} {self.votes.shape}'
                )
            if bad := bad_votes(self.votes):
                raise DataError(f'{name}: votes {bad}')

    def select(self, rows: np.ndarray) -> Originals:
        """Return the originals of some rows, int array (m,), ascending."""
        columns = {
            what: values[rows]
            for what in ('images', 'labels', 'usage', 'ids', 'person', 'votes')
            if (values := getattr(self, what)) is not None
        }
        return replace(self, **columns)
