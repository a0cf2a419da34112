"""The platform that graphs are made for, and arrays on its device.

======================  ===================================================================
`platform`              'cpu' or 'gpu'; decides between two forms of a graph
`device_name`           name of the device that computes
`to_device`, `release`  put the array of a shared variable on the device; release it
======================  ===================================================================
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import jax

from utils.backend import hosts

if TYPE_CHECKING:
    from utils.annotations import Shared


PLATFORMS = ('cpu', 'gpu')


def platform() -> str:
    """The platform that graphs are made for.

    It is the platform of JAX's first device unless the environment variable ``SYMFER_PLATFORM`` is set. With the
    variable, the form of a graph for a GPU can be traced, tested and compiled on a machine without one.

    Returns
    -------
    {'cpu', 'gpu'}

    Raises
    ------
    ValueError
        If ``SYMFER_PLATFORM`` is something else.
    """
    wanted = os.environ.get('SYMFER_PLATFORM')
    if wanted:
        if wanted not in PLATFORMS:
            raise ValueError(f"SYMFER_PLATFORM must be 'cpu' or 'gpu' or unset, got {wanted!r}")
        return wanted
    return 'cpu' if jax.default_backend() == 'cpu' else 'gpu'


def device_name() -> str:
    """The name of the device that computes: 'cpu' or the GPU's name."""
    device = jax.devices()[0]
    return device.device_kind if device.platform != 'cpu' else 'cpu'


def to_device(shared: Shared, value: Any) -> None:
    """Put `value` on the device(s) of a shared variable and store it there; the host keeps no copy.

    `shared.set_value` would convert a device array to NumPy (TensorType.filter only accepts NumPy arrays), and every
    call would then transfer the whole array.
    """
    where = getattr(shared.tag, 'sharding', None)
    spread = where is not None and not where.is_fully_addressable
    shared.container.storage[0] = hosts.spread(value, where) if spread else jax.device_put(value, where)


def release(shared: Shared) -> None:
    """Release the array of a shared variable, also on the device; the variable has no value afterwards."""
    shared.container.storage[0] = None
