"""Translation of matrix products and constants."""

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.link.jax.dispatch import jax_funcify, jax_typify
from pytensor.tensor.math import Dot

from utils.backend.platform import platform
from utils.backend.precision import operands
from utils.backend.reduction import column_sum


@jax_typify.register(np.ndarray)
def _(data, dtype=None, **kwargs):
    """Put constants on the device; PyTensor's `jnp.array` compiles a program for each new shape, which takes 10 ms."""
    return data.item() if data.ndim == 0 else jax.device_put(np.asarray(data, dtype))


@jax_funcify.register(Dot)
def _(op, **kwargs):
    def dot(x, y):
        if x.ndim == y.ndim == 2 and len(x) == 1 and platform() == 'cpu' and x.dtype == y.dtype:
            return column_sum(x.T, y)[None]  # XLA would read the matrix on one core, column by column
        a, b = operands(x, y)
        return jnp.dot(a, b, preferred_element_type=jnp.result_type(x, y))

    return dot
