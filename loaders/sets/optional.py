"""Optional columns of a set: the person in each image, and people's votes for its class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loaders.errors import DataError
from loaders.sets import hdf5

if TYPE_CHECKING:
    from loaders.sets.subset import Subset


def read_people(file: Any, path: str) -> tuple[str, ...]:
    """Return the names of the people in a set; () if it knows none."""
    if file.get('people', getlink=True) is None:
        return ()
    names = hdf5.dataset(file, 'people', path, bytes, 1)[:]
    hdf5.check_crc(names, hdf5.stamped(file, 'people', path), path, 'people')
    return tuple(name.decode('utf-8', 'replace') for name in names.tolist())


def read_columns(
    node: Any, n: int, n_classes: int, people: Sequence[str], path: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return (person, votes) of a stored subset of n images, each None if it is absent."""
    person = votes = None
    if node.get('person', getlink=True) is not None:
        person = checked(node, 'person', path, np.int32, (n,))
        if person.min() < -1 or person.max() >= len(people):
            raise DataError(
                f'{path}: {node.name[1:]}/person: expected -1 or the index of one of {len(people)} people, '
                f'found {person.min()} to {person.max()}'
            )
    if node.get('votes', getlink=True) is not None:
        votes = checked(node, 'votes', path, (np.uint8, np.float32), (n, n_classes))
        if bad := bad_votes(votes):
            raise DataError(f'{path}: {node.name[1:]}/votes {bad}')
    return person, votes


def checked(node: Any, name: str, path: str, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Read an array of a subset and check its shape and checksum."""
    stored = hdf5.dataset(node, name, path, dtype, len(shape))
    if stored.shape != shape:
        raise DataError(f'{path}: {node.name[1:]}/{name}: expected the shape {shape}, found {stored.shape}')
    values = stored[:]
    hdf5.check_crc(values, hdf5.stamped(node, name, path), path, f'{node.name[1:]}/{name}')
    return values


def bad_votes(votes: np.ndarray) -> str:
    """Return what is wrong with votes (n, n_classes), as the end of a sentence; '' if nothing is."""
    good = np.isfinite(votes).all(axis=1) & (votes >= 0).all(axis=1) & (votes > 0).any(axis=1)
    if good.all():
        return ''
    row = int(np.argmin(good))
    return f'row {row}: expected numbers >= 0, at least one of them above 0, found {votes[row].tolist()}'


def check_alike(subsets: Sequence[Subset], people: Sequence[str], path: str) -> None:
    """Raise DataError if one subset has people or votes and another does not."""
    for what in ('person', 'votes'):
        without = [subset.name for subset in subsets if getattr(subset, what) is None]
        if without and len(without) < len(subsets):
            raise DataError(f'{path}: {without[0]} has no {what}, but other subsets do')
    if bool(people) and subsets[0].person is None:
        raise DataError(f'{path}: has names of people, but no column person')


def digest_columns(digest: Any, subset: Subset) -> None:
    """Add person and votes, if they exist, to a digest."""
    for what in ('person', 'votes'):
        values = getattr(subset, what)
        if values is not None:
            digest.update(repr((what, values.dtype.name, values.shape)).encode())
            digest.update(values)
