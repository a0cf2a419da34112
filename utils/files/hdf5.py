"""HDF5 files of unknown origin: no more of HDF5 than model files need, checked before it is read.

Reading takes no more memory than a small multiple of the file's size.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py

from utils.files.checksums import ModelError

MOST_NAMES = 100_000  # data sets and groups of an HDF5 file
LONGEST_ATTRIBUTE = 256  # bytes


def read_hdf5(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes and data sets of an HDF5 file, every one of which lies within the file.

    Returns
    -------
    attributes : dict of str to str or int
        Of the file itself: texts of fixed length and whole numbers.
    flat : dict of str to str or array
        Texts, and arrays of numbers, by path.

    Raises
    ------
    ModelError
        Links that lead elsewhere, external storage, virtual, chunked or compressed data, other types, shapes that
        the file has no room for, one thing under two names.
    OSError, RuntimeError, KeyError, ValueError, TypeError
        From h5py: the file is damaged.
    """
    size = Path(path).stat().st_size
    with h5py.File(path, 'r') as file:
        attributes = {name: _attribute(file, name) for name in ('format', 'version') if name in file.attrs}
        flat, room = {}, size
        for name, item in _data_sets(file):
            room -= _check_within(name, item, size)
            if room < 0:
                raise ModelError(f'its data sets together are larger than the file, from {name!r} on')
            flat[name] = item[()].decode() if item.dtype.kind == 'S' else item[()]
    return attributes, flat


def format_of(path: Path) -> str | int:
    """The attribute 'format' of an HDF5 file; KeyError where it has none, errors as of `read_hdf5`."""
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
    """Every data set with its path. A link is followed only where it leads to something of this file, once."""
    waiting, seen = [(file, '')], {h5py.h5o.get_info(file['/'].id).addr}
    while waiting:
        group, prefix = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f'{prefix + name!r} is a link to somewhere else')
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ModelError(f'{prefix + name!r} is there under another name too')
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
    """Bytes of a data set, if it is stored in one piece within the file."""
    if item.dtype.kind not in 'fiuS' or (item.dtype.kind in 'fiu' and item.dtype.itemsize > 8):
        raise ModelError(f'data set {name!r} has type {item.dtype}, numbers expected')
    if item.dtype.kind == 'S' and item.shape != ():
        raise ModelError(f'data set {name!r} has type {item.dtype}, numbers expected')
    if item.is_virtual or item.external or item.chunks:
        raise ModelError(f'data set {name!r} is not stored in one piece within the file')
    n_bytes = item.id.get_type().get_size() * math.prod(item.shape or ())
    start = item.id.get_offset()
    if start is None or item.shape is None or start + n_bytes > size:
        raise ModelError(f'data set {name!r} is declared as {item.dtype} {item.shape}, and the file has no room for it')
    return n_bytes
