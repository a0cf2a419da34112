"""Locks of files and of models, across processes.

==============================  =================================
`lock`, `try_lock`              locks of a file
`model_lock`, `try_model_lock`  locks of a model
==============================  =================================
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from utils.files import atomic


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, across processes (and machines, if the file system supports it)."""
    path = Path(path)
    with open(path.with_name(f'.{path.name}.lock'), 'w') as file:
        try_lock(file)
        yield


def try_lock(file: Any, wait: bool = True) -> bool:
    """Lock an open file until it is closed. Return False if it is locked already and `wait` is False.

    The result is always True if the file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return True


_THREAD = threading.local()


@contextmanager
def try_model_lock(model: Path) -> Iterator[Any]:
    """Try to lock a model for this thread, for the duration of the block, and yield whether it succeeded.

    A thread can lock a model again that it has locked. The result is always True if the file system has no locks.
    """
    model = Path(model)
    key = model.resolve()
    if key in _held_here():
        yield True
        return
    lock_file(model).parent.mkdir(parents=True, exist_ok=True)
    with open(lock_file(model), 'a', encoding='utf-8') as file:
        if not try_lock(file, wait=False):
            yield False
            return
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}')
        file.flush()
        _held_here().add(key)
        try:
            yield True
        finally:
            _held_here().discard(key)


def _held_here():
    """Return the models that this thread has locked."""
    if not hasattr(_THREAD, 'claims'):
        _THREAD.claims = set()
    return _THREAD.claims


def lock_file(model: Path) -> Path:
    """Return the lock file of a model: beside the model or, for a link, beside its target."""
    path = Path(os.path.realpath(model))
    return path.with_name(f'.{path.name}.claim')


@contextmanager
def model_lock(model: Path) -> Iterator[None]:
    """Lock a model for the duration of the block and remove its partial files.

    Raises
    ------
    BlockingIOError
        Another run has locked the model.
    """
    with try_model_lock(model) as mine:
        if not mine:
            raise BlockingIOError(
                f"'{model}' is being written by another run ({lock_file(model).read_text()}): "
                'choose another savename, or wait for that run'
            )
        atomic.remove_partial(model)
        yield
