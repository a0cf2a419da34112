"""Translation of `utils.ops.normalisation`."""

from functools import partial

import jax.numpy as jnp
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops


@jax_funcify.register(ops.LocalResponseNorm)
def _(op, **kwargs):
    return partial(op.formula, jnp)
