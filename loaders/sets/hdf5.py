"""The HDF5 file of a data set: layout, writing, and checks on reading.

Each stored subset (training, test, special_test) is a group with one row per image::

    x       uint8 (n, height, width)    grey levels, contiguous, not compressed
    y       uint8 (n,)      class
    source  int32 (n,)      number of the original image in the source
    usage   uint8 (n,)      0 Training, 1 PublicTest, 2 PrivateTest
    view    uint8 (n,)      index into the group's attribute `transforms`
    duplicate  uint8 (n,)   1 if the original has an exact duplicate among the training originals (in sets built by
                            earlier versions, this array is called twin)

If the source has them, there are also::

    person  int32 (n,)      the person: index into the array `people` of the file, -1 for unknown
    votes   uint8 or float32 (n, n_classes)     votes for each class, not all 0

All views of an original are in consecutive rows. The groups reduced_training and validation hold `rows`, int32 (n,),
ascending: their rows in training. The attributes of the file are format, version, name, number (0 for a custom set),
classes, fingerprint and layout. Every array has an attribute crc32, the checksum of its bytes (not in sets built by
early versions).
"""

from __future__ import annotations

import errno
import fcntl
import filecmp
import io
import os
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from loaders.errors import DataError

FORMAT, VERSION = 'symfer data set', 1
MAX_ITEM = 1 << 16  # largest item of an attribute that is read, in bytes
CHECKSUMMED = ('v108', 'v108')  # HDF5 1.8, the first version with checksums of its metadata
COLUMNS = {'y': np.uint8, 'source': np.int32, 'usage': np.uint8, 'view': np.uint8, 'duplicate': np.uint8}
FORMER = {'duplicate': 'twin'}  # columns under the names of earlier versions
STORED = ('training', 'test', 'special_test')
SELECTED = ('reduced_training', 'validation')


class Output(io.FileIO):
    """A file for HDF5 to write to, made from the descriptor of an open file, which is truncated.

    The HDF5 library crashes the process if a write fails, for example on a full disk. A failure is therefore kept in
    `error` until the library has closed the file.
    """

    error = None

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, 'r+')
        super().truncate(0)

    def write(self, data: Any) -> Any:
        rest = memoryview(data).cast('B')
        try:
            while rest and self.error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size


@contextmanager
def new_file(path: Path, info: Callable[..., Any] = print) -> Iterator[Any]:
    """Open a new HDF5 file for writing that appears under its name when it is complete, or not at all.

    An existing file is renamed, see `make_way`, and `info` is called with a line that says so. If the existing file is
    identical, it stays as it is. A symbolic link is kept, and its target is written.
    """
    path = Path(os.path.realpath(path) if os.path.islink(path) else path)
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Output(locked(temporary, path)) as output:
            file = None
            try:
                with h5py.File(output, 'w', libver=CHECKSUMMED) as file:
                    yield file
                if output.error:
                    raise output.error
                os.fsync(output.fileno())
                if path.is_file() and filecmp.cmp(temporary, path, shallow=False):
                    temporary.unlink()
                    info(f'{path}: already existed and is identical')
                    return
                other = make_way(path) if path.is_file() else None
                os.replace(temporary, path)
                if other:
                    info(f'{path}: already existed; the old file is now {other}')
            except BaseException as error:  # also Ctrl-C while h5py opens or closes the file: frames are cleared so
                traceback.clear_frames(error.__traceback__)  # that h5py closes it before the output is closed
                if file:
                    file.close()
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise DataError(f'{path}: cannot be written: {error.strerror or error}') from error


def make_way(path: Path) -> Path:
    """Give an existing file the next free name, set2.1.h5, set2.2.h5, ..., and return that name.

    If the file system has hard links, the file also keeps its old name until another file replaces it.
    """
    number = 1
    while True:
        other = path.with_name(f'{path.stem}.{number}{path.suffix}')
        try:
            os.link(path, other)
            return other
        except FileExistsError:
            number += 1
        except OSError:
            if not os.path.lexists(other):
                os.rename(path, other)
                return other
            number += 1


def locked(temporary: Path, path: Path) -> int:
    """Open and lock a temporary file, new or left by a killed process, and return its descriptor."""
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DataError(
                f'{path}: another process is making this data set; wait for it, or choose another folder'
            ) from None
        except OSError as error:  # a file system without locks
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                os.close(descriptor)
                raise
        try:
            # Before this process got the lock, another one may have finished the file and renamed it.
            if os.path.samestat(os.fstat(descriptor), os.stat(temporary)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def check_file(file: Any, path: str) -> None:
    """Raise DataError unless an open file is a data set of this format."""
    kind = text(file, 'format', path)
    if kind != FORMAT:
        raise DataError(f'{path}: not a symfer data set')
    version = number(file, 'version', path)
    if version != VERSION:
        raise DataError(f'{path}: format version {version}, expected {VERSION}; build it again')


def attribute(node: Any, name: str, path: str, shape: Sequence[Any]) -> Any:
    """Read an attribute after checking its declared shape."""
    if name not in node.attrs:
        raise DataError(f'{path}: not a symfer data set: no attribute {name!r}')
    try:
        declared = node.attrs.get_id(name)
        found = declared.shape
        if (
            len(found) != len(shape)
            or any(n > limit for n, limit in zip(found, shape))
            or declared.dtype.itemsize > MAX_ITEM
        ):
            raise DataError(f'{path}: attribute {name!r} is too large: {declared.dtype} {found}')
        return node.attrs[name]
    except (OSError, UnicodeDecodeError, TypeError, RuntimeError) as error:
        raise DataError(f'{path}: attribute {name!r} cannot be read: {error}') from error


def text(node: Any, name: str, path: str) -> str:
    """Read an attribute that must be a string."""
    return decode(attribute(node, name, path, ()), name, path)


def texts(node: Any, name: str, path: str) -> tuple[str, ...]:
    """Read an attribute that must be a sequence of 1 to 256 strings."""
    values = attribute(node, name, path, (256,))
    if not len(values):
        raise DataError(f'{path}: attribute {name!r} is empty')
    return tuple(decode(value, name, path) for value in values)


def decode(value: Any, name: str, path: str) -> str:
    """Decode the bytes of an attribute."""
    if not isinstance(value, bytes):
        raise DataError(f'{path}: attribute {name!r} is not text of fixed length')
    return value.decode('utf-8', 'replace')


def encode(value: Any) -> np.ndarray:
    """Encode a str, or a sequence of them, as an array of fixed-length strings.

    HDF5 stores strings of variable length in a part of the file that has no checksum.
    """
    data = np.char.encode(np.array(value, str), 'utf-8', 'replace')
    return data.astype(h5py.string_dtype('utf-8', max(1, data.dtype.itemsize)))


def number(node: Any, name: str, path: str) -> int:
    """Read an attribute that must be a whole number."""
    value = attribute(node, name, path, ())
    if not isinstance(value, np.integer):
        raise DataError(f'{path}: attribute {name!r} is not a whole number')
    return int(value)


def group(file: Any, name: str, path: str) -> Any | None:
    """Return a group stored in the file itself, or None if there is none."""
    link = file.get(name, getlink=True)  # the kind of link, without following it
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink) or not isinstance(file[name], h5py.Group):
        raise DataError(f'{path}: {name} is not a group of this file')
    return file[name]


def dataset(node: Any, name: str, path: str, dtype: Any, ndim: int) -> Any:
    """Return an HDF5 dataset that is stored contiguously in the file and whose shape the file can hold.

    `dtype` may be a tuple of several; `bytes` stands for strings of fixed length.
    """
    where = f'{node.name}/{name}'.lstrip('/')
    dtypes = dtype if isinstance(dtype, tuple) else (dtype,)
    if not isinstance(node.get(name, getlink=True), h5py.HardLink):
        raise DataError(f'{path}: {where} is missing')
    data = node[name]
    fits = isinstance(data, h5py.Dataset) and data.ndim == ndim
    if not fits or not any(data.dtype.kind == 'S' if one is bytes else data.dtype == one for one in dtypes):
        kinds = ' or '.join(np.dtype(one).name for one in dtypes)
        raise DataError(f'{path}: {where} is not a {ndim}-dimensional array of {kinds}')
    if data.is_virtual or data.external or data.chunks or data.id.get_offset() is None:
        raise DataError(f'{path}: {where} is not stored contiguously within the file')
    n_bytes = data.dtype.itemsize * int(np.prod(data.shape, dtype=object))
    if not n_bytes or data.id.get_offset() + n_bytes > os.path.getsize(path):
        raise DataError(f'{path}: {where} is empty or cut off: the file is too short for the shape {data.shape}')
    return data


def stored_name(node: Any, column: str) -> str:
    """Return the name of a column in a subset's group: its former name if only that exists."""
    former = FORMER.get(column, column)
    return former if column not in node and former in node else column


def stamp(data: Any, crc: int) -> None:
    """Store the CRC-32 of an array's bytes as its attribute."""
    data.attrs['crc32'] = np.uint32(crc)


def stamped(node: Any, name: str, path: str) -> int | None:
    """Return the CRC-32 stored with an array, or None if there is none."""
    return number(node[name], 'crc32', path) if 'crc32' in node[name].attrs else None


def check_crc(values: Any, crc: int | None, path: str, where: str) -> None:
    """Raise DataError if the bytes of an array are not those that were written."""
    if crc is not None and zlib.crc32(values) != crc:
        raise DataError(
            f'{path}: {where} was damaged after it was written (its checksum differs): build it again, or copy it again'
        )
