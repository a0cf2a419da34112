"""Write files completely or not at all.

==================  ===========================================================================
`atomic_write`      a temporary file that replaces the target when it is complete
`rotate`            renames an existing file, so that it is not lost
`remove_partial`    removes the temporary files of processes that were killed while writing
==================  ===========================================================================
"""

from __future__ import annotations

import glob
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from utils.annotations import StrPath


@contextmanager
def atomic_write(path: StrPath) -> Iterator[Path]:
    """Open a temporary file beside `path` that replaces it if the block succeeds; otherwise `path` is unchanged.

    A symbolic link is kept, and its target is replaced.

    Raises
    ------
    OSError
        The file cannot be written: the disk is full, the folder is read-only, ...
    """
    named, path, temporary = path, Path(os.path.realpath(path)), None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.part')
        os.close(handle)
        yield Path(temporary)
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes files that only the owner can read
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.strerror:
            raise type(error)(
                f"'{named}' cannot be written ({error.strerror}); an existing file is unchanged"
            ) from error
        raise


def _sync(folder):
    """Flush a folder's new names to the disk, if the file system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        pass


def remove_partial(path: Path) -> None:
    """Remove the temporary files of runs that were killed while writing this model."""
    path = Path(os.path.realpath(path))
    for part in path.parent.glob(f'.{glob.escape(path.name)}.*.part'):
        part.unlink(missing_ok=True)


def rotate(path: StrPath) -> Path | None:
    """Rename an existing file to the next free ``name.1.h5``, ``name.2.h5``, ... so that it is not lost.

    Returns
    -------
    Path or None
        New path of the file; None if it did not exist.
    """
    if os.path.islink(path):
        path = os.path.realpath(path)  # rename the target and keep the link
    path = Path(path)
    if not path.exists():
        return None
    number = 1
    while (other := path.with_suffix(f'.{number}{path.suffix}')).exists():
        number += 1
    os.rename(path, other)
    return other


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, completely or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
