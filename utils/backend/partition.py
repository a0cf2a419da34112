"""Divides the images of a minibatch among several devices that compute a function together.

==================  ===========================================================================
`Partition`         number of devices and of images to divide, for one function
`dividing`          block in which translations are for a partition
`parts`             number of parts that an array with a number of rows is divided into
`divided`           divides an array along its first axis if that is the axis of images
`of_own_rows`       makes each device compute a function of its own images
==================  ===========================================================================

The graph remains that of the whole minibatch, and so do batch norm's statistics and random draws, which depend on the
number of an element. XLA divides the work according to the placement of the inputs, and adds up sums over images. It
would divide some arrays wrongly: those without a visible connection with the images, such as random draws, and those
whose rows are folded, as in `reduction.column_sum`. For these, the translations state the division.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import PartitionSpec
from pytensor.compile import SharedVariable

from utils.backend.devices import AXIS, mesh, put, sharding, sharding_of


@dataclass(frozen=True)
class Partition:
    """Division of a function among devices.

    Attributes
    ----------
    devices : int
        Number of devices.
    rows : int
        Number of images in a minibatch; an array with this many rows has one for each image.
    """

    devices: int = 1
    rows: int = 0

    def inputs(self, variables: Sequence[Any], axis: int = 0) -> list[Any]:
        """Placement of the inputs of a function: explicit inputs are divided, shared variables are where `assign` says.

        Parameters
        ----------
        variables : sequence of variables
        axis : int
            Axis along which explicit inputs are divided.
        """
        whole = sharding(self.devices)
        return [
            (sharding_of(v) or whole)
            if isinstance(v, SharedVariable)
            else sharding(self.devices, axis)
            if v.ndim and v.type.shape[0] == self.rows
            else whole
            for v in variables
        ]

    def jit(self, function: Any, variables: Sequence[Any], **options: Any) -> Any:
        """Apply `jax.jit` to a function of these inputs; each device holds its whole outputs."""
        where = self.inputs(variables)
        compiled = jax.jit(function, in_shardings=tuple(where), out_shardings=sharding(self.devices), **options)

        def call(*arrays):
            return compiled(*map(put, arrays, where))

        call.__wrapped__, call.lower = function, compiled.lower  # type: ignore[attr-defined]
        return call


NONE = Partition()
_partition = ContextVar('partition', default=NONE)


@contextmanager
def dividing(partition: Partition) -> Iterator[None]:
    """Block in which Ops are translated for this partition."""
    token = _partition.set(partition)
    try:
        yield
    finally:
        _partition.reset(token)


def parts(rows: int) -> int:
    """Number of parts that an array with `rows` rows is divided into: the number of devices, or 1."""
    partition = NONE if jax.sharding.get_abstract_mesh().manual_axes else _partition.get()
    return partition.devices if rows == partition.rows else 1


def divided(x: Any, rows: int | None = None) -> Any:
    """Divide an array along its first axis if it has a row for each image of the minibatch; its values stay the same.

    Parameters
    ----------
    x : array
    rows : int, optional
        Number of rows that decides; by default that of the array.
    """
    n = parts(len(x) if rows is None else rows) if x.ndim else 1
    return x if n == 1 else jax.lax.with_sharding_constraint(x, sharding(n, 0))


def of_own_rows(function: Any) -> Any:
    """Make each device compute a function of arrays with a row for each image, and results with such rows.

    Otherwise XLA would send all images to each device for operations that it cannot divide.
    """

    def own(*arrays):
        n = parts(len(arrays[0]))
        if n == 1:
            return function(*arrays)
        rows = PartitionSpec(AXIS)
        return jax.shard_map(function, mesh=mesh(n), in_specs=rows, out_specs=rows, check_vma=False)(*arrays)

    return own
