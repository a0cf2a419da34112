"""The record of a run: a numbered folder beside the model.

A run of the model ``trained_models/x.h5`` has a folder ``trained_models/x/run-001/`` with these files:

=================  ============================================================================
config.yaml        all arguments; ``python launch.py --config`` repeats the run
run.json           versions, device, git revision, data fingerprint, process and time
network.py         source of the network's class
log.txt            printed output
history.csv        a row per epoch, written when the epoch ends
histograms.json    histograms of weights and layer outputs after each epoch
result.json        status, errors, evaluation; exists from the start with status 'running'
model.h5           the model (a hard link if the file system supports it)
logits.npz         logits on the test and validation images, for ensembles
predictions.csv    a row per test image; confusion.csv counts them
report.html        figures and tables in one file; the figures are also in figures/
=================  ============================================================================

No other run overwrites these files. ``trained_models/experiments.csv`` has a row for every run, written when the run
starts and completed when it ends.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from utils import rna
from utils.files.atomic import atomic_write, write_json
from utils.files.folders import numbered_folder
from utils.files.locks import lock
from utils.files.terminal import cell, visible
from utils.files.yaml_ import Dumper
from utils.record import history
from utils.record.environment import environment
from utils.record.reading import FORMAT, VERSION
from utils.record.source import class_source
from utils.record.table import COLUMNS, TABLE, _marked_if_dead, read_table
from utils.record.trackers import TRACKERS
from utils.results.inspection import Activations, weight_histograms
from utils.training import optimisers, schedules

if TYPE_CHECKING:
    from utils.annotations import Dataset
    from utils.training.trainer import Trainer


# Arguments that may be user-defined functions; symfer's own are found by their names.
KNOWN = {'activation': [*rna.ACTIVATIONS], 'optimiser': [*optimisers.OPTIMISERS], 'schedule': [*schedules.SCHEDULES]}
IMAGES = 100  # number of images on which layer outputs are recorded after each epoch


def _now():
    return datetime.now(UTC).astimezone().isoformat(timespec='seconds')


class Record:
    """The folder of a run, created when all arguments of the run have been checked.

    Parameters
    ----------
    model : Path
        Model file.
    config : dict
        Configuration that is saved with the model: 'options', 'fingerprint', ...
    network : class
        Class of the network.
    name : str
        Name of the result in tables.
    data : loaders.Dataset
        Open data set.
    resumed : path, optional
        Model that the run resumes.
    done : int
        Number of epochs done before the run.
    devices : int
        Number of devices of the run.

    Attributes
    ----------
    folder, log : Path
        Folder of the run, and its log.txt.
    caveat : str or None
        Sentence that says why ``--config`` cannot repeat the run and how to repeat it; None if it can.
    histograms : list of dict
        Histograms of weights and layer outputs, one per epoch, see `utils.results.plots.histograms`.
    """

    def __init__(
        self,
        model: Path,
        config: dict[str, Any],
        network: type,
        name: str,
        data: Dataset,
        resumed: Any = None,
        done: int = 0,
        devices: int = 1,
    ) -> None:
        self.model, self.options, self.start = Path(model), config['options'], time.perf_counter()
        self.folder = numbered_folder(self.model.with_suffix(''))
        self.log, self.ended = self.folder / 'log.txt', False
        self.epochs, self.histograms = done, []
        self.activations: Any = None
        (self.folder / 'figures').mkdir()
        source = class_source(network)
        if source:
            (self.folder / 'network.py').write_text(source, encoding='utf-8')
        options = dict(self.options)
        if not config['bundled_network'] and source:
            options['network'] = f'network.py:{options["network"]}'
        self.caveat = self._caveat(
            [
                key
                for key, kept in (
                    ('network', config['bundled_network'] or source),
                    *((key, options.get(key) is None or options[key] in known) for key, known in KNOWN.items()),
                )
                if not kept
            ]
        )
        with open(self.folder / 'config.yaml', 'w', encoding='utf-8') as file:
            file.write(
                '# Arguments of launch.test. To repeat the run: python launch.py --config '
                f'{visible(self.folder / "config.yaml")}\n'
            )
            yaml.dump(options, file, Dumper, sort_keys=False, allow_unicode=True)
        self.started, about = _now(), environment(devices)
        write_json(
            self.folder / 'run.json',
            {
                'format': FORMAT,
                'version': VERSION,
                'started': self.started,
                'name': name,
                'model': str(self.model),
                'seed': self.options['seed'],
                'resumed': resumed and str(resumed),
                'data': str(data.path),
                'data_name': data.name,
                'fingerprint': config['fingerprint'],
                'classes': list(data.classes),
                'content_digest': config.get('content_digest'),
                'teacher_digest': config.get('teacher_digest'),
                'is_fer2013': bool(data.is_fer2013),
                'environment': about,
            },
        )
        write_json(self.folder / 'result.json', {'status': 'running'})
        self.row = {
            'run': str(self.folder),
            'status': 'running',
            'started': self.started,
            'name': name,
            'data': data.name,
            'host': about['host'],
            'pid': about['pid'],
            **{key: self.options[key] for key in ('network', 'seed', 'learning_rate', 'batch_size', 'n_epochs')},
            'n_hidden': ' '.join(map(str, self.options['n_hidden'] or ())),
            'options': json.dumps(self.options),
        }
        self._table()
        self.trackers = [TRACKERS[key](self.folder, self.options, name) for key in self.options.get('track') or ()]

    def _caveat(self, keys):
        """Return the sentence about arguments whose source is not in the folder."""
        if not keys:
            return None
        values = ', '.join(f"'{key}': {self.options[key]}" for key in keys)
        return (
            f'--config cannot repeat this run: its folder has no source of {", ".join(keys)}. In Python: '
            f"test(**{{**read_config('{self.folder / 'config.yaml'}'), {values}}})"
        )

    def _table(self, **values):
        """Add the run's row to the table, or complete it."""
        path = self.model.parent / TABLE
        self.row |= values
        with lock(path):
            rows = read_table(path) if path.exists() else []
            columns = list(dict.fromkeys([*COLUMNS, *(rows[0] if rows else ())]))  # users may add columns
            others = [_marked_if_dead(row) for row in rows]
            places = [k for k, row in enumerate(others) if row['run'] == self.row['run']]
            if places:
                others[places[0]] |= self.row
            else:
                others.append(self.row)
            with atomic_write(path) as temporary, open(temporary, 'w', newline='', encoding='utf-8') as file:
                writer = csv.DictWriter(file, columns, extrasaction='ignore')
                writer.writeheader()
                writer.writerows([{name: cell(value) for name, value in row.items()} for row in others])

    def epoch(self, trainer: Trainer) -> None:
        """Write a trainer's history and, with 'report', add histograms of weights and layer outputs."""
        history.write_history(trainer.history, self.folder / 'history.csv')
        if len(trainer.history) == self.epochs:
            return
        self.epochs = len(trainer.history)
        self._track('epoch', trainer.history[-1])
        if not self.options['report']:
            return
        if self.activations is None:
            rows = np.random.default_rng(0).permutation(len(trainer.data.training))[:IMAGES]
            self.activations = Activations(trainer.functions.network, trainer.data.training.images(rows))
        last = trainer.history[-1]
        self.histograms.append(
            {
                'stage': last['stage'],
                'epoch': last['epoch'],
                'weights': weight_histograms(trainer.last['arrays']),
                'activations': self.activations(),
            }
        )

    def _track(self, method, *arguments):
        """Call a method of all trackers. A tracker that fails is removed, so that it does not end the run."""
        for tracker in list(self.trackers):
            try:
                getattr(tracker, method)(*arguments)
            except Exception as error:  # each library raises errors of its own
                self.trackers.remove(tracker)
                with open(self.log, 'a', encoding='utf-8') as file:
                    file.write(f'tracker {type(tracker).__name__} failed and is no longer used: {error}\n')

    @contextmanager
    def running(self) -> Iterator[Record]:
        """Enclose the run in a block; if an exception ends it, record this in result.json and in the table."""
        try:
            yield self
            self.link_model()  # if it was not linked before
        except BaseException as error:
            ends = {'KeyboardInterrupt': 'interrupted', 'Terminated': 'interrupted', 'TrialPruned': 'pruned'}
            kind = type(error).__name__
            try:
                self.end(ends.get(kind) or f'failed: {kind}: {error}', {})
            except OSError as failure:
                error.add_note(f'The record could not be completed: {failure}')
            raise

    def end(self, status: str, result: dict[str, Any]) -> None:
        """Write result.json and complete the row of the table.

        Parameters
        ----------
        status : str
            'finished', 'interrupted', 'pruned' or 'failed: ...'.
        result : dict
            Results that can be written as JSON.
        """
        if self.ended:
            return
        self.ended, seconds = True, time.perf_counter() - self.start
        self.link_model()
        if self.histograms:
            write_json(self.folder / 'histograms.json', self.histograms)
        write_json(self.folder / 'result.json', {'status': status, 'ended': _now(), 'seconds': seconds, **result})
        self._track('end', status, result)
        self._table(
            status=status.splitlines()[0][:200],
            ended=_now(),
            seconds=round(seconds, 1),
            **{
                ours: result.get(theirs)
                for ours, theirs in (
                    ('best_epoch', 'epoch'),
                    *(
                        (key, key)
                        for key in ('validation_error', 'validation_cross_entropy', 'test_error', 'special_test_error')
                    ),
                )
            },
        )

    def link_model(self) -> None:
        """Link or copy the current model into the folder."""
        mine = self.folder / f'model{self.model.suffix}'
        if not self.model.exists() or mine.exists():
            return
        try:
            os.link(os.path.realpath(self.model), mine)  # writing the model again makes a new file; the link keeps this
        except OSError:
            shutil.copyfile(self.model, mine)
