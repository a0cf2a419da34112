"""The record of a run: a numbered folder beside the model, and one table of all runs.

==================  ===========================================================================
`Record`            a run while it goes on: makes its folder, writes into it, ends it
`read_run`          a run folder, read back
`load_yaml`         a YAML document without the traps of YAML 1.1
`environment`       versions, device, git revision
`class_source`      the source of a network's class, as a file that can be imported
`numbered_folder`   the next free ``run-001``, ``run-002``, ...
==================  ===========================================================================

A run of the model ``trained_models/x.h5`` has a folder ``trained_models/x/run-001/`` with

=================  ============================================================================
config.yaml        every argument; ``python launch.py --config`` repeats the run
run.json           versions, device, git revision, data fingerprint, who and when
network.py         source of the network's class
log.txt            what was printed
history.csv        a row per epoch, written as they end
histograms.json    of the weights and the outputs of layers after each epoch
result.json        status, errors, evaluation; there from the start with status 'running'
model.h5           the model (a hard link where the file system knows them)
logits.npz         linear outputs on the test and validation images, for ensembles
predictions.csv    a row per test image; confusion.csv counts them
report.html        figures and tables in one file; the figures are also in figures/
=================  ============================================================================

Nothing in it is overwritten by another run. ``trained_models/experiments.csv`` has a row for every run, written
when it starts and completed when it ends.
"""
import ast
import csv
import errno
import fcntl
import importlib.metadata
import inspect
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import yaml

from utils import __version__, backend, reporting, rna
from utils.files.atomic import atomic_write
from utils.results.inspection import Activations, weight_histograms
from utils.results.predictions import RunError
from utils.trackers import TRACKERS
from utils.training import optimisers, schedules

FORMAT, VERSION = 'symfer run', 1
TABLE = 'experiments.csv'
# Arguments that may be functions of the user's own; those of symfer are found by their names.
KNOWN = {'activation': [*rna.ACTIVATIONS], 'optimiser': [*optimisers.OPTIMISERS], 'schedule': [*schedules.SCHEDULES]}
IMAGES = 100        # of which the outputs of layers are looked at after each epoch
COLUMNS = ('run', 'status', 'started', 'ended', 'seconds', 'name', 'network', 'data', 'seed', 'learning_rate',
           'batch_size', 'n_hidden', 'n_epochs', 'kept_epoch', 'validation_error', 'validation_cross_entropy',
           'test_error', 'special_test_error', 'host', 'pid', 'options')


# --------------------------------------------------------------------------------- small helpers

@contextmanager
def locked(path):
    """Hold the lock of a file, across processes (and machines, where the file system can)."""
    path = Path(path)
    with open(path.with_name(f'.{path.name}.lock'), 'w') as file:
        take_lock(file)
        yield


def take_lock(file, wait=True):
    """Lock an open file until it is closed; False where another has it and is not waited for.

    Where the file system has no locks the answer is always True.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return True


def write_json(path, value):
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')


def empty_folder(path, error=ValueError):
    """The folder of this path, made if need be; one that holds anything is refused, for nothing is overwritten."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise error(f"the folder '{path}' is not empty: nothing is overwritten")
    return path


def numbered_folder(parent, word='run', make=True):
    """The next free folder ``parent/word-001``, ``word-002``, ...; no two callers that make it get the same."""
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    last = max((int(p.name.rpartition('-')[2]) for p in parent.glob(f'{word}-[0-9]*')
                if p.name.rpartition('-')[2].isdigit()), default=0)
    while True:
        last += 1
        folder = parent / f'{word}-{last:03d}'
        try:
            if make:
                folder.mkdir()
            return folder
        except FileExistsError:
            continue


def _now():
    return datetime.now(UTC).astimezone().isoformat(timespec='seconds')


def _git(*arguments):
    try:
        done = subprocess.run(['git', '-C', str(Path(__file__).parent), *arguments], capture_output=True, text=True,
                              timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment():
    """What a run depends on besides its arguments: a dict of versions, device and code revision."""
    revision = _git('rev-parse', 'HEAD')
    if revision and _git('status', '--porcelain', '--untracked-files=no'):
        revision += ' with changes'
    driver = Path('/proc/driver/nvidia/version')
    versions = {name: importlib.metadata.version(name) for name in ('pytensor', 'jax', 'jaxlib', 'numpy')}
    return {'symfer': __version__, 'python': platform.python_version(), **versions, 'device': backend.device_name(),
            'driver': driver.read_text().splitlines()[0] if driver.is_file() else None,
            'system': platform.platform(), 'cpus': os.cpu_count(), 'host': socket.gethostname(), 'pid': os.getpid(),
            'command': sys.argv, 'folder': os.getcwd(), 'git': revision}


def class_source(cls):
    """The imports, definitions and constants of the file that defines a class, without what the file does.

    A script that trains a network when it is run can so be imported for the network alone.

    Returns
    -------
    str or None
        None where there is no source from which the class can be imported: it was typed into an interpreter, made by
        `exec`, or defined within a function.
    """
    try:
        source = Path(inspect.getsourcefile(cls)).read_text(encoding='utf-8')
        nodes = ast.parse(source).body
    except (TypeError, OSError, SyntaxError, UnicodeDecodeError):
        return None
    if not any(isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == cls.__qualname__ for node in nodes):
        return None
    lines, parts = source.splitlines(), []
    for node in nodes:
        if isinstance(node, ast.Assign):
            try:
                ast.literal_eval(node.value)
            except ValueError:
                continue
        elif not isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
            continue
        first = min([node.lineno, *(d.lineno for d in getattr(node, 'decorator_list', ()))])
        parts.append('\n'.join(lines[first - 1:node.end_lineno]))
    return '\n'.join(parts) + '\n'


# ------------------------------------------------------------------------------ a run that goes on

class Record:
    """A run's folder, made when it is known that the run can start.

    Parameters
    ----------
    model : Path
        The model file.
    config : dict
        What is saved with the model: 'options', 'fingerprint', ...
    network : class
    name : str
        Under which the result stands in tables.
    data : loaders.Dataset
    resumed : path, optional
        The model that the run goes on with.
    done : int
        Epochs that it has had.

    Attributes
    ----------
    folder, log : Path
    caveat : str or None
        Why ``--config`` cannot repeat the run, and what can.
    histograms : list of dict
        Of weights and outputs of layers, one per epoch, see `utils.results.plots.histograms`.
    """

    def __init__(self, model, config, network, name, data, resumed=None, done=0):
        self.model, self.options, self.start = Path(model), config['options'], time.perf_counter()
        self.folder = numbered_folder(self.model.with_suffix(''))
        self.log, self.ended = self.folder / 'log.txt', False
        self.epochs, self.histograms, self.activations = done, [], None
        (self.folder / 'figures').mkdir()
        source = class_source(network)
        if source:
            (self.folder / 'network.py').write_text(source, encoding='utf-8')
        options = dict(self.options)
        if not config['bundled_network'] and source:
            options['network'] = f"network.py:{options['network']}"
        self.caveat = self._caveat([key for key, kept in (
            ('network', config['bundled_network'] or source), *((key, options.get(key, known[0]) in known)
                                                                for key, known in KNOWN.items())) if not kept])
        with open(self.folder / 'config.yaml', 'w', encoding='utf-8') as file:
            file.write('# Arguments of launch.test. To repeat the run: python launch.py --config '
                       f"{self.folder / 'config.yaml'}\n")
            yaml.dump(options, file, _Dumper, sort_keys=False, allow_unicode=True)
        self.started, about = _now(), environment()
        write_json(self.folder / 'run.json', {
            'format': FORMAT, 'version': VERSION, 'started': self.started, 'name': name, 'model': str(self.model),
            'seed': self.options['seed'], 'resumed': resumed and str(resumed), 'data': str(data.path),
            'data_name': data.name, 'fingerprint': config['fingerprint'], 'classes': list(data.classes),
            'content_digest': config.get('content_digest'),
            'is_fer2013': bool(data.is_fer2013), 'environment': about})
        write_json(self.folder / 'result.json', {'status': 'running'})
        self.row = {'run': str(self.folder), 'status': 'running', 'started': self.started, 'name': name,
                    'data': data.name, 'host': about['host'], 'pid': about['pid'],
                    **{key: self.options[key] for key in ('network', 'seed', 'learning_rate', 'batch_size',
                                                          'n_epochs')},
                    'n_hidden': ' '.join(map(str, self.options['n_hidden'] or ())), 'options': json.dumps(self.options)}
        self._table()
        self.trackers = [TRACKERS[key](self.folder, self.options, name) for key in self.options.get('track') or ()]

    def _caveat(self, keys):
        """The sentence on arguments whose source the folder has not got."""
        if not keys:
            return None
        values = ', '.join(f"'{key}': {self.options[key]}" for key in keys)
        return (f"--config cannot repeat this run: its folder has no source of {', '.join(keys)}. In Python: "
                f"test(**{{**read_config('{self.folder / 'config.yaml'}'), {values}}})")

    def _table(self, **values):
        """Add the run's row to the table, or complete it."""
        path = self.model.parent / TABLE
        self.row |= values
        with locked(path):
            rows = read_table(path) if path.exists() else []
            columns = list(dict.fromkeys([*COLUMNS, *(rows[0] if rows else ())]))      # a person may have added some
            others = [_marked_if_dead(row) for row in rows]
            places = [k for k, row in enumerate(others) if row['run'] == self.row['run']]
            if places:
                others[places[0]] |= self.row
            else:
                others.append(self.row)
            with atomic_write(path) as temporary, open(temporary, 'w', newline='', encoding='utf-8') as file:
                writer = csv.DictWriter(file, columns, extrasaction='ignore')
                writer.writeheader()
                writer.writerows(others)

    def epoch(self, trainer):
        """Write down the epochs that a trainer has had so far; with 'report', weights and outputs of layers too."""
        reporting.write_history(trainer.history, self.folder / 'history.csv')
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
        self.histograms.append({'stage': last['stage'], 'epoch': last['epoch'],
                                'weights': weight_histograms(trainer.last['arrays']),
                                'activations': self.activations()})

    def _track(self, method, *arguments):
        """Tell the trackers; one that fails is left, for the run is worth more."""
        for tracker in list(self.trackers):
            try:
                getattr(tracker, method)(*arguments)
            except Exception as error:      # each tracker's library has errors of its own
                self.trackers.remove(tracker)
                with open(self.log, 'a', encoding='utf-8') as file:
                    file.write(f'tracker {type(tracker).__name__} is left: {error}\n')

    @contextmanager
    def kept(self):
        """A block in which the run goes on; what ends it goes into result.json and the table."""
        try:
            yield self
            self.link_model()       # where it was written last of all
        except BaseException as error:
            ends = {'KeyboardInterrupt': 'interrupted', 'Terminated': 'interrupted', 'TrialPruned': 'pruned'}
            kind = type(error).__name__
            try:
                self.end(ends.get(kind) or f'failed: {kind}: {error}', {})
            except OSError as failure:
                error.add_note(f'The record could not be completed: {failure}')
            raise

    def end(self, status, result):
        """Write result.json and complete the row of the table.

        Parameters
        ----------
        status : str
            'finished', 'interrupted', 'pruned' or 'failed: ...'.
        result : dict
            Made of what JSON knows.
        """
        if self.ended:
            return
        self.ended, seconds = True, time.perf_counter() - self.start
        self.link_model()
        if self.histograms:
            write_json(self.folder / 'histograms.json', self.histograms)
        write_json(self.folder / 'result.json', {'status': status, 'ended': _now(), 'seconds': seconds, **result})
        self._track('end', status, result)
        self._table(status=status.splitlines()[0][:200], ended=_now(), seconds=round(seconds, 1), **{
            ours: result.get(theirs) for ours, theirs in (
                ('kept_epoch', 'epoch'), *((key, key) for key in (
                    'validation_error', 'validation_cross_entropy', 'test_error', 'special_test_error')))})

    def link_model(self):
        """Put the model, as it is now, into the folder."""
        mine = self.folder / f'model{self.model.suffix}'
        if not self.model.exists() or mine.exists():
            return
        try:
            os.link(self.model, mine)       # a later writing of the model makes a new file, so this one stays
        except OSError:
            shutil.copyfile(self.model, mine)


def _marked_if_dead(row):
    """A row of the table; 'running' becomes 'died' where its process is of this machine and gone."""
    if row['status'] != 'running' or row['host'] != socket.gethostname() or not row['pid'].isdigit():
        return row
    try:
        os.kill(int(row['pid']), 0)
    except ProcessLookupError:
        return {**row, 'status': 'died'}
    except PermissionError:
        pass
    return row


def read_table(path):
    """The rows of experiments.csv, a list of dict of text.

    Raises
    ------
    RunError
        It has not the columns of such a table.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file, restkey='more', restval='')
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise RunError(f"'{path}' is not a table of runs, it has no column {', '.join(missing)}: move it away")
        return list(reader)


# -------------------------------------------------------------------------------- reading it back

def read_run(folder, need=()):
    """Read a run folder.

    Parameters
    ----------
    folder : path
        A run folder, a file in one, or the folder of a model, of which the last finished run is taken.
    need : sequence of str
        Further files that must be there, for example 'logits.npz'.

    Returns
    -------
    dict
        'folder', 'config' (the arguments), 'run' (run.json), 'result' (result.json), 'history' (list of dict).

    Raises
    ------
    RunError
        No run folder, one of another version, a file missing or damaged, a run that has not finished.
    """
    folder = Path(folder)
    if folder.is_file():
        folder = folder.with_suffix('') if folder.suffix in ('.h5', '.hdf5', '.pkl') and folder.stem != 'model' \
            else folder.parent
    if not folder.is_dir():
        raise RunError(f"there is no run folder '{folder}'")
    if not (folder / 'run.json').exists():
        runs = sorted(folder.glob('run-*'))
        finished = [run for run in runs if status_of(run) == 'finished']
        if not runs:
            raise RunError(f"'{folder}' is not a run folder: it has no run.json")
        folder = (finished or runs)[-1]
    missing = [name for name in ('run.json', 'config.yaml', 'result.json', 'history.csv', *need)
               if not (folder / name).is_file()]
    if 'run.json' not in missing:
        run = _read(folder / 'run.json')
        if not isinstance(run, dict) or run.get('format') != FORMAT:
            raise RunError(f"'{folder}' is not a run folder: its run.json is not a {FORMAT}")
        if run.get('version') != VERSION:
            raise RunError(f"the run '{folder}' is of version {run.get('version')}, this symfer reads version "
                           f'{VERSION}')
    status = status_of(folder)
    if 'result.json' not in missing and status != 'finished':
        raise RunError(f"the run '{folder}' has not finished: {status}")
    if missing:
        raise RunError(f"the run '{folder}' is incomplete: {', '.join(missing)} is missing")
    with open(folder / 'history.csv', newline='', encoding='utf-8') as file:
        history = [{key: value if key == 'stage' else _number(value) for key, value in row.items()}
                   for row in csv.DictReader(file)]
    return {'folder': folder, 'config': _read(folder / 'config.yaml'), 'run': run,
            'result': _read(folder / 'result.json'), 'history': history}


def same_data(a, b):
    """Whether two runs, from `read_run`, had the same data set; of early versions source and name are compared."""
    a, b = a['run'], b['run']
    known = a.get('content_digest') and b.get('content_digest')
    return all(a.get(key) == b.get(key) for key in ('fingerprint', 'data_name', *(['content_digest'] if known else [])))


def status_of(folder):
    """'finished', 'running', ... of a run folder; 'unknown' where result.json cannot be read."""
    try:
        return _read(Path(folder) / 'result.json').get('status', 'unknown')
    except (RunError, AttributeError):
        return 'unknown'


def _number(text):
    if text == '':
        return None
    value = float(text)
    return int(value) if value.is_integer() and '.' not in text and 'e' not in text else value


class _Loader(yaml.SafeLoader):
    """YAML in which ``1e-3`` is a number, as in YAML 1.2, and no key stands twice in one table."""

    def construct_mapping(self, node, deep=False):
        lines = {}
        for key, _ in node.value:
            name, line = key.value, key.start_mark.line + 1
            if isinstance(name, str) and name in lines:
                raise ValueError(f'{name!r} stands there twice, in lines {lines[name]} and {line}: keep one of them')
            if isinstance(name, str):
                lines[name] = line
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around the texts that `_Loader` would take for numbers."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver('tag:yaml.org,2002:float', re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$'),
                                 list('-+.0123456789'))


def load_yaml(text):
    """What a YAML document holds.

    Raises
    ------
    ValueError, yaml.YAMLError
        A key that stands twice; no YAML.
    """
    return yaml.load(text, _Loader)


def _read(path):
    try:
        text = path.read_text(encoding='utf-8')
        return json.loads(text) if path.suffix == '.json' else load_yaml(text)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RunError(f"'{path}' cannot be read: {' '.join(str(error).split())}") from None


def read_config(path):
    """Arguments of `launch.test` from a config.yaml, of a run (whose folder will do) or written by hand.

    A network ``file.py:Class`` is looked for beside the file.

    Raises
    ------
    RunError
        The file is missing or is no table of arguments.
    """
    path = Path(path)
    path = path / 'config.yaml' if path.is_dir() else path
    options = _read(path)
    if not isinstance(options, dict):
        raise RunError(f"'{path}' is no configuration: expected lines 'argument: value'")
    file, colon, cls = str(options.get('network', '')).rpartition(':')
    if colon and not Path(file).is_absolute() and (path.parent / file).is_file():
        options['network'] = f'{path.parent / file}:{cls}'
    return options
