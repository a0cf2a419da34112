"""Translation of `utils.ops.reduction`."""

from __future__ import annotations

from functools import reduce
from math import isqrt, prod
from typing import Any

import jax.numpy as jnp
from jax import lax
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops
from utils.backend.platform import platform

# Rows that are added in one pass; what is left is summed by a product with ones.
MOST_ROWS = 32


def column_sum(*factors: Any) -> Any:
    """Sum over all axes but the last of the product of arrays, which broadcast along the last."""
    rows = prod(factors[0].shape[:-1])
    parts = max(k for k in range(1, MOST_ROWS + 1) if rows % k == 0)
    slices = (list(x.reshape(parts, rows // parts, x.shape[-1])) for x in factors)
    total = reduce(jnp.add, [reduce(jnp.multiply, v) for v in zip(*slices)])
    return jnp.dot(jnp.ones(rows // parts, total.dtype), total)


def split_sum(x: Any) -> Any:
    """Sum over all axes but the last by two kernels: about as many sums of rows as rows in each, then their sum."""
    rows = prod(x.shape[:-1])
    parts = max(k for k in range(1, isqrt(rows) + 1) if rows % k == 0)
    return lax.optimization_barrier(x.reshape(parts, rows // parts, x.shape[-1]).sum(axis=1)).sum(axis=0)


@jax_funcify.register(ops.ColumnSum)
def _(op, **kwargs):
    return column_sum if platform() == 'cpu' else split_sum
