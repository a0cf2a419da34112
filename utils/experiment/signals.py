"""Ctrl-C, SIGTERM and SIGHUP as exceptions, deferred while something is saved.

==================  ===========================================================================
`SignalHandler`     the block in which signals become exceptions
`Terminated`        raised for SIGTERM and SIGHUP: the process ends with status 143 or 129
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
DEBOUNCE = 1.0  # seconds within which a second signal counts as the first


class Terminated(SystemExit):
    """The process was asked to end by SIGTERM or SIGHUP."""


class SignalHandler:
    """Block in which Ctrl-C, SIGTERM and SIGHUP raise `KeyboardInterrupt` and `Terminated`.

    A signal that arrives during a save takes effect after it. Signals that are ignored or have the user's own handler
    are left alone; outside the main thread all signals are. While a run is being ended, the third signal ends it at
    once.
    """

    def __init__(self) -> None:
        self.before, self.depth, self.waiting, self.ending = {}, 0, [], False
        self.requested, self.raised, self.hook = None, -DEBOUNCE, None

    def _unraisable(self, unraisable):
        """Silence our exceptions where Python drops them: `check` raises them again."""
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
        elif time.monotonic() - self.raised < DEBOUNCE:
            return
        self._stop(number)

    def _stop(self, number):
        self.requested, self.raised, self.waiting = number, time.monotonic(), []
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Block that no signal interrupts; a signal that arrived meanwhile raises its exception at the end."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        if not self.depth:
            self.check()

    def check(self) -> None:
        """Raise the exception of a signal that arrived, even if Python dropped it.

        Python drops an exception that a handler raises during a destructor or a callback of the garbage collector.
        """
        if not self.ending and (self.waiting or self.requested):
            self._stop(self.waiting[0] if self.waiting else self.requested)

    def end(self) -> None:
        """Mark the run as being ended: further signals change nothing."""
        self.ending, self.waiting = True, []
