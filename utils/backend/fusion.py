"""What XLA may fuse."""

from jax import lax

from utils.backend.platform import platform


def materialised(x):
    """Arrays as they stand in memory.

    On a CPU, XLA would fuse their expressions into each consumer, and compute them in each; on a GPU that is cheaper
    than memory.
    """
    return lax.optimization_barrier(x) if platform() == 'cpu' else x
