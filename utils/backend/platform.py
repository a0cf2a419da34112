"""Which platform graphs are made for, and what lies on its device.

======================  ===================================================================
`platform`              'cpu' or 'gpu': every choice between two forms of a graph asks this
`device_name`           the device that computes, in words
`to_device`, `release`  the array of a shared variable, put on the device and let go
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

    The environment variable ``SYMFER_PLATFORM`` answers it where it is set, so that the form for a GPU can be traced,
    tested and compiled on a machine without one. Else it is the platform of JAX's first device.

    Returns
    -------
    {'cpu', 'gpu'}

    Raises
    ------
    ValueError
        ``SYMFER_PLATFORM`` is something else.
    """
    wanted = os.environ.get('SYMFER_PLATFORM')
    if wanted:
        if wanted not in PLATFORMS:
            raise ValueError(f"SYMFER_PLATFORM must be 'cpu' or 'gpu', or not be set, got {wanted!r}")
        return wanted
    return 'cpu' if jax.default_backend() == 'cpu' else 'gpu'


def device_name() -> str:
    """The device that computes, in words: 'cpu' or the GPU's name."""
    device = jax.devices()[0]
    return device.device_kind if device.platform != 'cpu' else 'cpu'


def to_device(shared: Shared, value: Any) -> None:
    """Put `value` on the device, or on those it is assigned to, and into a shared variable; the host keeps no copy.

    `shared.set_value` would bring a device array back to the host (TensorType.filter knows NumPy
    arrays only), and the whole array would then travel at every call.
    """
    where = getattr(shared.tag, 'sharding', None)
    spread = where is not None and not where.is_fully_addressable
    shared.container.storage[0] = hosts.spread(value, where) if spread else jax.device_put(value, where)


def release(shared: Shared) -> None:
    """Let go of the array of a shared variable, on the device too; the variable has no value afterwards."""
    shared.container.storage[0] = None
