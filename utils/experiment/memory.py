"""Explains out-of-memory errors of the device and the machine, and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WORDS = ('RESOURCE_EXHAUSTED', 'Out of memory', 'out of memory', 'failed to allocate', 'Failed to allocate')


class OutOfMemory(MemoryError):
    """Raised when memory is used up; the message says what to do."""


def out_of_memory(error: Any) -> bool:
    """Whether an error says that the memory of the device or of the machine is used up."""
    return isinstance(error, MemoryError) or (
        type(error).__name__ in ('JaxRuntimeError', 'XlaRuntimeError') and any(word in str(error) for word in WORDS)
    )


@contextmanager
def explain_out_of_memory(device: str, batch_size: int, trainShared: bool | None = None) -> Iterator[None]:
    """Block in which an out-of-memory error becomes a `MemoryError` that says what to do.

    Parameters
    ----------
    device : str
        Name of the device.
    batch_size : int
    trainShared : bool, optional
        Whether the training images are on the device; None if nothing is trained.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error) or isinstance(error, OutOfMemory):
            raise
        first = str(error).strip().partition('\n')[0][:200] or type(error).__name__
        shared = 'trainShared=False, which leaves the training images in their file, or ' if trainShared else ''
        narrower = '' if trainShared is None else ', or a narrower network'
        raise OutOfMemory(
            f'the memory of {device} is used up: pass {shared}a batch_size below {batch_size}{narrower} ({first})'
        ) from error
