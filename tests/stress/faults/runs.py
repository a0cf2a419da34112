"""Kills at random moments, and the checks of all files afterwards."""

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import launch
import loaders.__main__
from loaders.synthetic.sample import write_csv
from tests.stress.faults.processes import ARGUMENTS, ENDS, STAGES, begin, sets_in, stage_of, strike, wait
from utils.files import models
from utils.record.table import TABLE, read_table


class Faults:
    """Kills, counted by what was killed and where, and the faults found afterwards."""

    def __init__(self, folder, seed, info):
        self.folder, self.rng, self.info = Path(folder), random.Random(seed), info
        self.kills, self.writing, self.ends = Counter(), Counter(), Counter()
        self.problems, self.chains, self.identical, self.seconds = [], Counter(), Counter(), 0.0

    def check(self, good, what):
        if not good:
            self.problems.append(what)
            self.info(f'PROBLEM: {what}')

    def draw_end(self):
        return self.rng.choices(list(ENDS), (8, 1, 1))[0]

    # ------------------------------------------------------------------------------------ data sets

    def data(self, kills):
        """Kill processes that build data sets."""
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
        """End a child in one of three ways, and count it and whether it leaves an unfinished file."""
        end = self.draw_end()
        status = strike(child, end)
        self.kills[stage] += 1
        if self.kills.total() % 20 == 0:
            self.info(f'{self.kills.total()} processes ended')
        self.writing[stage] += bool(unfinished())
        self.ends[f'{end}: status {status}'] += 1
        allowed = {'kill -9': (-9, 0), 'SIGTERM': (143, -15, 0), 'Ctrl-C twice': (130, -2, 0)}[end]
        self.check(status in allowed, f'{end} gave status {status} in {stage}')

    # ------------------------------------------------------------------------------------- training

    def training(self, kills, suffix='.h5'):
        """Kill processes that train, in all stages."""
        sets = self.folder / 'sets'
        source = write_csv(self.folder / 'small.csv', 240, 30, 30, seed=5)
        loaders.build(source, (2,), sets, validation=60, info=lambda line: None)
        data, log = sets / 'set2.h5', self.folder / 'train.log'
        start = time.monotonic()
        for name in ('first', 'whole'):  # the first run fills the cache of compiled functions
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
        """Wait for the moment of the kill; return the child's exit status if it ends before."""
        way = self.rng.random()
        if way < 0.15:
            return wait(child, self.rng.uniform(0, whole))
        n, last = self.rng.randint(1, 9), self.rng.random() < 0.15

        def arrived():  # after some epochs, occasionally only at the very end
            text = log.read_bytes() if log.exists() else b''
            return b'test error' in text or (not last and text.count(b' images/s') >= n)

        status = wait(child, None, arrived)
        if status is not None or way < 0.5:
            return status if status is not None else wait(child, self.rng.uniform(0, 0.1))
        status = wait(child, 0.5, lambda: any(models.glob('.m.*.part')))  # while the model is being written
        return status if status is not None else wait(child, self.rng.uniform(0, 0.002))

    def still_whole(self, model, data, epochs):
        """Check all files after a kill, and return the number of epochs in the model."""
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
        """Return the outcome of a run: all arrays, the history without times, the errors."""
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


def run(kills, seed=0, folder=None, info=print, suffixes=('.h5', '.pkl')):
    """Kill `kills` processes, of which a fifth, at least one, build data sets; return a `Faults` with the findings."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        faults = Faults(temporary, seed, info)
        n_data = max(1, kills // 5)
        faults.data(n_data)
        for k, suffix in enumerate(suffixes):
            part = (kills - n_data) // len(suffixes) + ((kills - n_data) % len(suffixes) if k == 0 else 0)
            if part:
                for path in Path(temporary).glob('*'):
                    shutil.rmtree(path) if path.is_dir() and path.name != 'data' else None
                faults.training(part, suffix)
    faults.seconds = time.monotonic() - start
    return faults
