"""Several hosts, with one process each, whose devices compute every minibatch together.

====================  =========================================================================
`join`                connects to the other hosts, before anything is computed
`n_hosts`, `host`     number of hosts, and index of this one
`watch`               the `Watch`, which notices hosts that stop
`compared`, `agreed`  the answers of all hosts to a question; the number of host 0
`abandon`             leaves the other hosts without waiting for them
`own_rows`            the rows of a minibatch that this host's devices compute
`spread`, `local`     an array on devices of several hosts; this host's copy of it
====================  =========================================================================

Every host runs the whole program. Each contributes its own parts to an array on devices of several hosts.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import time
from contextlib import suppress
from typing import Any

import jax
import numpy as np

from utils.backend.watching import BEAT, Watch, hold_aborts

PATIENCE = 120  # seconds to wait for the other hosts at the start
A_DAY = 24 * 3600  # seconds to wait at the end for a host that is still writing

_watch: Watch | None = None


def join(address: str, index: int | None, number: int | None) -> None:
    """Connect to the other hosts; a second call does nothing.

    Parameters
    ----------
    address : str
        'host:port' of host 0, or 'auto': found by JAX under SLURM, Kubernetes, Open MPI and on cloud TPUs.
    index, number : int or None
        Index of this host, from 0, and number of hosts; None with 'auto'.

    Raises
    ------
    ConnectionError
        If the hosts did not all connect.
    ValueError
        If the process has computed something already, or 'auto' finds no cluster.
    """
    global _watch
    if _watch:
        return
    jax.config.update('jax_enable_preemption_service', False)  # it would handle SIGTERM
    met = hold_aborts(f'error: {_unmet(address)}')
    times = {'initialization_timeout': PATIENCE, 'shutdown_timeout_seconds': A_DAY}
    try:
        if address == 'auto':
            jax.distributed.initialize(**times)
        else:
            jax.distributed.initialize(address, number, index, cluster_detection_method='deactivate', **times)
    except Exception as error:
        raise _explained(error, address) from error
    k, n = jax.process_index(), jax.process_count()  # JAX exchanges the lists of devices here
    met()
    if n > 1:
        from jax._src.distributed import global_state  # JAX has no public name for it

        _watch = Watch(global_state.client, k, n, f'host {k} ({socket.gethostname()})')
        atexit.register(_watch.close)


def _explained(error, address):
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
    if 'must be called before' in str(error):
        return ValueError('hosts must connect before this process computes anything: start a new one on each host')
    if address == 'auto' and isinstance(error, ValueError):
        return ValueError(
            "hosts='auto' found no SLURM, Kubernetes or Open MPI: give hosts as host:port of host 0, "
            f'with host_index and n_hosts ({first})'
        )
    return ConnectionError(f'{_unmet(address)} ({first})')


def _unmet(address):
    return (
        f'the hosts did not all connect to {address!r} within {PATIENCE} s: start the same command on each of them, '
        'with host_index 0, 1, ..., and open the port of host 0'
    )


def watch() -> Watch | None:
    """The `Watch`, which notices hosts that stop; None with a single host."""
    return _watch


def n_hosts() -> int:
    """Number of hosts; 1 before `join`."""
    return _watch.n if _watch else 1


def host() -> int:
    """Index of this host, from 0."""
    return _watch.number if _watch else 0


def compared(question: str, answer: str) -> list[str]:
    """Collect the answers of all hosts to a question, by host index. All hosts must call this.

    Raises
    ------
    HostEnded
        If a host has ended before it answered.
    """
    return _watch.ask(question, answer) if _watch else [answer]


def agreed(value: int) -> int:
    """Return the value of host 0 on all hosts; for measured values, which would differ between hosts."""
    return int(compared('number', str(value))[0])


def abandon(status: int) -> None:
    """Leave the other hosts: nothing more can be computed together, and the process ends without waiting for them.

    It ends right after the `atexit` functions that were registered later, because JAX's destructors would wait for
    hosts that are lost, or crash.

    Parameters
    ----------
    status : int
        Exit status of the process.
    """
    atexit.register(_leave, status)


def _leave(status):
    if host() == 0:  # it runs the store: the others must read its message first
        time.sleep(3 * BEAT)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # None, or closed
            stream.flush()
    os._exit(status)


def ordered_devices() -> list[Any]:
    """All devices, sorted by host."""
    return sorted(jax.devices(), key=lambda device: (device.process_index, device.id))


def own_rows(batch_size: int) -> slice:
    """The rows of a minibatch that this host's devices compute; all rows with a single host."""
    if n_hosts() == 1:
        return slice(0, batch_size)
    places = [k for k, device in enumerate(ordered_devices()) if device.process_index == host()]
    each = batch_size // jax.device_count()
    return slice(places[0] * each, (places[-1] + 1) * each)


def spread(value: Any, where: Any) -> Any:
    """Place an array on devices of several hosts; each host contributes its own parts."""
    value = np.asarray(value)
    return jax.make_array_from_callback(value.shape, where, lambda index: value[index])


def local(value: Any) -> Any:
    """Return this host's whole copy of an array, for functions on one device."""
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return value.addressable_data(0)
    return value
