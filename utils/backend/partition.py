"""How a function is computed by several devices: the images of a minibatch are divided among them.

==================  ===========================================================================
`Partition`         of one function: how many devices, and how many images are divided
`dividing`          what is translated inside is for a partition
`parts`             into how many parts an array of so many rows is divided
`divided`           an array, divided along its first axis where that is the images
==================  ===========================================================================

The graph stays that of the whole minibatch, and so do batch norm's statistics and random draws, which are by the number
of an element: XLA divides the work by where the inputs lie and adds up what is summed over images. Without a word it
would do so in the wrong place where it sees no connection with the images, as with random draws, or where rows are
folded, as in `reduction.column_sum`; there the translations say it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jax
from pytensor.compile import SharedVariable

from utils.backend.devices import put, sharding, sharding_of


@dataclass(frozen=True)
class Partition:
    """How a function is divided.

    Attributes
    ----------
    devices : int
    rows : int
        Images of a minibatch; arrays with as many rows have one for each.
    """

    devices: int = 1
    rows: int = 0

    def inputs(self, variables: Sequence[Any], axis: int = 0) -> list[Any]:
        """How the inputs of a function lie: those given are divided, shared ones lie where they are assigned.

        Parameters
        ----------
        variables : sequence of variables
        axis : int
            Along which those given are divided.
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
        """`jax.jit` of a function of these inputs; what it returns lies whole on each device."""
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
    """What is translated inside is for this partition."""
    token = _partition.set(partition)
    try:
        yield
    finally:
        _partition.reset(token)


def parts(rows: int) -> int:
    """Into how many parts an array of so many rows is divided: as many as there are devices, or 1."""
    partition = NONE if jax.sharding.get_abstract_mesh().manual_axes else _partition.get()
    return partition.devices if rows == partition.rows else 1


def divided(x: Any, rows: int | None = None) -> Any:
    """An array as it is, divided along its first axis where it has a row for each image of the minibatch.

    Parameters
    ----------
    x : array
    rows : int, optional
        By which number that is decided; by default that of its rows.
    """
    n = parts(len(x) if rows is None else rows) if x.ndim else 1
    return x if n == 1 else jax.lax.with_sharding_constraint(x, sharding(n, 0))
