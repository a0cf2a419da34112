"""Several hosts, a process each, whose devices compute every minibatch together.

====================  =========================================================================
`join`                meets the other hosts; before anything is computed
`n_hosts`, `host`     how many there are, and the number of this one
`watch`               notices hosts that stop
`compared`, `agreed`  what each host says to a question; what host 0 says
`abandon`             leaves the others, without waiting for them
`own_rows`            the rows of a minibatch that this host's devices compute
`spread`, `local`     arrays on devices of several hosts, and this host's copy
====================  =========================================================================

Every host runs the whole program; where arrays lie on devices of several hosts, each gives its own parts.
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

PATIENCE = 120  # seconds to wait for the others at the beginning
A_DAY = 24 * 3600  # of waiting at the end, for a host that is still writing

_watch: Watch | None = None


def join(address: str, index: int | None, number: int | None) -> None:
    """Meet the other hosts; a second call does nothing.

    Parameters
    ----------
    address : str
        'host:port' of host 0, or 'auto': found by JAX under SLURM, Kubernetes, Open MPI and on cloud TPUs.
    index, number : int or None
        Of this host, from 0, and how many there are; None with 'auto'.

    Raises
    ------
    ConnectionError
        The hosts did not meet.
    ValueError
        The process has computed something already; 'auto' where nothing is found.
    """
    global _watch
    if _watch:
        return
    jax.config.update('jax_enable_preemption_service', False)  # it takes SIGTERM for itself
    met = hold_aborts(f'error: {_unmet(address)}')
    times = {'initialization_timeout': PATIENCE, 'shutdown_timeout_seconds': A_DAY}
    try:
        if address == 'auto':
            jax.distributed.initialize(**times)
        else:
            jax.distributed.initialize(address, number, index, cluster_detection_method='deactivate', **times)
    except Exception as error:
        raise _explained(error, address) from error
    k, n = jax.process_index(), jax.process_count()  # here JAX exchanges what devices there are
    met()
    if n > 1:
        from jax._src.distributed import global_state  # JAX has no public name for it

        _watch = Watch(global_state.client, k, n, f'host {k} ({socket.gethostname()})')
        atexit.register(_watch.close)


def _explained(error, address):
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
    if 'must be called before' in str(error):
        return ValueError('hosts must be met before this process computes anything: start a fresh one on each host')
    if address == 'auto' and isinstance(error, ValueError):
        return ValueError(
            "hosts='auto' found no SLURM, Kubernetes or Open MPI: give hosts as host:port of host 0, "
            f'with host_index and n_hosts ({first})'
        )
    return ConnectionError(f'{_unmet(address)} ({first})')


def _unmet(address):
    return (
        f'the hosts did not all meet at {address!r} within {PATIENCE} s: start the same command on each of them, with '
        'host_index 0, 1, ..., and let the port of host 0 be open'
    )


def watch() -> Watch | None:
    """What notices hosts that stop; None where there is one host."""
    return _watch


def n_hosts() -> int:
    """How many hosts there are; 1 where none was joined."""
    return _watch.n if _watch else 1


def host() -> int:
    """The number of this host, from 0."""
    return _watch.number if _watch else 0


def compared(question: str, answer: str) -> list[str]:
    """What each host answers to a question, by their numbers. Each has to ask it.

    Raises
    ------
    HostEnded
        A host that will not answer any more.
    """
    return _watch.ask(question, answer) if _watch else [answer]


def agreed(value: int) -> int:
    """The number that host 0 gives: for what is measured, and would be another on each host."""
    return int(compared('number', str(value))[0])


def abandon(status: int) -> None:
    """Leave the others: nothing more can be computed together, and the process will end without waiting for them.

    Parameters
    ----------
    status : int
        With which it ends: at once after the functions of `atexit` that were registered later, for destructors of JAX's
        wait for hosts that are gone, or crash.
    """
    atexit.register(_leave, status)


def _leave(status):
    if host() == 0:  # what it has said lies with it: the others are to read that first
        time.sleep(3 * BEAT)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # None, or closed
            stream.flush()
    os._exit(status)


def ordered_devices() -> list[Any]:
    """All devices, those of a host beside one another."""
    return sorted(jax.devices(), key=lambda device: (device.process_index, device.id))


def own_rows(batch_size: int) -> slice:
    """The rows of a minibatch that this host's devices compute: all of them where there is one host."""
    if n_hosts() == 1:
        return slice(0, batch_size)
    places = [k for k, device in enumerate(ordered_devices()) if device.process_index == host()]
    each = batch_size // jax.device_count()
    return slice(places[0] * each, (places[-1] + 1) * each)


def spread(value: Any, where: Any) -> Any:
    """An array that lies on devices of several hosts, each of which gives its own parts of it."""
    value = np.asarray(value)
    return jax.make_array_from_callback(value.shape, where, lambda index: value[index])


def local(value: Any) -> Any:
    """An array as it lies whole on this host; for functions of one device."""
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return value.addressable_data(0)
    return value
