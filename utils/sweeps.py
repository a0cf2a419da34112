"""Many runs: grids and seeds, several workers, search with Optuna, the learning-rate range test.

==================  ===========================================================================
`parse_grid`        ``['learning_rate=0.05,0.1', 'n_hidden=[8],[8,8]']`` -> lists of values
`points`            every combination of a grid and seeds, with a name each
`run_point`         one combination, once: done already, gone on with, or run
`in_turn`, `in_processes`, `on_ray`
                    ways to work through all points
`parse_space`, `search`
                    search with Optuna
`rate_range`        the learning-rate range test
==================  ===========================================================================

A point is a plain run: a model file of its own, with its run folder. What is done is read from these, so a sweep
that was interrupted is given the same command again. Nothing is chosen on the test images.
"""
import importlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from utils import record
from utils.arguments import INCIDENTAL, NETWORK_OPTIONS
from utils.files import atomic, models
from utils.resuming import folder_source, saved_source
from utils.rules import RULES
from utils.trackers import needed

RETRIES = 3         # of a point whose worker died
_THREAD = threading.local()


# ------------------------------------------------------------------------------------ the points

def parse_grid(texts):
    """Lists of values from texts ``name=value,value``; commas inside brackets belong to the value.

    Values are read as YAML: numbers, true and false, lists, else texts.
    """
    grid = {}
    for text in texts:
        name, equals, values = text.partition('=')
        parts = re.findall(r'(?:\[[^\]]*\]|\{[^}]*\}|[^,\[\{])+', values)
        if not equals or not name or not parts or ','.join(parts) != values:
            raise ValueError(f"expected argument=value,value,..., got '{text}'")
        if name in grid:
            raise ValueError(f"'{name}' is given twice")
        try:
            grid[name] = [record.load_yaml(part) for part in parts]
        except (ValueError, yaml.YAMLError):
            raise ValueError(f"the values of '{text}' cannot be read") from None
    return grid


def point_name(options):
    """A name for file and table: ``learning_rate=0.05_n_hidden=8-8_seed=1``."""
    def short(value):
        if isinstance(value, (list, tuple)):
            return '-'.join(map(short, value))
        if isinstance(value, dict):
            return '-'.join(f'{key}{short(one)}' for key, one in value.items())
        return f'{value:g}' if isinstance(value, float) else getattr(value, '__name__', str(value))
    text = '_'.join(f'{key}={short(value)}' for key, value in options.items())
    return re.sub(r'[^\w=.+-]', '-', text)


def points(grid, seeds, prefix):
    """Every combination of a grid with every seed.

    Parameters
    ----------
    grid : dict of str to list
    seeds : sequence of int
    prefix : path
        Model files are ``<prefix>_<name of the point>.h5``.

    Returns
    -------
    list of dict
        What each point adds to the common arguments: its values, 'seed' and 'savename'.
    """
    for name, values in grid.items():
        if name in ('seed', 'savename', 'resume'):
            raise ValueError(f'a sweep cannot be over {name}' + (': use seeds' if name == 'seed' else ''))
        if not isinstance(values, (list, tuple)) or not values:
            raise ValueError(f'the grid must have a list of values for {name}, got {values!r}')
    out = []
    for values in itertools.product(*grid.values()):
        for seed in seeds:
            own = {**dict(zip(grid, values)), 'seed': seed}
            out.append({**own, 'savename': f'{prefix}_{point_name(own)}.h5'})
    names = [point['savename'] for point in out]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f'two points of the sweep are the same: {min(twice)}')
    return out


# --------------------------------------------------------------------------------- one point, once

@contextmanager
def claimed(model):
    """Whether this thread may work on a model: nobody else does. The claim ends with the block, or the process.

    Where the file system has no locks the answer is always yes.
    """
    model = Path(model)
    key = model.resolve()
    if key in _claims():
        yield True
        return
    model.parent.mkdir(parents=True, exist_ok=True)
    with open(claim_file(model), 'a', encoding='utf-8') as file:
        if not record.take_lock(file, wait=False):
            yield False
            return
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}')
        file.flush()
        _claims().add(key)
        try:
            yield True
        finally:
            _claims().discard(key)


def _claims():
    """Models that this thread has claimed."""
    if not hasattr(_THREAD, 'claims'):
        _THREAD.claims = set()
    return _THREAD.claims


def claim_file(model):
    return Path(model).with_name(f'.{Path(model).name}.claim')


@contextmanager
def claim(model):
    """A block in which nobody else works on a model.

    Raises
    ------
    OSError
        Somebody does.
    """
    with claimed(model) as mine:
        if not mine:
            raise BlockingIOError(f"'{model}' is being written by another run ({claim_file(model).read_text()}): "
                                  'choose another savename, or wait for that run')
        atomic.remove_partial(model)
        yield


@dataclass(frozen=True)
class Experiment:
    """What a point is to be, in the form in which runs and models save it.

    Attributes
    ----------
    options : dict
        All arguments of `launch.test`; an option of the network that is None, here or in a run, is the class's own.
    defaults : dict
        Those that a run of an earlier version, which did not have them, had.
    content_digest : str
        Of the data set.
    network_source : str or None
        See `utils.resuming.network_source`; None where any is taken.
    bundled : bool
        Whether the network is one of symfer's.
    """
    options: dict
    defaults: dict
    content_digest: str
    network_source: str | None
    bundled: bool

    def is_that_of(self, saved, content_digest, source):
        """Whether a run with these arguments, digest of its set and source of its network was the same experiment.

        A set is known by its digest wherever it lies; by its path in runs of early versions, which have no digest.
        """
        skip = {*INCIDENTAL, 'network', *(('dataset',) if content_digest else ())}
        saved = {**self.defaults, **saved}
        return (content_digest in (None, self.content_digest)
                and (None in (source, self.network_source) or source == self.network_source)
                and str(saved['network']).rpartition(':')[2] == self.options['network']
                and all(key in skip or saved[key] == value or (key in NETWORK_OPTIONS and None in (saved[key], value))
                        for key, value in self.options.items()))


def finished_run(model, wanted):
    """The last finished run of a model file that was this `Experiment`, or None."""
    return _last_run(model, wanted, 'finished')


def _last_run(model, wanted, status):
    for folder in sorted(Path(model).with_suffix('').glob('run-*'), reverse=True):
        if record.status_of(folder) == status:
            saved = record.load_yaml((folder / 'config.yaml').read_text(encoding='utf-8'))
            digest = json.loads((folder / 'run.json').read_text(encoding='utf-8')).get('content_digest')
            # A later version may have changed its own networks without changing what they compute.
            source = None if wanted.bundled and not digest else folder_source(folder, saved, wanted.bundled)
            if wanted.is_that_of(saved, digest, source):
                return folder
    return None


def run_point(options, test, experiment, **arguments):
    """Run one point, unless it is done or another process is at it; go on with it where it was interrupted.

    Parameters
    ----------
    options : dict
        Arguments of `test`, 'savename' among them.
    test, experiment : callable
        `launch.test`, and what makes an `Experiment` of arguments.
    **arguments
        Further arguments of `test`, which decide nothing: verbose, on_epoch.

    Returns
    -------
    str
        'done already', 'pruned already', 'busy' or 'finished'.
    """
    model = Path(options['savename'])
    wanted = experiment(options)
    with claimed(model) as mine:
        if not mine:
            return 'busy'
        if finished_run(model, wanted):
            return 'done already'
        if _last_run(model, wanted, 'pruned'):
            return 'pruned already'
        if model.exists():
            try:
                state, saved = models.load(model)
                models.check_values(model, state)
            except models.ModelError:
                saved = None
            if saved and wanted.is_that_of(saved['options'], saved.get('content_digest'), saved_source(model, saved)):
                keys = ('activation', 'optimiser', 'schedule', 'dataset', 'accept_changed_network',
                        *(() if saved['bundled_network'] else ('network',)))
                test(resume=str(model), **{key: options[key] for key in keys if key in options}, **arguments)
                return 'finished'
        test(**options, **arguments)
        return 'finished'


# ------------------------------------------------------------------------------------ all points

def in_turn(all_options, work, say):
    """Work through the points in this process; a point that fails is told of and left."""
    failures = {}
    for k, options in enumerate(all_options, start=1):
        say(f"\npoint {k} of {len(all_options)}: '{options['savename']}'")
        try:
            say(f"point {k} of {len(all_options)}: {work(options)}")
        except (ValueError, OSError, FloatingPointError) as error:
            failures[options['savename']] = str(error)
            say(f'point {k} of {len(all_options)} failed: {error}')
    return failures


def in_processes(all_options, command, workers, say):
    """Work through the points with several processes of this machine; one that dies is started again.

    Parameters
    ----------
    command : list of str
        Reads a point as JSON from its input and runs it.
    workers : int
    """
    waiting = [(options, 0) for options in all_options]
    running, failures, done = {}, {}, 0
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                options, tries = waiting.pop(0)
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.PIPE, text=True)
                process.stdin.write(json.dumps(options))
                process.stdin.close()
                running[process] = options, tries
                say(f"process {process.pid}: '{options['savename']}'")
            time.sleep(.1)
            for process in [p for p in running if p.poll() is not None]:
                options, tries = running.pop(process)
                errors = process.stderr.read().strip()
                process.stderr.close()
                if process.returncode < 0 and tries < RETRIES:
                    say(f'process {process.pid} died (signal {-process.returncode}); its point is given to another')
                    waiting.insert(0, (options, tries + 1))
                    continue
                done += 1
                if process.returncode:
                    failures[options['savename']] = errors.splitlines()[-1] if errors else f'exit {process.returncode}'
                say(f"{done} of {len(all_options)}: '{options['savename']}' "
                    + (f"failed: {failures[options['savename']]}" if process.returncode else 'finished'))
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    return failures


def worker_command(module, name):
    """A command for `in_processes`: a fresh interpreter that calls a function with its input, and exits with what
    it returns.
    """
    return [sys.executable, '-c', f'import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r}); '
                                  f'import {module}; sys.exit({module}.{name}(sys.stdin))']


def on_ray(all_options, function, address, cpus, say):
    """Work through the points as tasks of a Ray cluster; a task whose worker dies is retried.

    Parameters
    ----------
    function : str
        ``module:name`` of what runs a point; the worker imports it.
    address : str or None
        Of a cluster that shares this folder and has symfer installed; None starts one on this machine.
    cpus : int or None
        Workers of a cluster that is started here; by default one for each core.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    ray = needed('ray', 'ray')
    root = str(Path(__file__).parent.parent)
    ray.init(address=address, num_cpus=None if address else cpus, log_to_driver=False, logging_level='error',
             include_dashboard=False if address is None else None,
             runtime_env={'env_vars': {'PYTHONPATH': os.pathsep.join([root, os.environ.get('PYTHONPATH', '')])}})
    try:
        gpu = {'num_gpus': 1} if ray.cluster_resources().get('GPU') else {}
        task = ray.remote(max_retries=RETRIES, **gpu)(_ray_point)
        waiting = {task.remote(function, options, os.getcwd()): options for options in all_options}
        failures, done = {}, 0
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            options = waiting.pop(ready)
            done += 1
            try:
                outcome = ray.get(ready)
            except ray.exceptions.RayError as error:
                cause = getattr(error, 'cause', None) or error
                outcome = failures[options['savename']] = f'failed: {str(cause).strip().splitlines()[-1]}'
            say(f"{done} of {len(all_options)}: '{options['savename']}' {outcome}")
        return failures
    finally:
        ray.shutdown()


def _ray_point(function, options, folder):
    """What a Ray worker does; the folder is the one in which the sweep was started."""
    os.chdir(folder)
    module, _, name = function.partition(':')
    return getattr(importlib.import_module(module), name)(options)


# ------------------------------------------------------------------------------- search with Optuna

def parse_space(texts):
    """Ranges and choices from texts: ``learning_rate=log:0.01..0.3``, ``p_drop=0.2..0.7``, ``n_hidden=[8],[8,8]``.

    Returns
    -------
    dict of str to tuple
        ('float' or 'int', low, high, log) or ('choice', list of values).
    """
    space = {}
    for text in texts:
        name, _, value = text.partition('=')
        ends = re.fullmatch(r'(log:)?([^.,]*(?:\.\d+)?(?:e[+-]?\d+)?)\.\.(.+)', value)
        if not ends:
            space[name] = 'choice', parse_grid([text])[name]
            continue
        try:
            low, high = (record.load_yaml(end) for end in ends.groups()[1:])
            log, kind = bool(ends[1]), 'int' if isinstance(low, int) and isinstance(high, int) else 'float'
            if not all(isinstance(end, (int, float)) for end in (low, high)) or not low < high or (log and low <= 0):
                raise ValueError
        except (ValueError, yaml.YAMLError):
            raise ValueError(f"expected argument=low..high with low < high (log: and low > 0), got '{text}'") from None
        space[name] = kind, low, high, log
    return space


def _draw(trial, name, what):
    if what[0] == 'choice':
        # Optuna stores choices as JSON knows them, lists not among them.
        texts = [json.dumps(value) for value in what[1]]
        return json.loads(trial.suggest_categorical(name, texts))
    kind, low, high, log = what
    return (trial.suggest_int if kind == 'int' else trial.suggest_float)(name, low, high, log=log)


def search(space, n_trials, prefix, work, say, seed=0, pruner=None, rule='entropy'):
    """Search with Optuna's TPE [1]_ for the smallest figure of a rule; hopeless runs are pruned.

    The study is kept in ``<prefix>.study.log``. A search that was interrupted goes on, its broken trial first.

    Parameters
    ----------
    space : dict
        From `parse_space`.
    n_trials : int
        In all, those of earlier calls included.
    prefix : path
        Model files are ``<prefix>_<values>.h5``.
    work : callable
        ``work(options, on_epoch=...)`` runs a point.
    pruner : optuna.pruners.BasePruner, optional
        By default those are ended that are worse than the median of the runs before, from the third epoch on.
    rule : {'entropy', 'error'}

    Returns
    -------
    optuna.Study

    References
    ----------
    .. [1] Bergstra, Bardenet, Bengio and Kégl (2011), Algorithms for Hyper-Parameter Optimization, NIPS.
    """
    optuna = needed('optuna', 'search')
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    prefix = Path(prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=prefix.name, storage=JournalStorage(JournalFileBackend(f'{prefix}.study.log')),
        sampler=optuna.samplers.TPESampler(seed=seed), load_if_exists=True, direction='minimize',
        pruner=pruner or optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2))
    key, before = RULES[rule].key, study.user_attrs.get('rule', 'entropy') if study.trials else rule
    if before != rule:
        raise ValueError(f"the search '{prefix}.study.log' goes by the {RULES[before].label}, not by the "
                         f'{RULES[rule].label}: leave rule={before!r}, or choose another savename')
    study.set_user_attr('rule', rule)
    states, again = optuna.trial.TrialState, list(study.user_attrs.get('again', ()))
    for trial in study.get_trials(deepcopy=False, states=[states.RUNNING, states.FAIL]):
        if trial.number in again or 'diverged' in trial.user_attrs:
            continue
        if trial.state == states.RUNNING:
            study.tell(trial.number, state=states.FAIL)
        study.enqueue_trial(trial.params)
        again.append(trial.number)
    study.set_user_attr('again', again)
    ended = sum(trial.state in (states.COMPLETE, states.PRUNED) or 'diverged' in trial.user_attrs
                for trial in study.get_trials(deepcopy=False))

    def objective(trial):
        own = {name: _draw(trial, name, what) for name, what in space.items()}
        model = f'{prefix}_{point_name(own)}.h5'
        say(f'\ntrial {trial.number}: {own}')

        def on_epoch(row):
            if row['stage'] == 'train' and row[key] is not None:
                trial.report(row[key], row['epoch'])
                if trial.should_prune():
                    raise optuna.TrialPruned(f"hopeless after epoch {row['epoch']}")
        try:
            outcome = work({**own, 'savename': model}, on_epoch=on_epoch)
        except FloatingPointError:
            trial.set_user_attr('diverged', True)
            raise
        if outcome == 'pruned already':
            raise optuna.TrialPruned('the same was pruned before')
        return record.read_run(Path(model).with_suffix(''))['result'][key]

    if n_trials > ended:
        study.optimize(objective, n_trials=n_trials - ended, catch=(FloatingPointError,))
    return study


# ------------------------------------------------------------------------------- learning-rate range

def rate_range(train, batches, set_rate, lowest=1e-4, highest=10., steps=100, smoothing=.9):
    """Raise the learning rate from minibatch to minibatch until the cost explodes [1]_.

    Parameters
    ----------
    train : callable
        ``train(batch) -> cost``, one step of the optimiser.
    batches : iterable
        Minibatches, `steps` of them at least.
    set_rate : callable
    lowest, highest : float
        First and last rate; they grow by a constant factor.
    steps : int
    smoothing : float
        Of the exponential mean of the costs.

    Returns
    -------
    rates, costs, smooth : list of float
        Until the smoothed cost is four times its minimum or not finite.
    suggestion : float or None
        Where the smoothed cost falls fastest, over about an eighth of the steps.

    References
    ----------
    .. [1] Smith (2017), Cyclical Learning Rates for Training Neural Networks, WACV, section 3.3.
    """
    rates, costs, smooth, mean = [], [], [], 0.
    for k, (rate, batch) in enumerate(zip(np.geomspace(lowest, highest, steps), batches), start=1):
        set_rate(rate)
        cost = float(train(batch))
        if not np.isfinite(cost):
            break
        mean = smoothing * mean + (1 - smoothing) * cost
        rates.append(float(rate))
        costs.append(cost)
        smooth.append(mean / (1 - smoothing ** k))      # the mean begins at 0
        if smooth[-1] > 4 * min(smooth):
            break
    suggestion, falling = None, np.array(smooth[:int(np.argmin(smooth)) + 1] if smooth else [])
    reach = max(1, steps // 15)         # a difference of neighbours would find the noise of single minibatches
    if len(falling) > 2 * reach:
        change = falling[2 * reach:] - falling[:-2 * reach]
        suggestion = rates[reach + int(np.argmin(change))] if change.min() < 0 else None
    return rates, costs, smooth, suggestion
