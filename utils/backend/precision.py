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
    """Block in which Ops are translated for this precision of convolutions and products, one of `PRECISIONS`."""
    token = _precision.set(precision)
    try:
        # By default, a GPU rounds float32 operands to tf32.
        with jax.default_matmul_precision('tensorfloat32' if precision == 'tf32' else 'float32'):
            yield
    finally:
        _precision.reset(token)


def precision() -> str:
    """The precision of the current translation, one of `PRECISIONS`."""
    return _precision.get()


def operands(*arrays: Any) -> list[Any]:
    """Convert the operands of a convolution or product to bfloat16 if the precision is 'bf16'."""
    return [v.astype('bfloat16') if precision() == 'bf16' and v.dtype == 'float32' else v for v in arrays]
