"""Folders and archives as containers of named files. Archives are read and never extracted.

A name inside an archive is used only to recognise a file and in messages. Links are never followed, and the expanded
size of an archive is bounded.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from loaders.errors import DataError

MAX_BYTES = 8 << 30  # largest expanded size of an archive in bytes
MAX_RATIO = 100  # largest expansion, relative to the size of the archive
MAX_IMAGE = 64 << 20  # largest image file in bytes
SLACK = 64 << 20  # expanded size in bytes below which the ratio is not checked
MAX_NAMES = 1_000_000  # largest number of files in an archive
NOT_DATA = ('__MACOSX', '__pycache__')  # folders that programs create beside the user's own
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may need gigabytes to decompress


def check_expansion(n_bytes: int, compressed: int, name: str) -> None:
    """Raise DataError if an archive expands too much: `compressed` to `n_bytes` bytes."""
    if n_bytes > MAX_BYTES or n_bytes > max(SLACK, MAX_RATIO * compressed):
        raise DataError(f'{name}: refused: {compressed} bytes expand to {n_bytes} bytes or more')


def check_regular(path: Path) -> None:
    """Raise DataError for a link, a pipe or a device: it leads out of the folder or may be endless."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise DataError(
            f'{path}: a link, a pipe or a device; only files of the folder itself are '
            'read (cp -rL makes a folder without links)'
        )


def unreadable(error: Any) -> Any:
    """Raise DataError for a folder that cannot be listed; its images would be left out silently."""
    raise DataError(f'{error.filename}: cannot be read: {error.strerror}') from error


class Folder:
    """The files below a folder. Names are relative and use `/`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.name = str(path)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_):
        pass

    def names(self) -> list[str]:
        """Return the names of all files, and of all folders with a trailing `/`."""
        found = []
        for folder, folders, files in os.walk(self.path, onerror=unreadable):
            base = Path(folder).relative_to(self.path)
            found += [(base / name).as_posix() for name in files]
            found += [(base / name).as_posix() + '/' for name in folders]
        return found

    def read(self, name: str) -> bytes:
        path = self.path / name
        check_regular(path)
        if path.stat().st_size > MAX_IMAGE:
            raise DataError(f'{path}: an image of more than {MAX_IMAGE} bytes')
        return path.read_bytes()

    def open(self, name: str) -> Any:
        check_regular(self.path / name)
        return open(self.path / name, 'rb')


class Zip:
    """The files in a zip archive."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, OverflowError, struct.error) as error:
            raise DataError(f'{path}: truncated or damaged zip archive: {error}') from error
        entries = self.zip.infolist()
        if len(entries) > MAX_NAMES:
            raise DataError(f'{path}: {len(entries)} files in the archive, at most {MAX_NAMES} are read')
        if len({entry.filename for entry in entries}) < len(entries):
            raise DataError(f'{path}: a name occurs twice in the archive')
        check_expansion(sum(entry.file_size for entry in entries), os.path.getsize(path), self.name)

    def __enter__(self) -> Zip:
        return self

    def __exit__(self, *_):
        self.zip.close()

    def names(self) -> list[str]:
        return self.zip.namelist()

    def check(self, name: str) -> None:
        entry = self.zip.getinfo(name)
        method = entry.compress_type
        if entry.compress_size > os.path.getsize(self.name):
            raise DataError(f'{self.name}: {name}: damaged: its declared size is larger than the archive')
        if method not in METHODS:
            raise DataError(
                f'{self.name}: {name}: compressed by method {method}; zip it with '
                'deflate, as every zip program does by default'
            )

    def read(self, name: str) -> bytes:
        self.check(name)
        if self.zip.getinfo(name).file_size > MAX_IMAGE:
            raise DataError(f'{self.name}: {name}: an image of more than {MAX_IMAGE} bytes')
        with damage(f'{self.name}: {name}'):
            return self.zip.read(name)  # never more than the declared size

    def open(self, name: str) -> Any:
        self.check(name)
        with damage(f'{self.name}: {name}'):
            return self.zip.open(name)


@contextmanager
def damage(name: str) -> Iterator[None]:
    """Convert errors of the decompressors to DataError."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        gzip.BadGzipFile,
        tarfile.TarError,
        EOFError,
        NotImplementedError,
        ValueError,
        OverflowError,
        struct.error,
    ) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f'{name}: truncated or damaged: {error}') from error
    except RuntimeError as error:  # zipfile's way of asking for a password
        raise DataError(f'{name}: {error}') from error


class Bounded(io.RawIOBase):
    """A stream of decompressed bytes whose expansion is bounded."""

    def __init__(self, stream: Any, compressed: int, name: str) -> None:
        self.stream, self.compressed, self.name, self.n_bytes = stream, compressed, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with damage(self.name):
            block = self.stream.read(len(buffer))
        self.n_bytes += len(block)
        check_expansion(self.n_bytes, self.compressed, self.name)
        buffer[: len(block)] = block
        return len(block)


@contextmanager
def table_stream(stream: Any, compressed: int, name: str) -> Iterator[tuple[Any, str]]:
    """Open the table in a binary stream: plain, gzipped, in a tar archive, or in a gzipped tar archive.

    Parameters
    ----------
    stream : binary file
        Stream at its beginning.
    compressed : int
        Size of the stream in bytes, with which the expanded size is compared.
    name : str
        Name used in messages.

    Yields
    ------
    (binary file, str)
        Stream of the table, and the recognised format.
    """
    stream = io.BufferedReader(Bounded(stream, compressed, name), 1 << 20)
    kind = 'table'
    if stream.peek(2)[:2] == b'\x1f\x8b':
        gz = gzip.GzipFile(fileobj=stream)
        stream = io.BufferedReader(Bounded(gz, compressed, name), 1 << 20)
        kind = 'gzipped table'
    if stream.peek(265)[257:262] != b'ustar':
        yield stream, kind
        return
    with damage(name):
        archive = tarfile.open(fileobj=stream, mode='r|', bufsize=1 << 20)
        member = next((m for m in archive if m.isfile() and is_table(m.name) and not is_hidden(m.name)), None)
    if member is None:
        raise DataError(f'{name}: no table (.csv) in the archive; images are read from a folder or a zip archive')
    with archive, damage(name):
        yield archive.extractfile(member), f'{kind} in a tar archive'.replace('gzipped ', '')


def is_hidden(name: str) -> bool:
    """Return True for a name with a hidden part, such as `.ipynb_checkpoints` or macOS's `._fer2013.csv`."""
    return any(part in NOT_DATA or part.startswith('.') and part != '..' for part in PurePosixPath(name).parts)


def is_table(name: str) -> bool:
    """Return True for tables, including a fer2013.csv that has lost its ending `.csv`."""
    path = PurePosixPath(name)
    return path.suffix.lower() == '.csv' or path.name == 'fer2013'
