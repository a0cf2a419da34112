"""Read files in watched child processes; a process that crashes is replaced."""

# ruff: noqa: E402
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.stress.fuzz.kinds import KINDS

SECONDS, MEMORY = 5, 1 << 30  # seconds of processor time, which does not depend on the load of the machine
WAIT = 90  # seconds of wall time until a process is given up


class Watch:
    """Reports, by Python's audit events, what a reader writes, removes, runs or connects to."""

    def __init__(self):
        self.on, self.seen = False, []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if not self.on:
            return
        if event == 'open':
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set('wax+')) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            ):
                self.seen.append(f'{event} {path!r} {mode}')
        elif event == 'exec':  # the standard library imports text encodings when they are needed
            if arguments[0].co_filename.startswith('<'):
                self.seen.append(f'exec {arguments!r:.100}')
        elif event.split('.')[0] in ('subprocess', 'socket', 'shutil', 'pty') or event in (
            'os.system',
            'os.exec',
            'os.posix_spawn',
            'os.fork',
            'os.remove',
            'os.rename',
            'os.mkdir',
            'os.rmdir',
            'os.link',
            'os.symlink',
            'os.truncate',
            'os.chmod',
            'pickle.find_class',
            'compile',
        ):
            self.seen.append(f'{event} {arguments!r:.100}')


class Late(BaseException):
    """The reader took too long."""


def _late(*_):
    raise Late


def size_now():
    """Return the size of this process's address space in bytes."""
    return int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()


def worker(kind, folder, seed, first, last, board, findings):
    """Read files `first` to `last`; `board` counts them for the parent."""
    case = KINDS[kind](folder)
    case.count = 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # OpenCV and libpng print a message for every image
    if kind.startswith('model'):
        import launch  # noqa: F401  (before memory is limited)
    watch, counts = Watch(), Counter()
    signal.signal(signal.SIGPROF, _late)
    base = size_now()
    resource.setrlimit(resource.RLIMIT_AS, (base + MEMORY, -1))
    listing = sorted(p.name for p in Path(folder).iterdir())
    for number in range(first, last):
        board[0], board[6], case.count = number, 1, number
        case.write(random.Random(f'{kind} {seed} {number}'))
        board[6] = 0
        start, problem = time.process_time(), None
        try:
            try:
                watch.on = True
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                case.read()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                watch.on = False
            counts['loaded'] += 1
        except case.errors as error:
            counts['refused'] += 1
            if not str(error).strip():
                problem = 'an error without words'
        except Late:
            problem = f'more than {SECONDS} seconds'
        except BaseException as error:
            problem = f'{type(error).__name__}: {error}\n' + traceback.format_exc()[-1500:]
        board[2] = max(board[2], int(1e6 * (time.process_time() - start)))
        if watch.seen:
            problem, watch.seen = f'reached out: {watch.seen[:3]}', []
        if number % 500 == 0:
            now = sorted(p.name for p in Path(folder).iterdir())
            if set(now) - set(listing) - {'planted.h5', case.path.name, 'images'}:
                problem = f'wrote {set(now) - set(listing)}'
        if problem:
            counts['problems'] += 1
            keep(kind, case.path, number, problem, findings)
        board[3], board[4], board[5] = (counts[k] for k in ('loaded', 'refused', 'problems'))
    board[0], board[1] = last, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def again(kind, number, seed):
    """Make and read one file, in this process and without limits."""
    with tempfile.TemporaryDirectory() as folder:
        case = KINDS[kind](folder)
        case.count = number
        case.write(random.Random(f'{kind} {seed} {number}'))
        start = time.process_time()
        try:
            case.read()
            print('loaded')
        except case.errors as error:
            print(f'refused: {error}')
        print(f'{time.process_time() - start:.3f} s of the processor')


def keep(kind, path, number, problem, findings):
    findings.mkdir(parents=True, exist_ok=True)
    (findings / f'{kind}-{number}.txt').write_text(problem)
    if path.is_dir():
        shutil.copytree(path, findings / f'{kind}-{number}', dirs_exist_ok=True, symlinks=True)
    elif path.exists():
        shutil.copyfile(path, findings / f'{kind}-{number}{path.suffix}')


def fuzz(kind, n_files, seed=0, findings=Path('fuzz-findings'), info=print):
    """Read `n_files` mutated files of a kind in child processes; one that crashes is replaced.

    Returns
    -------
    dict
        'files' read, 'loaded', 'refused', 'problems' (crashes among them), 'slowest' (s), 'memory' (MiB), 'seconds'.
    """
    start, first = time.perf_counter(), 0
    total = Counter()
    shm = Path('/dev/shm')
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as folder:
        while first < n_files:
            shared = mmap.mmap(-1, 64)
            board = memoryview(shared).cast('q')
            board[0] = first
            part = min(n_files, first + 20_000)  # a new process from time to time
            sys.stdout.flush()
            child = os.fork()
            if not child:
                status = 1
                try:
                    worker(kind, folder, seed, first, part, board, findings)
                    status = 0
                except BaseException:
                    keep(kind, Path('none'), board[0], traceback.format_exc(), findings)
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            seen, since, died = first, time.monotonic(), None
            while True:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    died = status or None
                    break
                if board[0] != seen:
                    seen, since = board[0], time.monotonic()
                elif time.monotonic() - since > WAIT * (5 if board[0] == first else 1):  # it imports at first
                    os.kill(child, signal.SIGKILL)  # blocked, or in a library that prevents the alarm
                    os.waitpid(child, 0)
                    died = 'no answer'
                    break
                time.sleep(0.02)
            for k, name in enumerate(('loaded', 'refused', 'problems'), start=3):
                total[name] += board[k]
            total['slowest'] = max(total['slowest'], board[2])
            total['memory'] = max(total['memory'], board[1])
            if died is None:
                first = part
                continue
            number = board[0]
            first = number + 1
            if board[6] and died != 'no answer':  # HDF5 crashed while the file was being made
                total['unmade'] += 1
                continue
            suffix = KINDS[kind].suffix
            path = Path(folder) / (f'file{suffix}' if kind != 'folder' else 'images')
            keep(kind, path, number, f'the process died: {died}', findings)
            info(f'{kind}: file {number}: the process died ({died})')
            total['problems'] += 1
            if total['problems'] > 200:
                info(f'{kind}: too many problems, the rest is left')
                break
    return {
        'files': first - total['unmade'],
        **{k: total[k] for k in ('loaded', 'refused', 'problems')},
        'slowest': total['slowest'] / 1e6,
        'memory': total['memory'] / 1024,
        'seconds': time.perf_counter() - start,
    }
