"""Processes that run a command line, and how they are ended."""

import os
import re
import signal
import sys
import time
import warnings

from utils.training.trainer import STAGES as TRAINING

ARGUMENTS = [
    '--network',
    'MLP',
    '--n_hidden',
    '8',
    '--batch_size',
    '40',
    '--statistics_images',
    '80',
    '--n_epochs',
    '24',
    '--anneal_epochs',
    '8',
    '--momentum',
    '0.9',
    '--learning_rate',
    '0.02',
    '--no-report',
]


ENDS = {'kill -9': (signal.SIGKILL,), 'SIGTERM': (signal.SIGTERM,), 'Ctrl-C twice': (signal.SIGINT, signal.SIGINT)}


STAGES = ('data', 'start', 'train', 'retrain', 'anneal', 'test and report')


warnings.filterwarnings('ignore', 'os.fork')  # no thread of JAX runs before the fork


def begin(main, arguments, log):
    """Start a child process that runs a command line, and return its process number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.argv = ['', *map(str, arguments)]
        status = main()
    except SystemExit as error:
        status = error.code
    except KeyboardInterrupt:
        status = 130
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait(child, seconds=None, until=lambda: False):
    """Return the exit status of a child (negative: a signal), or None if it still runs after some time or an event."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if (end is not None and time.monotonic() > end) or until():
            return None
        time.sleep(0.0005)


def strike(child, end):
    """End a child and return its exit status."""
    for number in ENDS[end]:
        try:
            os.kill(child, number)
        except ProcessLookupError:
            break
        time.sleep(0.002)
    return wait(child)


def stage_of(log):
    """Return the part of a run that a child has reached, from its output."""
    text = log.read_text(errors='replace') if log.exists() else ''
    if 'test error, whole' in text or 'drawing' in text:
        return 'test and report'
    found = re.findall(rf'^({"|".join(TRAINING)}) epoch \d+/\d+, ', text, re.M)
    if not found:
        return 'start'
    return 'retrain' if found[-1] == 'train' and 'entropy point' in text else found[-1]


def sets_in(folder):
    """Return the contents of the sets in a folder by name, without old sets that were renamed."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob('set?.h5'))}
