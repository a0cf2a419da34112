"""Several hosts, a process each, whose devices compute every minibatch together.

==================  ===========================================================================
`join`              meets the other hosts; before anything is computed
`n_hosts`, `host`   how many there are, and the number of this one
`compared`          what each host says to a question
`Watch`             which hosts have stopped answering
`own_rows`          the rows of a minibatch that this host's devices compute
==================  ===========================================================================

Every host runs the whole program; where arrays lie on devices of several hosts, each gives its own parts.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import jax
import numpy as np

BEAT = 0.5  # seconds between signs of life
SILENT = 4.0  # seconds without one after which a host is taken for dead
PATIENCE = 60  # seconds to wait for the others


def join(address: str, index: int | None, number: int | None) -> None:
    """Meet the other hosts; a second call does nothing.

    Parameters
    ----------
    address : str
        'host:port' of host 0, or 'auto': found by JAX under SLURM, Kubernetes, Open MPI and on cloud TPUs.
    index, number : int or None
        Of this host, from 0, and how many there are; None with 'auto'.
    """
    if jax.distributed.is_initialized():
        return
    times = {'initialization_timeout': PATIENCE, 'shutdown_timeout_seconds': 10}
    try:
        if address == 'auto':
            jax.distributed.initialize(**times)
        else:
            jax.distributed.initialize(address, number, index, cluster_detection_method='deactivate', **times)
    except Exception as error:
        first = str(error).strip().partition('\n')[0][:200]
        raise ConnectionError(
            f"the hosts did not all meet at '{address}' within {PATIENCE} s: start the same command on each of them, "
            f'with host_index 0, 1, ... ({first})'
        ) from error


def n_hosts() -> int:
    """How many hosts there are; 1 where none was joined."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def host() -> int:
    """The number of this host, from 0."""
    return jax.process_index() if jax.distributed.is_initialized() else 0


def _client():
    from jax._src import distributed  # JAX has no public name for it

    return distributed.global_state.client


def compared(question: str, answer: str) -> list[str]:
    """What each host answers to a question, by their numbers; each question once."""
    client, n = _client(), n_hosts()
    client.key_value_set(f'symfer/{question}/{host()}', answer)
    return [client.blocking_key_value_get(f'symfer/{question}/{k}', PATIENCE * 1000) for k in range(n)]


class Watch:
    """Signs of life of the hosts, in a thread."""

    def __init__(self) -> None:
        self.names = compared('name', f'host {host()} ({socket.gethostname()})')
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name='signs of life', daemon=True)
        self._thread.start()

    def _beat(self):
        count = 0
        while not self._stop.wait(BEAT):
            count += 1
            try:
                _client().key_value_set(f'symfer/alive/{host()}', str(count), allow_overwrite=True)
            except Exception:  # host 0 is gone: `dead` says so
                return

    def _counts(self):
        try:
            return dict(_client().key_value_dir_get('symfer/alive/'))
        except Exception:
            return None

    def dead(self) -> list[str]:
        """The hosts that have stopped, in words, as far as can be told after a few seconds."""
        before = self._counts()
        time.sleep(SILENT)
        after = self._counts()
        if before is None or after is None:
            return self.names[:1]
        return [
            name
            for k, name in enumerate(self.names)
            if k != host() and before.get(f'symfer/alive/{k}') == after.get(f'symfer/alive/{k}')
        ]

    def close(self) -> None:
        """End the thread."""
        self._stop.set()


def own_rows(batch_size: int) -> slice:
    """The rows of a minibatch that this host's devices compute: all of them where there is one host."""
    n = n_hosts()
    return slice(host() * batch_size // n, (host() + 1) * batch_size // n)


def spread(value: Any, where: Any) -> Any:
    """An array that lies on devices of several hosts, each of which gives its own parts of it."""
    value = np.asarray(value)
    return jax.make_array_from_callback(value.shape, where, lambda index: value[index])


def local(value: Any) -> Any:
    """An array as it lies whole on this host; for functions of one device."""
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return value.addressable_data(0)
    return value
