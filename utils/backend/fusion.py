"""Limits to fusion by XLA."""

from __future__ import annotations

from typing import Any

from jax import lax

from utils.backend.platform import platform


def materialised(x: tuple[Any, Any]) -> tuple[Any, Any]:
    """Make XLA store arrays in memory on a CPU.

    Otherwise it would fuse their expressions into each consumer, and compute them in each. On a GPU nothing is done:
    computing them again is cheaper there than memory traffic.
    """
    return lax.optimization_barrier(x) if platform() == 'cpu' else x
