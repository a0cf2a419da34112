"""Several devices that compute one minibatch together: their number, and the placement of arrays on them.

==================  ===========================================================================
`n_devices`         number of devices for minibatches of a given size
`device_names`      description of these devices
`mesh`              the devices, in a row
`assign`            sets the placement of shared variables on the devices
`put`               transfers an array to several devices
==================  ===========================================================================

A minibatch is divided into as many consecutive parts as there are devices; each device has all parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from utils.backend.hosts import n_hosts, ordered_devices, spread
from utils.backend.platform import device_name, platform

if TYPE_CHECKING:
    from utils.annotations import Shared


AXIS = 'images'
MOST_BYTES = 1 << 31  # largest set of images that every device holds completely; larger ones are divided


def n_devices(wanted: int | None, batch_size: int) -> int:
    """Determine the number of devices that compute a minibatch together.

    Parameters
    ----------
    wanted : int or None
        Requested number. None: all devices of several hosts; otherwise one on a CPU, and on GPUs the largest number
        that divides the minibatch.
    batch_size : int
        Number of images in a minibatch, on all devices together.

    Raises
    ------
    ValueError
        If there are fewer devices, or they do not divide the minibatch.
    """
    there = jax.device_count()
    if wanted is None:
        most = 1 if platform() == 'cpu' else there
        wanted = there if n_hosts() > 1 else None
    if wanted is None:
        return max(n for n in range(1, min(most, batch_size) + 1) if batch_size % n == 0)
    if n_hosts() > 1 and wanted != there:
        raise ValueError(f'devices must be all {there} of the {n_hosts()} hosts, got {wanted}: leave it out')
    if wanted > there:
        kind = 'CPU' if jax.default_backend() == 'cpu' else 'GPU'
        hint = (
            f' (a CPU counts as one device; XLA_FLAGS=--xla_force_host_platform_device_count={wanted} divides it)'
            if kind == 'CPU'
            else ''
        )
        raise ValueError(f'devices must be at most the number of available ones, {there}, got {wanted}{hint}')
    if batch_size % wanted:
        below, above = batch_size // wanted * wanted, -(-batch_size // wanted) * wanted
        sizes = f'{below} or {above}' if below else f'{above}'
        raise ValueError(
            f'batch_size={batch_size} cannot be divided among devices={wanted}: the nearest sizes are {sizes}'
        )
    return wanted


def device_names(wanted: int | None, batch_size: int) -> str:
    """Describe the devices of `n_devices`: 'cpu', '4 x NVIDIA H100', '5 of 8 x NVIDIA H100'."""
    n, there = n_devices(wanted, batch_size), jax.device_count()
    name = device_name() + (f' on {n_hosts()} hosts' if n_hosts() > 1 else '')
    if n == 1 and (there == 1 or wanted == 1 or name == 'cpu'):
        return name
    return (
        f'{n} of {there} x {name}, which divide batch_size={batch_size}'
        if wanted is None and n < there
        else (f'{n} x {name}')
    )


@lru_cache
def mesh(n: int) -> Mesh:
    """The first n devices, in a row."""
    return Mesh(np.array(ordered_devices()[:n]), (AXIS,))


def sharding(n: int, axis: int | None = None) -> NamedSharding:
    """Placement of an array on n devices: whole on each, or divided along an axis."""
    return NamedSharding(mesh(n), PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS))


def assign(shared: Iterable[Shared], n: int, cut: bool = False) -> None:
    """Set the placement of shared variables on n devices: whole on each or, with `cut`, a part of the rows on each.

    `utils.backend.to_device` follows it.
    """
    for v in shared:
        v.tag.sharding = sharding(n, 0 if cut else None) if n > 1 else None


def sharding_of(shared: Any) -> NamedSharding | None:
    """The placement that `assign` set for a shared variable; None without one."""
    return getattr(shared.tag, 'sharding', None)


def put(value: Any, where: NamedSharding) -> Any:
    """Transfer an array to its placement on several devices; an array that is there already is returned unchanged."""
    if isinstance(value, jax.Array) and value.sharding == where:
        return value
    return jax.device_put(value, where) if n_hosts() == 1 else spread(value, where)
