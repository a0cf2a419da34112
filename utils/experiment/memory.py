"""Memory that is used up, the device's or the machine's, explained with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WORDS = ('RESOURCE_EXHAUSTED', 'Out of memory', 'out of memory', 'failed to allocate', 'Failed to allocate')


class OutOfMemory(MemoryError):
    """Memory is used up; says what to do."""


def out_of_memory(error: Any) -> bool:
    """Whether an error says that memory, the device's or the machine's, is used up."""
    return isinstance(error, MemoryError) or (
        type(error).__name__ in ('JaxRuntimeError', 'XlaRuntimeError') and any(word in str(error) for word in WORDS)
    )


@contextmanager
def explain_out_of_memory(device: str, batch_size: int, trainShared: bool | None = None) -> Iterator[None]:
    """A block in which an out-of-memory error becomes a `MemoryError` that says what to do.

    `trainShared` is None where a saved model is used and nothing is trained.
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
