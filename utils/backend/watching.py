"""Heartbeats of several hosts, and messages between them.

==================  ===========================================================================
`HostEnded`         another host has ended this run, or has stopped
`Watch`             detects this; exchanges answers to a question among all hosts
`hold_aborts`       keeps JAX from aborting a process before it has said why
==================  ===========================================================================

Hosts write to the key-value store that JAX runs on host 0. A host that writes no heartbeat for `SILENT` seconds counts
as dead; if the store does not answer, host 0 does.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

BEAT = 0.5  # seconds between heartbeats
SILENT = 20.0  # seconds without heartbeat after which a host counts as dead
AFTER_ERROR = 3.0  # the same after a computation has failed
GRACE = 5.0  # seconds that the program has to end by itself
HOLD = 60.0  # seconds for which an abort is delayed


class HostEnded(ConnectionError):
    """Raised when another host has ended the run or has stopped.

    Attributes
    ----------
    kind : str
        'dead', or the name of the exception that ended the run on that host.
    on_host : str
        Name of the host, and what happened there.
    """

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.on_host = kind, text
        hint = ': resume the model on the remaining hosts, or on as many as before' if kind == 'dead' else ''
        super().__init__(text + hint)


class Watch:
    """Watches the hosts of this program by two threads: one talks to host 0, which may not answer, the other judges.

    Parameters
    ----------
    client : jaxlib DistributedRuntimeClient
    number, n : int
        Number of this host, from 0, and number of all hosts.
    name : str
        Name of this host in messages.

    Attributes
    ----------
    names : list of str
        Names of all hosts.
    on_stuck : callable or None
        Called with the `HostEnded`, in a thread, if the program has not ended some seconds after another host has,
        because it waits for that one.
    """

    def __init__(self, client: Any, number: int, n: int, name: str) -> None:
        self.client, self.number, self.n = client, number, n
        self.run, self.questions = 0, 0
        self.ended: dict[int, tuple[float, HostEnded]] = {}  # with the time of detection
        self.on_stuck: Callable[[HostEnded], Any] | None = None
        self._answered = time.monotonic()  # last answer of host 0
        self._heard = dict.fromkeys(range(n), self._answered)
        self._beats: dict[int, str] = {}
        self.names = [f'host {k}' for k in range(n)]
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=task, daemon=True) for task in (self._talk, self._judge)]
        for thread in self._threads:
            thread.start()
        self.names = self.ask('name', name)

    def close(self) -> None:
        """End the threads: a thread that returned from JAX during Python's shutdown would abort the process."""
        self._closed.set()
        for thread in self._threads:
            thread.join(10)

    def begin(self) -> None:
        """Start another run: forget what ended the previous one, unless a host has stopped."""
        self.run, self.questions = self.run + 1, 0
        self.ended = {k: v for k, v in self.ended.items() if v[1].kind == 'dead'}

    def end(self, kind: str, text: str) -> None:
        """Tell the other hosts what ends the run on this host, see `HostEnded`."""

        def send():
            with suppress(Exception):  # without host 0, no message can be sent
                self.client.key_value_set(f'symfer/{self.run}/ended/{self.number}', message, allow_overwrite=True)

        message = json.dumps([kind, text])
        thread = threading.Thread(target=send, daemon=True)  # it may wait for host 0 forever
        thread.start()
        thread.join(2)

    def check(self, age: float = GRACE) -> None:
        """Raise `HostEnded` if another host ended the run at least `age` seconds ago."""
        for noticed, error in list(self.ended.values()):
            if time.monotonic() - noticed >= age:
                raise error

    def why(self) -> HostEnded | None:
        """After a joint computation has failed, find the host that ended; None if all are alive."""
        start = time.monotonic()
        while time.monotonic() - start < 2 * AFTER_ERROR:
            self._find_silent(AFTER_ERROR)
            if self.ended:
                return next(iter(self.ended.values()))[1]
            time.sleep(0.1)
        return None

    def ask(self, question: str, answer: str) -> list[str]:
        """Collect the answers of all hosts to a question, by host number.

        All hosts must ask the same questions in the same order.

        Raises
        ------
        HostEnded
            If a host has ended before it answered.
        """
        self.questions += 1
        place = f'symfer/{self.run}/asked/{self.questions} {question}'
        self._patiently(lambda: self.client.key_value_set(f'{place}/{self.number}', answer, allow_overwrite=True))
        return [
            self._patiently(lambda k=k: self.client.blocking_key_value_get(f'{place}/{k}', 500))  # type: ignore[misc]
            for k in range(self.n)
        ]

    def _patiently(self, call):
        while True:
            try:
                return call()
            except Exception:  # no answer yet
                self.check(0)
                time.sleep(0.05)

    def _talk(self):
        count = 0
        while not self._closed.wait(BEAT):
            try:
                count += 1
                self.client.key_value_set(f'symfer/alive/{self.number}', str(count), allow_overwrite=True)
                beats, run = self.client.key_value_dir_get('symfer/alive/'), self.run
                messages = self.client.key_value_dir_get(f'symfer/{run}/ended/')
            except Exception:  # `_judge` counts the seconds
                continue
            self._answered = now = time.monotonic()
            for key, beat in beats:
                k = int(key.rpartition('/')[2])
                if self._beats.get(k) != beat:
                    self._beats[k], self._heard[k] = beat, now
            for key, message in messages:
                k = int(key.rpartition('/')[2])
                if k != self.number and run == self.run:
                    self._learn(k, *json.loads(message))

    def _judge(self):
        while not self._closed.wait(BEAT):
            self._find_silent(SILENT)
            stuck = self.on_stuck
            if self.ended and stuck:
                noticed, error = next(iter(self.ended.values()))
                if time.monotonic() - noticed > 2 * GRACE and self.on_stuck:
                    self.on_stuck = None
                    stuck(error)

    def _find_silent(self, limit):
        if time.monotonic() - self._answered > limit and self.number:
            self._learn(0, 'dead', f'{self.names[0]} stopped')
        for k, heard in list(self._heard.items()):
            if k != self.number and self._answered - heard > limit:
                self._learn(k, 'dead', f'{self.names[k]} stopped')

    def _learn(self, k, kind, text):
        self.ended.setdefault(k, (time.monotonic(), HostEnded(kind, text)))


_handlers: list[Any] = []


def hold_aborts(unmet: str) -> Callable[[], None]:
    """Delay an abort in a thread of JAX by a minute.

    When host 0 is lost, JAX aborts the process at once from one of its threads (its callback for this cannot be used
    from Python: jaxlib 0.10 cannot pass the status). The delay lets the program say which host has stopped, and end.
    JAX also aborts if the hosts do not connect; the process then ends with the line `unmet`.

    Returns
    -------
    callable
        To be called when the hosts have connected.
    """
    if os.name != 'posix':
        return lambda: None
    met: list[bool] = []

    def held(number):
        if not met:
            print(unmet, file=sys.stderr, flush=True)
            os._exit(2)
        if threading.get_ident() != threading.main_thread().ident:
            time.sleep(HOLD)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(held)
    _handlers.append(handler)
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = [ctypes.c_int, type(handler)], ctypes.c_void_p
    libc.signal(signal.SIGABRT, handler)
    return lambda: met.append(True)
