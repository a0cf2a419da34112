"""Files that are written whole or not at all.

==================  ===========================================================================
`atomic_write`      a temporary file that takes the place of another when it is complete
`rotate`            renames an existing file, so that it is not lost
`remove_partial`    removes what processes that were killed while they wrote have left
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
    """A temporary file beside `path`, which takes its place when the block ends well; else nothing changes.

    Raises
    ------
    OSError
        It cannot be written: the disk is full, the folder is read-only, ...
    """
    named, path, temporary = path, Path(os.path.realpath(path)), None  # of a link, what it leads to
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.part')
        os.close(handle)
        yield Path(temporary)
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp's own permission is the owner's alone
        os.replace(temporary, path)
        _sync(path.parent)
    except BaseException as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.strerror:
            raise type(error)(
                f"'{named}' cannot be written ({error.strerror}); what was there stays as it was"
            ) from error
        raise


def _sync(folder):
    """Have a folder's new names on the disk, where the file system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        pass


def remove_partial(path: Path) -> None:
    """Remove what runs of this model that were killed while they wrote it have left."""
    path = Path(os.path.realpath(path))
    for part in path.parent.glob(f'.{glob.escape(path.name)}.*.part'):
        part.unlink(missing_ok=True)


def rotate(path: StrPath) -> Path | None:
    """Rename an existing file to the next free ``name.1.h5``, ``name.2.h5``, ... so that it is not lost.

    Returns
    -------
    Path or None
        Its new name, if there was one.
    """
    if os.path.islink(path):
        path = os.path.realpath(path)  # what it leads to; the link stays
    path = Path(path)
    if not path.exists():
        return None
    number = 1
    while (other := path.with_suffix(f'.{number}{path.suffix}')).exists():
        number += 1
    os.rename(path, other)
    return other


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
