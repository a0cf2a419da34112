"""Run many experiments with one call: all trials of a sweep."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from utils.experiment import resuming
from utils.experiment.arguments import FUNCTIONS, class_name, named
from utils.experiment.console import Console
from utils.experiment.teachers import open_teacher
from utils.record.reading import read_run
from utils.results import tables
from utils.studies import comparison, trials
from utils.studies.grid import make_trials
from utils.studies.workers import in_processes, in_turn, on_ray, worker_command

if TYPE_CHECKING:
    from utils.experiment.context import Context


def specification(context: Context, options: dict[str, Any]) -> trials.Specification:
    """Make the specification of a trial.

    Raises
    ------
    ValueError, OSError
        An argument, the data set or the teacher cannot be used.
    """
    network = named(options.get('network', context.defaults['network']), context.networks, 'network', 'Class')
    arguments, bundled = context.serialise({**options, 'network': network}), context.bundled(network)
    source = None if options.get('accept_changed_network') else resuming.network_source(network, arguments, bundled)
    with context.load(options.get('dataset') or context.sample_set(), arguments['fold'], arguments['val']) as data:
        teacher = open_teacher(context, {**arguments, 'network': network}, data, lambda line: None)
        taught = teacher.digest if teacher else None
        return trials.Specification(arguments, context.serialise({}), data.content_digest, source, bundled, taught)


def run_trial(context: Context, options: dict[str, Any], **arguments: Any) -> str:
    """Run one trial of a sweep unless it is done; see `utils.studies.trials.run_trial`."""
    return trials.run_trial(
        options, context.test, lambda options: specification(context, options), **{'verbose': 0, **arguments}
    )


def run_point(context: Context, options: dict[str, Any], **arguments: Any) -> str:
    """The former name of `run_trial`."""
    warnings.warn('run_point() is now run_trial()', FutureWarning, stacklevel=3)
    return run_trial(context, options, **arguments)


def run_trial_of_input(context: Context, file: TextIO) -> int:
    """Run a trial whose arguments are read as JSON from a file, and return the exit status of the worker."""
    try:
        run_trial(context, json.load(file))
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def sweep(
    context: Context,
    grid: dict[str, Any] | None = None,
    seeds: Sequence[int] = (0,),
    *,
    savename: str = 'trained_models/sweep.h5',
    workers: int = 1,
    address: Any = None,
    verbose: int = 1,
    **options: Any,
) -> list[Path]:
    """Run an experiment for every combination of a grid and every seed. Repeating the call continues the sweep.

    Parameters
    ----------
    grid : dict of str to list, optional
        Values of arguments of `test`.
    seeds : sequence of int
        Seeds of the runs.
    savename : path
        Name of the models, to which the values of each trial are added: ``trained_models/sweep_seed=0.h5``.
    workers : int or str
        Number of processes on this machine, or 'ray' for a Ray cluster, or 'ray:2' for a new local cluster with two
        workers.
    address : str, optional
        Address of a Ray cluster whose machines share this folder.
    verbose : {1, 0, 2}
        Level of output, as in `test`. Runs print their progress only with a single worker.
    **options
        Further arguments of `test`, common to all runs.

    Returns
    -------
    list of Path
        Model files of the finished trials, sorted by the validation figure by which the best epoch is chosen (`rule`),
        averaged over the seeds.

    Raises
    ------
    ValueError
        Before any run: an argument is wrong. After all runs: some trials failed.
    """
    info = Console(verbose).info
    every = _trials(context, grid or {}, seeds, savename, options, info)
    folders, failures = run_trials(context, every, info, workers, address, verbose)
    runs = [read_run(folder) for folder in folders if folder]
    if len(runs) + len(failures) < len(every):
        info(f'{len(every) - len(runs) - len(failures)} trials are being run by other processes')
    groups, rule = comparison.by_mean(comparison.grouped(runs))
    if groups:
        info('\n' + tables.as_text(*comparison.summary(groups)))
        info(f'\nchosen on the validation images, smallest {rule.label}: {groups[0].name}')
    if failures:
        raise ValueError(
            f"{len(failures)} of {len(every)} trials failed, first '{next(iter(failures))}': "
            f'{next(iter(failures.values()))}'
        )
    ordered = [run for group in groups for run in group.runs] or runs
    return [Path(run['run']['model']) for run in ordered]


def run_trials(
    context: Context,
    every: Sequence[dict[str, Any]],
    info: Callable[..., Any],
    workers: int | str = 1,
    address: Any = None,
    verbose: int = 1,
) -> tuple[list[Path | None], dict[str, str]]:
    """Run trials, given by their arguments of `test`, unless they are done.

    Returns
    -------
    folders : list of Path or None
        Run folder of each trial; None if it has not finished.
    failures : dict of str to str
        Error of each failed trial, by model file.
    """
    wanted = [specification(context, trial) for trial in every]
    kind, count = _workers(workers)
    info(f'{len(every)} trials')
    if kind == 'ray':
        failures = on_ray(_portable(context, every), 'launch:run_trial', address, count, info)
    elif count > 1:
        failures = in_processes(_portable(context, every), worker_command('launch', 'run_trial_of_input'), count, info)
    else:
        failures = in_turn(every, lambda trial: run_trial(context, trial, verbose=verbose), info)
    return [trials.finished_run(trial['savename'], one) for trial, one in zip(every, wanted)], failures


def _trials(context, grid, seeds, savename, options, info):
    """Return the arguments of every trial."""
    if options.get('dataset') is None:
        options = {**options, 'dataset': str(context.sample_set(info=info))}
    return [{**options, **trial} for trial in make_trials(grid, list(seeds), Path(savename).with_suffix(''))]


def _workers(workers):
    """Parse `workers`: the kind, 'process' or 'ray', and the number; None lets Ray choose it."""
    kind, _, count = str(workers).partition(':')
    if kind == 'ray' and (not count or count.isdigit()):
        return kind, int(count) if count else None
    if not count and kind.isdigit() and int(kind) > 0:
        return 'process', int(kind)
    raise ValueError(f"workers must be a number of processes, 'ray' or 'ray:N', got {workers!r}")


def _portable(context, every):
    """Convert the arguments of trials to text and numbers, which can be sent to other processes."""
    out = []
    for trial in every:
        trial = {**trial, 'dataset': str(trial['dataset'])}
        for key, known in (('network', context.networks), *FUNCTIONS.items()):
            if callable(trial.get(key)):
                if trial[key] not in known.values():
                    raise ValueError(f'with several workers, your own {key} must be given as text, script.py:name')
                trial[key] = class_name(trial[key])
        if trial.get('teacher') is not None:
            names = trial['teacher']
            trial['teacher'] = [str(one) for one in ([names] if isinstance(names, (str, Path)) else names)]
        if trial.get('pretrain_args'):
            trial['pretrain_args'] = context.serialise(trial)['pretrain_args']  # a path as text
        if 'activation' in trial:
            trial['activation'] = getattr(trial['activation'], 'name', trial['activation'])
        out.append(trial)
    return out
