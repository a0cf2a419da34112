"""Ctrl-C, SIGTERM and SIGHUP as exceptions, deferred while something is saved.

==================  ===========================================================================
`SignalHandler`     the block in which they are
`Terminated`        what SIGTERM and SIGHUP raise: the process ends with status 143 or 129
==================  ===========================================================================
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AT_ONCE = 1.0  # seconds in which a second signal means the same as the first


class Terminated(SystemExit):
    """The process was asked to end by SIGTERM or SIGHUP."""


class SignalHandler:
    """A block in which Ctrl-C, SIGTERM and SIGHUP are exceptions, `KeyboardInterrupt` and `Terminated`.

    A signal that comes while something is being saved waits until that is done. Signals that are ignored or have a
    handler of the user's stay as they are, and so do all of them outside the main thread. The third signal that comes
    while a run is being ended does end it at once.
    """

    def __init__(self) -> None:
        self.before, self.depth, self.waiting, self.ending = {}, 0, [], False
        self.requested, self.raised, self.hook = None, -AT_ONCE, None

    def _unraisable(self, unraisable):
        """Python has lost an exception; ours are raised again by `check`, and nobody need read of it."""
        if not isinstance(unraisable.exc_value, (KeyboardInterrupt, Terminated)):
            self.hook(unraisable)

    def __enter__(self) -> SignalHandler:
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                    self.before[number] = signal.signal(number, self._handle)
            self.hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def __exit__(self, *_):
        if self.hook:
            sys.unraisablehook = self.hook
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _handle(self, number, frame):
        if self.depth or self.ending:
            self.waiting.append(number)
            if not self.ending or len(self.waiting) < 3:
                os.write(2, b'one moment, the model is being saved\n')
                return
        elif time.monotonic() - self.raised < AT_ONCE:
            return
        self._stop(number)

    def _stop(self, number):
        self.requested, self.raised, self.waiting = number, time.monotonic(), []
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A block that no signal breaks off; one that came raises its exception at the end."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        if not self.depth:
            self.check()

    def check(self) -> None:
        """Raise what a signal has requested, also where Python has lost it.

        An exception that a handler raises while a callback of the garbage collector or a destructor runs goes no
        further than these.
        """
        if not self.ending and (self.waiting or self.requested):
            self._stop(self.waiting[0] if self.waiting else self.requested)

    def end(self) -> None:
        """From here on the run is being ended: further signals change nothing."""
        self.ending, self.waiting = True, []
