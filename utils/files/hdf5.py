"""Read HDF5 files of unknown origin. Only the features of HDF5 that model files need are accepted.

Everything is checked before it is read. Reading takes at most a small multiple of the file's size in memory.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py

from utils.files.checksums import ModelError

MOST_NAMES = 100_000  # largest number of datasets and groups
LONGEST_ATTRIBUTE = 256  # bytes


def read_hdf5(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the attributes and the datasets of an HDF5 file that are stored within the file.

    Returns
    -------
    attributes : dict of str to str or int
        Attributes 'format' and 'version' of the file: strings of fixed length or whole numbers.
    flat : dict of str to str or array
        Strings and arrays of numbers, by path.

    Raises
    ------
    ModelError
        The file has links to elsewhere, external storage, virtual, chunked or compressed data, other types, shapes
        for which the file has no room, or one object under two names.
    OSError, RuntimeError, KeyError, ValueError, TypeError
        The file is damaged; raised by h5py.
    """
    size = Path(path).stat().st_size
    with h5py.File(path, 'r') as file:
        attributes = {name: _attribute(file, name) for name in ('format', 'version') if name in file.attrs}
        flat, room = {}, size
        for name, item in _data_sets(file):
            room -= _check_within(name, item, size)
            if room < 0:
                raise ModelError(f'its data sets are together larger than the file, from {name!r} on')
            flat[name] = item[()].decode() if item.dtype.kind == 'S' else item[()]
    return attributes, flat


def format_of(path: Path) -> str | int:
    """Return the attribute 'format' of an HDF5 file; raise KeyError if it has none, and the errors of `read_hdf5`."""
    with h5py.File(path, 'r') as file:
        return _attribute(file, 'format')


def _attribute(file, name):
    declared = file.attrs.get_id(name)
    if declared.shape == () and declared.dtype.itemsize <= LONGEST_ATTRIBUTE:
        if declared.dtype.kind in 'iu':
            return int(file.attrs[name])
        if declared.dtype.kind == 'S':
            return file.attrs[name].decode('ascii', 'replace')
    raise ModelError(f'its attribute {name!r} is neither a short text nor a number')


def _data_sets(file):
    """Yield every dataset with its path. Only hard links are followed, and no object is yielded twice."""
    waiting, seen = [(file, '')], {h5py.h5o.get_info(file['/'].id).addr}
    while waiting:
        group, prefix = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f'{prefix + name!r} is a link, not stored in this file')
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ModelError(f'{prefix + name!r} also exists under another name')
            seen.add(address)
            if len(seen) > MOST_NAMES:
                raise ModelError(f'it has more than {MOST_NAMES} data sets')
            if isinstance(item, h5py.Group):
                waiting.append((item, f'{prefix}{name}/'))
            elif isinstance(item, h5py.Dataset):
                yield prefix + name, item
            else:
                raise ModelError(f'{prefix + name!r} is neither a group nor a data set')


def _check_within(name, item, size):
    """Return the size in bytes of a dataset, after checking that it is stored contiguously within the file."""
    if item.dtype.kind not in 'fiuS' or (item.dtype.kind in 'fiu' and item.dtype.itemsize > 8):
        raise ModelError(f'data set {name!r} has type {item.dtype}, expected numbers')
    if item.dtype.kind == 'S' and item.shape != ():
        raise ModelError(f'data set {name!r} has type {item.dtype}, expected numbers')
    if item.is_virtual or item.external or item.chunks:
        raise ModelError(f'data set {name!r} is not stored contiguously within the file')
    n_bytes = item.id.get_type().get_size() * math.prod(item.shape or ())
    start = item.id.get_offset()
    if start is None or item.shape is None or start + n_bytes > size:
        raise ModelError(f'data set {name!r} is declared as {item.dtype} {item.shape}, but the file has no room for it')
    return n_bytes
