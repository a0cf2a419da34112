"""Translation of `utils.ops.random`."""

from math import prod

import jax.numpy as jnp
from jax import lax
from pytensor.link.jax.dispatch import jax_funcify

from utils import ops
from utils.backend.fusion import materialised
from utils.backend.partition import divided


@jax_funcify.register(ops.Draw)
def _(op, **kwargs):
    def draw(seed, counter):
        index = divided(lax.iota('uint32', prod(op.shape)).reshape(op.shape))
        # Stored in memory: computed again in each consumer, it would cost more than the consumers.
        return materialised(op.values(*op.words(jnp.uint32(seed), jnp.uint32(counter), index, jnp), jnp))

    return draw


@jax_funcify.register(ops.RandomBits)
def _(op, **kwargs):
    return lambda seed, numbers: op.words(jnp.uint32(seed), numbers.astype('uint32'), jnp)
