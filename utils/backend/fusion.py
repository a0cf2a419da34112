"""What XLA may fuse."""

from __future__ import annotations

from typing import Any

from jax import lax

from utils.backend.platform import platform


def materialised(x: tuple[Any, Any]) -> tuple[Any, Any]:
    """Arrays as they stand in memory.

    On a CPU, XLA would fuse their expressions into each consumer, and compute them in each; on a GPU that is cheaper
    than memory.
    """
    return lax.optimization_barrier(x) if platform() == 'cpu' else x
