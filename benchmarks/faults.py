"""Processes killed at random moments, and what is left of their work: `python -m benchmarks.faults [--kills N]`.

Makes data sets and trains a tiny network through all stages, again and again, and ends the process each time: by
kill -9, by SIGTERM, or by Ctrl-C twice; at a random moment, after a random number of epochs, or just when a file is
being written. After each, every file must be whole: data sets are to the byte the old or the new ones, the model loads
and has lost no epoch that it had, the table of experiments can be read. Then the work goes on, and in the end it must
have come to what an undisturbed process came to, to the bit.
"""

# ruff: noqa: E402
import argparse
import os
import sys
import tempfile

os.environ |= {'JAX_PLATFORMS': 'cpu', 'OPENBLAS_NUM_THREADS': '1', 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
CACHE = tempfile.TemporaryDirectory(prefix='symfer-faults-')
os.environ['JAX_COMPILATION_CACHE_DIR'] = CACHE.name  # all processes compile the same few functions

import json
import random
import re
import shutil
import signal
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import launch
import loaders.__main__
from loaders.synthetic.sample import write_csv
from utils.files import models
from utils.record.table import TABLE, read_table
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
    """A child process that does what a command line asks for; its process number."""
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
    """Exit status of a child (negative: a signal), or None where it still runs after some time or an event."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if (end is not None and time.monotonic() > end) or until():
            return None
        time.sleep(0.0005)


def strike(child, end):
    """End a child; its exit status."""
    for number in ENDS[end]:
        try:
            os.kill(child, number)
        except ProcessLookupError:
            break
        time.sleep(0.002)
    return wait(child)


def stage_of(log):
    """Which part of a run a child was in, by what it has printed."""
    text = log.read_text(errors='replace') if log.exists() else ''
    if 'test error, whole' in text or 'drawing' in text:
        return 'test and report'
    found = re.findall(rf'^({"|".join(TRAINING)}) epoch \d+/\d+, ', text, re.M)
    if not found:
        return 'start'
    return 'retrain' if found[-1] == 'train' and 'entropy point' in text else found[-1]


def sets_in(folder):
    """Content of the sets in a folder by name, without those that were renamed to make way for new ones."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob('set?.h5'))}


class Faults:
    """Kills, counted by what was killed and where, and what was found wrong afterwards."""

    def __init__(self, folder, seed, say):
        self.folder, self.rng, self.say = Path(folder), random.Random(seed), say
        self.kills, self.writing, self.ends = Counter(), Counter(), Counter()
        self.problems, self.chains, self.identical, self.seconds = [], Counter(), Counter(), 0.0

    def check(self, good, what):
        if not good:
            self.problems.append(what)
            self.say(f'PROBLEM: {what}')

    def draw_end(self):
        return self.rng.choices(list(ENDS), (8, 1, 1))[0]

    # ------------------------------------------------------------------------------------ data sets

    def data(self, kills):
        """Kill the making of data sets."""
        folder, log = self.folder / 'data', self.folder / 'data.log'
        folder.mkdir()
        sources = [write_csv(self.folder / f'{name}.csv', 400, 60, 60, seed=k) for k, name in enumerate(('old', 'new'))]
        made = []
        for source in sources:
            start = time.monotonic()
            self.check(
                wait(begin(loaders.__main__.main, [source, '--sets', 1, 2, 3, 4, '-o', folder], log)) == 0,
                'making data sets failed',
            )
            seconds = time.monotonic() - start
            made.append(sets_in(folder))
        while kills:
            for name, content in made[0].items():
                (folder / name).write_bytes(content)
            self.chains['data'] += 1
            while kills:
                child = begin(loaders.__main__.main, [sources[1], '--sets', 1, 2, 3, 4, '-o', folder], log)
                at_write = self.rng.random() < 0.4
                temporaries = lambda: list(folder.glob('.*.tmp'))  # noqa: E731
                status = wait(child, self.rng.uniform(0, 1.1 * seconds), temporaries if at_write else lambda: False)
                if status is None and at_write:
                    status = wait(child, self.rng.uniform(0, 0.05))
                if status is not None:
                    self.check(status == 0, f'making data sets ended with {status}')
                    break
                self.struck('data', child, temporaries)
                kills -= 1
                for name in made[1]:
                    self.check(
                        (folder / name).read_bytes() in (made[0][name], made[1][name]),
                        f'{name} is neither the old nor the new file',
                    )
                if self.rng.random() < 0.2:
                    break
            status = wait(begin(loaders.__main__.main, [sources[1], '--sets', 1, 2, 3, 4, '-o', folder], log))
            same = status == 0 and sets_in(folder) == made[1]
            self.identical['data'] += same
            self.check(same, 'the data sets made in the end are not those of an undisturbed process')

    def struck(self, stage, child, unfinished):
        """End a child in one of the three ways; count it, and whether it leaves an unfinished file."""
        end = self.draw_end()
        status = strike(child, end)
        self.kills[stage] += 1
        if self.kills.total() % 20 == 0:
            self.say(f'{self.kills.total()} processes ended')
        self.writing[stage] += bool(unfinished())
        self.ends[f'{end}: status {status}'] += 1
        allowed = {'kill -9': (-9, 0), 'SIGTERM': (143, -15, 0), 'Ctrl-C twice': (130, -2, 0)}[end]
        self.check(status in allowed, f'{end} gave status {status} in {stage}')

    # ------------------------------------------------------------------------------------- training

    def training(self, kills, suffix='.h5'):
        """Kill training, in all its stages."""
        sets = self.folder / 'sets'
        source = write_csv(self.folder / 'small.csv', 240, 30, 30, seed=5)
        loaders.build(source, (2,), sets, validation=60, log=lambda line: None)
        data, log = sets / 'set2.h5', self.folder / 'train.log'
        start = time.monotonic()
        for name in ('first', 'whole'):  # the first one fills the cache of compiled functions
            start = time.monotonic()
            model = self.folder / f'{name}{suffix}'
            status = wait(begin(launch.main, ['--dataset', data, '--savename', model, *ARGUMENTS], log))
            self.check(status == 0, f'an undisturbed run ended with {status}: {log.read_text()[-500:]}')
        whole = time.monotonic() - start
        wanted = self.outcome(self.folder / f'whole{suffix}')
        self.check(wanted == self.outcome(self.folder / f'first{suffix}'), 'two undisturbed runs differ')
        while kills:
            self.chains['training'] += 1
            models = self.folder / f'chain{self.chains["training"]}'
            model, epochs, status, left = models / f'm{suffix}', 0, None, set()
            while status is None:
                arguments = (
                    ['--resume', model] if model.exists() else ['--dataset', data, '--savename', model, *ARGUMENTS]
                )
                child = begin(launch.main, arguments, log)
                if not kills:
                    status = wait(child)
                    break
                status = self.aim(child, log, models, whole)
                if status is not None:
                    break
                self.struck(stage_of(log), child, lambda: [p for p in models.rglob('.*.part') if p not in left])
                left = set(models.rglob('.*.part'))
                kills -= 1
                epochs = self.still_whole(model, data, epochs)
            self.check(status == 0, f'a resumed run ended with {status}: {log.read_text()[-500:]}')
            same = status == 0 and self.outcome(model) == wanted
            self.identical['training'] += same
            self.check(same, f'chain {self.chains["training"]} came to another end than an undisturbed run')
            shutil.rmtree(models)

    def aim(self, child, log, models, whole):
        """Wait for the moment to strike; the child's exit status if it ends before."""
        way = self.rng.random()
        if way < 0.15:
            return wait(child, self.rng.uniform(0, whole))
        n, last = self.rng.randint(1, 9), self.rng.random() < 0.15

        def arrived():  # after some epochs, now and then only at the very end
            text = log.read_bytes() if log.exists() else b''
            return b'test error' in text or (not last and text.count(b' images/s') >= n)

        status = wait(child, None, arrived)
        if status is not None or way < 0.5:
            return status if status is not None else wait(child, self.rng.uniform(0, 0.1))
        status = wait(child, 0.5, lambda: any(models.glob('.m.*.part')))  # while the model is being written
        return status if status is not None else wait(child, self.rng.uniform(0, 0.002))

    def still_whole(self, model, data, epochs):
        """Check all files after a strike; epochs in the model."""
        for path in model.parent.glob('m*.*'):
            if path.is_file():
                try:
                    state = models.load(path)[0]
                except models.ModelError as error:
                    self.check(False, f'a model is damaged: {error}')
                    continue
                if path == model:
                    left = len(state['history'])
                    self.check(left >= epochs, f'{epochs} epochs were saved, {left} are left')
                    epochs = left
        with loaders.load(data) as opened:
            opened.verify()
        path = model.parent / TABLE
        if path.exists():
            runs = len(list(model.with_suffix('').glob('run-*')))
            self.check(runs - 1 <= len(read_table(path)) <= runs, 'rows of experiments.csv are lost')
        return epochs

    def outcome(self, model):
        """What a run came to: all arrays, the history without times, the errors."""
        state = models.load(model)[0]
        arrays = {
            f'{group}/{name}': value.tobytes()
            for group in ('arrays', 'kept', 'trained')
            for name, value in (state[group] or {}).items()
        }
        rows = [{k: v for k, v in row.items() if k != 'seconds'} for row in state['history']]
        runs = sorted(model.with_suffix('').glob('run-*'))
        result = json.loads((runs[-1] / 'result.json').read_text())
        return arrays, rows, {k: result.get(k) for k in ('status', 'epoch', 'errors')}

    def table(self):
        lines = [f'{"stage":16} {"kills":>6} {"leaving half a file":>20}']
        lines += [f'{stage:16} {self.kills[stage]:6} {self.writing[stage]:20}' for stage in STAGES if self.kills[stage]]
        lines.append(f'{"in all":16} {self.kills.total():6} {self.writing.total():20}')
        lines.append(', '.join(f'{n} x {what}' for what, n in sorted(self.ends.items())))
        for what in ('data', 'training'):
            if self.chains[what]:
                lines.append(
                    f'{what}: {self.chains[what]} chains of kills, {self.identical[what]} ended to the bit '
                    'like an undisturbed process'
                )
        lines.append(f'files found damaged, epochs or rows lost, other problems: {len(self.problems)}')
        return '\n'.join(lines)


def run(kills, seed=0, folder=None, say=print, suffixes=('.h5', '.pkl')):
    """Kill `kills` processes, a fifth of them making data sets; a `Faults` with what was found."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        faults = Faults(temporary, seed, say)
        n_data = kills // 5
        if n_data:
            faults.data(n_data)
        for k, suffix in enumerate(suffixes):
            part = (kills - n_data) // len(suffixes) + ((kills - n_data) % len(suffixes) if k == 0 else 0)
            if part:
                for path in Path(temporary).glob('*'):
                    shutil.rmtree(path) if path.is_dir() and path.name != 'data' else None
                faults.training(part, suffix)
    faults.seconds = time.monotonic() - start
    return faults


def main():
    parser = argparse.ArgumentParser(prog='python -m benchmarks.faults', description=__doc__.split('\n')[0])
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--folder', help="where to work (default: the system's folder for temporary files)")
    args = parser.parse_args()
    faults = run(args.kills, args.seed, args.folder)
    print(faults.table())
    print(f'{faults.seconds:.0f} s, seed {args.seed}, NumPy {np.__version__}')
    return bool(faults.problems)


if __name__ == '__main__':
    sys.exit(main())
