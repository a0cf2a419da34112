"""Estimate the time of a training step on many GPUs by a model.

A step computes for ``launch * kernels + operations / (utilisation * peak)`` seconds and waits for its all-reduces. An
all-reduce of S bytes among p GPUs on m servers, with l = p / m GPUs each, consists of a reduce-scatter on each server,
an all-reduce of S / l bytes between servers, and an all-gather on each server. It takes::

    base + 2 (l - 1) a + 2 log2(m) b + 2 (l - 1) / l * S / B + 2 (m - 1) / m * S / (l * C)

with hops of a and b seconds, and bandwidths B and C per GPU, within a server and between servers. The last two terms
are the minimum that any all-reduce must move [1]_; rings, and halving and doubling [2]_, reach it. The first three are
NCCL's own estimate for its trees (`machine.SOURCES`).

.. [1] Patarasuk and Yuan (2009), Bandwidth optimal all-reduce algorithms for clusters of workstations, J. Parallel
   Distrib. Comput. 69.
.. [2] Rabenseifner (2004), Optimization of collective reduction operations, ICCS.
"""

import math
from typing import Any

from benchmarks.scaling.machine import Machine

BACKWARD = 2 / 3  # fraction of the arithmetic of a step: two products backward for one forward


def all_reduce(n_bytes: float, gpus: int, machine: Machine) -> float:
    """Seconds of an all-reduce of `n_bytes` among `gpus` GPUs, which are on one server or fill several.

    Raises
    ------
    ValueError
        The GPUs do not fill several servers.
    """
    local, servers = min(gpus, machine.per_server), gpus // min(gpus, machine.per_server)
    if local * servers != gpus:
        raise ValueError(f'expected up to {machine.per_server} GPUs or a multiple of them, got {gpus}')
    if gpus == 1:
        return 0.0
    hops = 2 * (local - 1) * machine.nvlink_step + 2 * math.log2(servers) * machine.infiniband_step
    inside = 2 * (local - 1) / local * n_bytes / machine.nvlink
    across = 2 * (servers - 1) / servers * n_bytes / (local * machine.infiniband)
    return machine.base + hops + (inside + across) / machine.reached


def computing(counted: dict[str, Any], images: float, precision: str, machine: Machine, side: int = 48) -> float:
    """Seconds of computation of a GPU in a step with `images` images."""
    work = counted['operations'][str(side)] * images
    return machine.launch * counted['kernels'] + work / (machine.utilisation * machine.peak[precision])


def step(
    counted: dict[str, Any],
    images: float,
    gpus: int,
    precision: str = 'tf32',
    machine: Machine | None = None,
    *,
    hidden: bool = False,
    side: int = 48,
) -> float:
    """Seconds of a training step.

    Parameters
    ----------
    counted : dict
        Figures of a network from `counting.count`, with the number of its 'kernels'.
    images : float
        Number of images of a minibatch on each GPU.
    gpus : int
        Number of GPUs.
    precision : {'float32', 'tf32', 'bf16'}
        Precision of convolutions and products; exchanges are float32.
    machine : Machine, optional
    hidden : bool
        Whether sums of gradients overlap with the backward pass; awaited sums never do.
    side : int
        Side of the images in pixels.
    """
    machine = machine or Machine()
    seconds = {True: 0.0, False: 0.0}
    for one in counted['exchanges']:
        seconds[one['awaited']] += all_reduce(one['bytes'], gpus, machine)
    computed = computing(counted, images, precision, machine, side)
    left = max(0.0, seconds[False] - BACKWARD * computed) if hidden else seconds[False]
    return computed + seconds[True] + left


def weak(counted: dict[str, Any], images: float, gpus: int, *args: Any, **options: Any) -> float:
    """Efficiency in (0, 1] of weak scaling: `images` images on each GPU. Other arguments are those of `step`."""
    return step(counted, images, 1, *args, **options) / step(counted, images, gpus, *args, **options)


def strong(counted: dict[str, Any], images: float, gpus: int, *args: Any, **options: Any) -> float:
    """Efficiency in (0, 1] of strong scaling: `images` images divided among GPUs. Further arguments as in `step`."""
    one, many = step(counted, images, 1, *args, **options), step(counted, images / gpus, gpus, *args, **options)
    return one / (gpus * many)
