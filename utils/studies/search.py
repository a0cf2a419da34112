"""Hyper-parameter search with Optuna."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from utils.experiment.console import Console
from utils.files import yaml_
from utils.record import reading
from utils.record.trackers import needed
from utils.studies.grid import parse_grid, trial_name
from utils.studies.sweeps import run_trial
from utils.training.rules import RULES

if TYPE_CHECKING:
    from utils.experiment.context import Context


def search(
    context: Context,
    space: dict[str, Any],
    n_trials: int = 20,
    *,
    savename: str = 'trained_models/search.h5',
    seed: int = 0,
    verbose: int = 1,
    **options: Any,
) -> Any:
    """Search with Optuna for the arguments with the smallest validation cross-entropy or error.

    The minimised figure is that by which the best epoch is chosen (`rule`). Repeating the call continues the search.

    Parameters
    ----------
    space : dict of str to text or list
        Range of each argument, such as ``'0.2..0.7'`` or ``'log:0.01..0.3'``, or a list of choices.
    n_trials : int
        Total number of trials, including those of earlier calls.
    savename : path
        Name of the models, to which the values of each trial are added. The study is stored beside them.
    seed : int
        Seed of the search and of the runs.
    verbose : {1, 0, 2}
        Level of output, as in `test`.
    **options
        Further arguments of `test`.

    Returns
    -------
    optuna.Study
        Study with `best_params` and `best_value`, the smallest validation figure.

    Raises
    ------
    ValueError
        An argument is wrong.
    """
    info = Console(verbose).info
    if not (isinstance(n_trials, int) and n_trials > 0):
        raise ValueError(f'n_trials must be a whole number >= 1, got {n_trials!r}')
    if 'rule' in space:
        raise ValueError('a search minimises the figure of one rule: give rule= outside the ranges')
    space = {
        name: ('choice', list(value))
        if not isinstance(value, (str, tuple))
        else value
        if isinstance(value, tuple)
        else parse_space([f'{name}={value}'])[name]
        for name, value in space.items()
    }
    ends = [{name: value} for name, what in space.items() for value in (what[1] if what[0] == 'choice' else what[1:3])]
    if not all(context.serialise({**options, **end})['val'] for end in ends or [{}]):
        raise ValueError('a search chooses on the validation images: val must be True')
    rule = RULES[options.get('rule', 'entropy')]
    if options.get('dataset') is None:
        options['dataset'] = str(context.sample_set(info=info))

    def work(own, on_epoch):
        return run_trial(context, {**options, 'seed': seed, **own}, verbose=verbose, on_epoch=on_epoch)

    study = run_study(space, n_trials, Path(savename).with_suffix(''), work, info, seed, rule=rule.name)
    finished = [trial for trial in study.trials if trial.state.name == 'COMPLETE']
    if finished:
        info(
            f'\nsmallest {rule.label} {rule.form.format(study.best_value)} (trial {study.best_trial.number}): '
            + ', '.join(f'{key}={value}' for key, value in study.best_params.items())
        )
    return study


def parse_space(texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Parse ranges and choices: ``learning_rate=log:0.01..0.3``, ``p_drop=0.2..0.7``, ``n_hidden=[8],[8,8]``.

    Returns
    -------
    dict of str to tuple
        For each name, ('float' or 'int', low, high, log) or ('choice', list of values).

    Raises
    ------
    ValueError
        A text has another form, or a range is empty.
    """
    space = {}
    for text in texts:
        name, _, value = text.partition('=')
        ends = re.fullmatch(r'(log:)?([^.,]*(?:\.\d+)?(?:e[+-]?\d+)?)\.\.(.+)', value)
        if not ends:
            space[name] = 'choice', parse_grid([text])[name]
            continue
        try:
            low, high = (yaml_.load_yaml(end) for end in ends.groups()[1:])
            log, kind = bool(ends[1]), 'int' if isinstance(low, int) and isinstance(high, int) else 'float'
            if not all(isinstance(end, (int, float)) for end in (low, high)) or not low < high or (log and low <= 0):
                raise ValueError
        except (ValueError, yaml.YAMLError):
            raise ValueError(f"expected argument=low..high with low < high (log: and low > 0), got '{text}'") from None
        space[name] = kind, low, high, log
    return space


def _draw(trial, name, what):
    if what[0] == 'choice':
        # Optuna stores choices only of simple types, which excludes lists.
        texts = [json.dumps(value) for value in what[1]]
        return json.loads(trial.suggest_categorical(name, texts))
    kind, low, high, log = what
    return (trial.suggest_int if kind == 'int' else trial.suggest_float)(name, low, high, log=log)


def run_study(
    space: dict[str, Sequence[Any]],
    n_trials: int,
    prefix: Path,
    work: Callable[..., Any],
    info: Callable[..., Any],
    seed: int = 0,
    pruner: Any = None,
    rule: str = 'entropy',
) -> Any:
    """Search with Optuna's TPE [1]_ for the smallest figure of a rule, pruning unpromising runs.

    The study is stored in ``<prefix>.study.log``. An interrupted search continues with its unfinished trial.

    Parameters
    ----------
    space : dict
        Ranges and choices, as returned by `parse_space`.
    n_trials : int
        Total number of trials, including those of earlier calls.
    prefix : path
        Prefix of the model files, ``<prefix>_<values>.h5``.
    work : callable
        Function ``work(options, on_epoch=...)`` that runs a trial.
    info : callable
        Called with each text to print.
    seed : int
        Seed of the search.
    pruner : optuna.pruners.BasePruner, optional
        Pruner. The default ends runs that are worse than the median of the earlier runs, from the third epoch on.
    rule : {'entropy', 'error'}
        Rule whose validation figure is minimised.

    Returns
    -------
    optuna.Study
        Study with all trials.

    Raises
    ------
    ValueError
        The stored study has another rule.

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
        study_name=prefix.name,
        storage=JournalStorage(JournalFileBackend(f'{prefix}.study.log')),
        sampler=optuna.samplers.TPESampler(seed=seed),
        load_if_exists=True,
        direction='minimize',
        pruner=pruner or optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    )
    key, before = RULES[rule].key, study.user_attrs.get('rule', 'entropy') if study.trials else rule
    if before != rule:
        raise ValueError(
            f"the search '{prefix}.study.log' minimises the {RULES[before].label}, not the "
            f'{RULES[rule].label}: keep rule={before!r}, or choose another savename'
        )
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
    ended = sum(
        trial.state in (states.COMPLETE, states.PRUNED) or 'diverged' in trial.user_attrs
        for trial in study.get_trials(deepcopy=False)
    )

    def objective(trial):
        own = {name: _draw(trial, name, what) for name, what in space.items()}
        model = f'{prefix}_{trial_name(own)}.h5'
        info(f'\ntrial {trial.number}: {own}')

        def on_epoch(row):
            if row['stage'] == 'train' and row[key] is not None:
                trial.report(row[key], row['epoch'])
                if trial.should_prune():
                    raise optuna.TrialPruned(f'unpromising after epoch {row["epoch"]}')

        try:
            outcome = work({**own, 'savename': model}, on_epoch=on_epoch)
        except FloatingPointError:
            trial.set_user_attr('diverged', True)
            raise
        if outcome == 'pruned already':
            raise optuna.TrialPruned('an identical trial was pruned before')
        return reading.read_run(Path(model).with_suffix(''))['result'][key]

    if n_trials > ended:
        study.optimize(objective, n_trials=n_trials - ended, catch=(FloatingPointError,))
    return study
