"""Signs of life of several hosts, and what they say to one another.

==================  ===========================================================================
`HostEnded`         another host has ended this run, or has stopped
`Watch`             notices it; asks all hosts a question
`hold_aborts`       keeps JAX from ending a process before it has said why
==================  ===========================================================================

Hosts write into the key-value store that JAX keeps on host 0. A host that is silent there for `SILENT` seconds is
taken for dead; where host 0 itself does not answer, host 0 is.
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

BEAT = 0.5  # seconds between signs of life
SILENT = 20.0  # seconds without one after which a host is taken for dead
AFTER_ERROR = 3.0  # the same where a computation has failed already
GRACE = 5.0  # seconds that the program has to end by itself
HOLD = 60.0  # seconds for which an abort is held up


class HostEnded(ConnectionError):
    """Another host has ended the run, or has stopped.

    Attributes
    ----------
    kind : str
        'dead', or the name of the exception that ended it.
    on_host : str
        Which host, and what became of it.
    """

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.on_host = kind, text
        hint = ': resume the model on the hosts that are left, or on as many as before' if kind == 'dead' else ''
        super().__init__(text + hint)


class Watch:
    """The hosts of this program, watched by two threads: one talks to host 0, which may not answer, one judges.

    Parameters
    ----------
    client : jaxlib DistributedRuntimeClient
    number, n : int
        Of this host, from 0, and how many there are.
    name : str
        Of this host, in words.

    Attributes
    ----------
    names : list of str
        Of all hosts.
    on_stuck : callable or None
        Called with the `HostEnded`, in a thread, where the program has not ended some seconds after another host has:
        it waits for that one.
    """

    def __init__(self, client: Any, number: int, n: int, name: str) -> None:
        self.client, self.number, self.n = client, number, n
        self.run, self.questions = 0, 0
        self.ended: dict[int, tuple[float, HostEnded]] = {}  # when it was noticed
        self.on_stuck: Callable[[HostEnded], Any] | None = None
        self._answered = time.monotonic()  # by host 0
        self._heard = dict.fromkeys(range(n), self._answered)
        self._beats: dict[int, str] = {}
        self.names = [f'host {k}' for k in range(n)]
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=task, daemon=True) for task in (self._talk, self._judge)]
        for thread in self._threads:
            thread.start()
        self.names = self.ask('name', name)

    def close(self) -> None:
        """End the threads: one that came back from JAX while Python ends would abort the process."""
        self._closed.set()
        for thread in self._threads:
            thread.join(10)

    def begin(self) -> None:
        """Another run begins: what ended the one before is forgotten, unless a host has stopped."""
        self.run, self.questions = self.run + 1, 0
        self.ended = {k: v for k, v in self.ended.items() if v[1].kind == 'dead'}

    def end(self, kind: str, text: str) -> None:
        """Say what ends the run on this host, see `HostEnded`."""

        def say():
            with suppress(Exception):  # host 0 is gone: nobody can be told
                self.client.key_value_set(f'symfer/{self.run}/ended/{self.number}', note, allow_overwrite=True)

        note = json.dumps([kind, text])
        thread = threading.Thread(target=say, daemon=True)  # that may wait for host 0 for ever
        thread.start()
        thread.join(2)

    def check(self, age: float = GRACE) -> None:
        """Raise `HostEnded` where another host has ended the run, so many seconds ago at least."""
        for noticed, error in list(self.ended.values()):
            if time.monotonic() - noticed >= age:
                raise error

    def why(self) -> HostEnded | None:
        """What became of another host, after a computation of all has failed; None where all are alive."""
        start = time.monotonic()
        while time.monotonic() - start < 2 * AFTER_ERROR:
            self._find_silent(AFTER_ERROR)
            if self.ended:
                return next(iter(self.ended.values()))[1]
            time.sleep(0.1)
        return None

    def ask(self, question: str, answer: str) -> list[str]:
        """What every host answers to a question, by their numbers. Each has to ask it, in the same order.

        Raises
        ------
        HostEnded
            A host that will not answer any more.
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
            except Exception:  # no answer yet, or never
                self.check(0)
                time.sleep(0.05)

    def _talk(self):
        count = 0
        while not self._closed.wait(BEAT):
            try:
                count += 1
                self.client.key_value_set(f'symfer/alive/{self.number}', str(count), allow_overwrite=True)
                beats, run = self.client.key_value_dir_get('symfer/alive/'), self.run
                notes = self.client.key_value_dir_get(f'symfer/{run}/ended/')
            except Exception:  # `_judge` counts the seconds
                continue
            self._answered = now = time.monotonic()
            for key, beat in beats:
                k = int(key.rpartition('/')[2])
                if self._beats.get(k) != beat:
                    self._beats[k], self._heard[k] = beat, now
            for key, note in notes:
                k = int(key.rpartition('/')[2])
                if k != self.number and run == self.run:
                    self._learn(k, *json.loads(note))

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
    """Hold up an abort in a thread of JAX's for a minute.

    Where host 0 has gone, JAX aborts the process from such a thread at once (its callback for that cannot be used from
    Python: jaxlib 0.10 cannot hand it the status). Meanwhile the program says which host has stopped, and ends. It also
    aborts where the hosts do not meet; that ends the process with the line `unmet`.

    Returns
    -------
    callable
        Says that the hosts have met.
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
