"""Several devices that compute one minibatch together: how many, and where arrays lie on them.

==================  ===========================================================================
`n_devices`         how many devices are used for minibatches of a size
`device_names`      them, in words
`mesh`              the devices, in a row
`assign`            says on how many devices a shared variable lies, before it is put there
`put`               an array as a function on several devices takes it
==================  ===========================================================================

A minibatch is cut into as many parts as there are devices, in order; parameters lie whole on each of them.
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
MOST_BYTES = 1 << 31  # of images that lie whole on every device; more are cut into parts


def n_devices(wanted: int | None, batch_size: int) -> int:
    """How many devices compute a minibatch together.

    Parameters
    ----------
    wanted : int or None
        None: all of several hosts; one on a CPU, else as many of those that are there as divide the minibatch.
    batch_size : int
        Images of a minibatch, on all devices together.

    Raises
    ------
    ValueError
        There are fewer devices, or they do not divide the minibatch.
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
            f' (a CPU counts as one; XLA_FLAGS=--xla_force_host_platform_device_count={wanted} divides it)'
            if kind == 'CPU'
            else ''
        )
        raise ValueError(f'devices must be at most the number of those that are there, {there}, got {wanted}{hint}')
    if batch_size % wanted:
        below, above = batch_size // wanted * wanted, -(-batch_size // wanted) * wanted
        sizes = f'{below} or {above}' if below else f'{above}'
        raise ValueError(
            f'batch_size={batch_size} cannot be divided among devices={wanted}: the nearest sizes are {sizes}'
        )
    return wanted


def device_names(wanted: int | None, batch_size: int) -> str:
    """The devices of `n_devices`, in words: 'cpu', '4 x NVIDIA H100', '5 of 8 x NVIDIA H100'."""
    n, there = n_devices(wanted, batch_size), jax.device_count()
    name = device_name() + (f' on {n_hosts()} hosts' if n_hosts() > 1 else '')
    if n == 1 and (there == 1 or wanted == 1 or name == 'cpu'):
        return name
    return (
        f'{n} of {there} x {name}, as batch_size={batch_size} is divided'
        if wanted is None and n < there
        else (f'{n} x {name}')
    )


@lru_cache
def mesh(n: int) -> Mesh:
    """The first n devices, in a row."""
    return Mesh(np.array(ordered_devices()[:n]), (AXIS,))


def sharding(n: int, axis: int | None = None) -> NamedSharding:
    """How an array lies on n devices: whole on each, or cut along an axis."""
    return NamedSharding(mesh(n), PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS))


def assign(shared: Iterable[Shared], n: int, cut: bool = False) -> None:
    """Let shared variables lie on n devices: whole on each or, `cut`, a part of their rows on each.

    `utils.backend.to_device` goes by it.
    """
    for v in shared:
        v.tag.sharding = sharding(n, 0 if cut else None) if n > 1 else None


def sharding_of(shared: Any) -> NamedSharding | None:
    """What `assign` said of a shared variable; None where nothing."""
    return getattr(shared.tag, 'sharding', None)


def put(value: Any, where: NamedSharding) -> Any:
    """An array as it is to lie on several devices; one that lies so already is returned as it is."""
    if isinstance(value, jax.Array) and value.sharding == where:
        return value
    return jax.device_put(value, where) if n_hosts() == 1 else spread(value, where)
