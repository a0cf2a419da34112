"""Translation of `utils.ops.reduction`."""

from __future__ import annotations

from functools import reduce
from math import isqrt, prod
from typing import Any

import jax.numpy as jnp
from jax import lax
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops
from utils.backend.partition import divided, parts
from utils.backend.platform import platform

# Rows added in one pass; the partial sums are added by a product with ones.
MOST_ROWS = 32


def column_sum(*factors: Any) -> Any:
    """Sum the product of arrays over all axes but the last; they broadcast along the last axis."""
    images = len(factors[0])
    n = parts(images)  # each device adds up its own images
    rows = prod(factors[0].shape[:-1]) // n
    several = max(k for k in range(1, MOST_ROWS + 1) if rows % k == 0)

    def slices(x):
        x = divided(x.reshape(n, several, rows // several, x.shape[-1]), images)
        return [lax.index_in_dim(x, k, 1, keepdims=False) for k in range(several)]

    total = reduce(jnp.add, [reduce(jnp.multiply, v) for v in zip(*map(slices, factors))])
    ones = jnp.ones((n, rows // several), total.dtype)
    return jnp.dot(ones[0], total[0]) if n == 1 else jnp.einsum('nr,nrc->c', ones, total)


def split_sum(x: Any) -> Any:
    """Sum over all axes but the last by two kernels: about sqrt(rows) partial sums, then their sum."""
    n = parts(len(x))
    rows = prod(x.shape[:-1]) // n
    several = max(k for k in range(1, isqrt(rows) + 1) if rows % k == 0)
    split = divided(x.reshape(n, several, rows // several, x.shape[-1]), len(x))
    return lax.optimization_barrier(split.sum(axis=2)).sum(axis=(0, 1))


@jax_funcify.register(ops.ColumnSum)
def _(op, **kwargs):
    return column_sum if platform() == 'cpu' else split_sum
