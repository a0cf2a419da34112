"""What ends a run from outside, signals and memory that is used up, and what is saved of it then.

==================  ===========================================================================
`Stops`             Ctrl-C, SIGTERM and SIGHUP as exceptions, which wait while something is saved
`Terminated`        what SIGTERM and SIGHUP raise: the process ends with status 143 or 129
`memory_told`       an out-of-memory error of the device or of Python, with what to do about it
`Checkpoint`        writes the model file as training goes on, and when something ends it
==================  ===========================================================================
"""
import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from utils.files import atomic, models

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AT_ONCE = 1.        # seconds in which a second signal means the same as the first
WORDS = ('RESOURCE_EXHAUSTED', 'Out of memory', 'out of memory', 'failed to allocate', 'Failed to allocate')


class Terminated(SystemExit):
    """The process was asked to end by SIGTERM or SIGHUP."""


class OutOfMemory(MemoryError):
    """Memory is used up; says what to do."""


class Stops:
    """A block in which Ctrl-C, SIGTERM and SIGHUP are exceptions, `KeyboardInterrupt` and `Terminated`.

    A signal that comes while something is being saved waits until that is done. Signals that are ignored or have a
    handler of the user's stay as they are, and so do all of them outside the main thread. The third signal that comes
    while a run is being ended does end it at once.
    """

    def __init__(self):
        self.before, self.depth, self.waiting, self.ending = {}, 0, [], False
        self.asked, self.raised = None, -AT_ONCE

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                    self.before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
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
        self.asked, self.raised, self.waiting = number, time.monotonic(), []
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)

    @contextmanager
    def held(self):
        """A block that no signal breaks off; one that came raises its exception at the end."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        if not self.depth:
            self.check()

    def check(self):
        """Raise what a signal has asked for, also where Python has lost it.

        An exception that a handler raises while a callback of the garbage collector or a destructor runs goes no
        further than these.
        """
        if not self.ending and (self.waiting or self.asked):
            self._stop(self.waiting[0] if self.waiting else self.asked)

    def end(self):
        """From here on the run is being ended: further signals change nothing."""
        self.ending, self.waiting = True, []


def out_of_memory(error):
    """Whether an error says that memory, the device's or the machine's, is used up."""
    return isinstance(error, MemoryError) or (type(error).__name__ in ('JaxRuntimeError', 'XlaRuntimeError')
                                              and any(word in str(error) for word in WORDS))


@contextmanager
def memory_told(device, batch_size, trainShared=None):
    """A block in which an out-of-memory error becomes a `MemoryError` that says what to do.

    `trainShared` is None where a saved model is used and nothing is trained.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error) or isinstance(error, OutOfMemory):
            raise
        first = str(error).strip().partition('\n')[0][:200] or type(error).__name__
        shared = 'trainShared=False, which leaves the training images in their file, or ' if trainShared else ''
        narrower = '' if trainShared is None else ', or a narrower network'
        raise OutOfMemory(f'the memory of {device} is used up: pass {shared}a batch_size below {batch_size}{narrower} '
                          f'({first})') from error


class Checkpoint:
    """Writes the model file as the trainer goes on, and once more if something ends it."""

    def __init__(self, path, config, save_every, stops, replaces, say, recorded):
        self.path, self.config, self.save_every, self.stops = path, config, save_every, stops
        self.say, self.recorded = say, recorded
        self.replaces = replaces is not None and Path(replaces).resolve() == path.resolve()
        self.written = None

    def __call__(self, trainer):
        with self.stops.held():
            if trainer.epoch % self.save_every == 0:
                self.write(trainer.last)
            self.recorded(trainer)

    def write(self, state):
        if not self.replaces:
            other = atomic.rotate(self.path)
            if other:
                self.say(f"'{self.path}' was there already; it is now '{other}'")
            self.replaces = True
        models.save(self.path, state, self.config)
        self.written = state

    @contextmanager
    def kept_safe(self, trainer):
        """A block that trains; whatever ends it, the last epoch that was over is in the model file."""
        try:
            yield
        except BaseException as error:
            self.stops.end()
            trainer.report.close()
            self._save_last(trainer, error)
            raise
        if self.written is None and not self.replaces:      # a finished one, under a new name
            self.write(trainer.last)

    def _save_last(self, trainer, error):
        what = ('interrupted' if isinstance(error, KeyboardInterrupt) else 'terminated'
                if isinstance(error, Terminated) else f'ended by {type(error).__name__}')
        if not trainer.history:
            self.say(f'{what} before the first epoch was over; no model was written')
            return
        try:
            if self.written is not trainer.last:
                self.write(trainer.last)
        except OSError as failure:
            self.say(f'{what}; {failure}')
            return
        diverged = isinstance(error, FloatingPointError)
        self.say(f'{what} in stage {trainer.stage} after {trainer.epoch} epochs of it; '
                 + (f"the last good epoch is in '{self.path}'" if diverged else
                    f"go on with test(resume='{self.path}') or: python launch.py --resume {self.path}"))
