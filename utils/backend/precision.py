"""Precision of the operands of convolutions and matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax

PRECISIONS = ('float32', 'tf32', 'bf16')
_precision = ContextVar('precision', default='float32')


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """What is translated inside is for convolutions and products of this precision, one of `PRECISIONS`."""
    token = _precision.set(precision)
    try:
        # A GPU takes float32 operands as tf32 unless it is asked not to.
        with jax.default_matmul_precision('tensorfloat32' if precision == 'tf32' else 'float32'):
            yield
    finally:
        _precision.reset(token)


def precision() -> str:
    """The precision of what is being translated, one of `PRECISIONS`."""
    return _precision.get()


def operands(*arrays: Any) -> list[Any]:
    """The arrays as a convolution or product is to take them: bfloat16 or as they are."""
    return [v.astype('bfloat16') if precision() == 'bf16' and v.dtype == 'float32' else v for v in arrays]
