"""Comparison of runs: means over seeds, a paired test, the competition's table.

==================  ===========================================================================
`compare`           compares runs, and writes files if a folder is given
`grouped`           groups runs that differ only in their seed
==================  ===========================================================================
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from utils.annotations import StrPath
from utils.experiment import schema
from utils.files.atomic import atomic_write
from utils.files.folders import new_folder
from utils.files.former import accepts
from utils.files.terminal import write_line
from utils.record.reading import read_run, same_data
from utils.results import competition, metrics, plots
from utils.results.predictions import read_logits
from utils.results.tables import as_csv, as_latex, as_markdown, as_text
from utils.training.rules import RULES, Rule, common_rule, cost_of, rule_of

# Columns of the table, and the keys under which a result has them; errors are in %.
MEASURES = {
    'validation error': ('validation_error',),
    'validation cross-entropy': ('validation_cross_entropy',),
    'test error': ('test_error',),
    'special test error': ('special_test_error',),
    'public': ('evaluation', '*', 'public', 'error'),
    'private': ('evaluation', '*', 'private', 'error'),
    'macro-F1': ('evaluation', '*', 'whole', 'macro_f1'),
}


class ComparisonError(ValueError):
    """Runs cannot be compared."""


@dataclass
class Group:
    """Runs that differ only in their seed.

    Attributes
    ----------
    name : str
        Name of the group.
    runs : list of dict
        Runs, as returned by `utils.record.reading.read_run`.
    """

    name: str
    runs: list

    def values(self, measure: str) -> np.ndarray:
        """Return a measure of each run that has it, array (n,)."""
        found = [_value(run['result'], MEASURES[measure]) for run in self.runs]
        return np.array([value for value in found if value is not None], dtype=float)

    @property
    def rule(self) -> Rule:
        """Rule by which the runs chose their best epoch."""
        return rule_of(self.runs[0]['config'])

    @property
    def chosen(self) -> dict[str, Any]:
        """Best run on the validation images by the rule; the first run if any was not validated."""
        figures = [run['result'][self.rule.key] for run in self.runs]
        return self.runs[0 if None in figures else int(np.argmin(figures))]


def _value(result, path):
    if '*' in path:
        path = [metrics.final_kind(result['evaluation']) if key == '*' else key for key in path]
    for key in path:
        if result is None or key not in result:
            return None
        result = result[key]
    return result


def grouped(runs: Sequence[dict[str, Any]]) -> list[Group]:
    """Group runs that differ only in their seed, in the order of their first runs.

    If groups have the same name, the arguments in which the groups differ are added to it.

    Parameters
    ----------
    runs : sequence of dict
        Runs, as returned by `utils.record.reading.read_run`.

    Returns
    -------
    list of Group
        Groups of runs.
    """
    groups = {}
    for run in runs:
        skip = {*schema.names(decides='nothing'), 'seed', *(('dataset',) if run['run'].get('content_digest') else ())}
        options = {key: value for key, value in schema.renamed(run['config']).items() if key not in skip}
        groups.setdefault(json.dumps(options, sort_keys=True), []).append(run)
    options, names = [json.loads(key) for key in groups], [group[0]['run']['name'] for group in groups.values()]
    every = list(dict.fromkeys(key for one in options for key in one))
    differing = [
        key
        for key in every
        if any(one.get(key) != options[0].get(key) for one in options) and key not in ('network', 'dataset')
    ]
    out = []
    for name, one, group in zip(names, options, groups.values()):
        if names.count(name) > 1:
            name = ', '.join([name, *(f'{key}={one.get(key)}' for key in differing)])
        out.append(Group(name, group))
    return out


def _right(run):
    logits = read_logits(run['folder'])
    return logits['source'], logits[metrics.final_kind(run['result']['evaluation'])].argmax(axis=1) == logits['y']


def _read(paths):
    runs, seen = [], set()
    for path in paths:
        run = read_run(path, need=['logits.npz'])
        if run['folder'].resolve() not in seen:
            seen.add(run['folder'].resolve())
            runs.append(run)
    if len(runs) < 2:
        raise ComparisonError(f'a comparison needs at least two different runs, got {len(runs)}')
    first = runs[0]
    for run in runs[1:]:
        if not same_data(first, run):
            raise ComparisonError(
                f"'{first['folder']}' and '{run['folder']}' used different data sets, '{first['run']['data']}' and "
                f"'{run['run']['data']}' (different source, views, labels or validation images): their errors "
                'cannot be compared'
            )
    return runs


def _cell(values, digits):
    if not len(values):
        return ''
    if len(values) == 1:
        return f'{values[0]:.{digits}f}'
    return f'{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}'


def summary(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of groups: mean ± standard deviation (n - 1) over the seeds."""
    digits = {'macro-F1': 3, 'validation cross-entropy': 4}
    measures = [m for m in MEASURES if any(len(group.values(m)) for group in groups)]
    rows = [
        [group.name, str(len(group.runs)), *(_cell(group.values(m), digits.get(m, 2)) for m in measures)]
        for group in groups
    ]
    return ['network', 'runs', *measures], rows


def paired(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of McNemar's tests of each pair of chosen runs, or of runs of a single group."""
    members = (
        [(group.name, group.chosen) for group in groups]
        if len(groups) > 1
        else [(f'seed {run["config"]["seed"]}', run) for run in groups[0].runs]
    )
    answers = {}
    for _, run in members:
        answers[run['folder']] = _right(run)
    rows = []
    for (name_a, a), (name_b, b) in itertools.combinations(members, 2):
        (source_a, right_a), (source_b, right_b) = answers[a['folder']], answers[b['folder']]
        if not np.array_equal(source_a, source_b):
            raise ComparisonError(f"'{a['folder']}' and '{b['folder']}' were tested on different images")
        test = metrics.mcnemar(right_a, right_b)
        rows.append(
            [
                f'{name_a} (seed {a["config"]["seed"]})' if len(groups) > 1 else name_a,
                f'{name_b} (seed {b["config"]["seed"]})' if len(groups) > 1 else name_b,
                str(test['only_a']),
                str(test['only_b']),
                f'{test["p"]:.4f}' if test['p'] >= 1e-4 else f'{test["p"]:.1e}',
            ]
        )
    return ['A', 'B', 'only A right', 'only B right', 'p (McNemar)'], rows


def _figure(groups):
    return ' or '.join(dict.fromkeys(group.rule.label for group in groups))


def by_mean(groups: Sequence[Group]) -> tuple[list[Group], Rule]:
    """Sort the validated groups by the mean of the validation figure of their rule; return them and the rule.

    Groups with different rules are sorted by the cross-entropy, groups with different losses by the error.
    """
    rule = common_rule(group.rule for group in groups)
    if len({cost_of(group.runs[0]['config']) for group in groups}) > 1:
        rule = RULES['error']  # the values of different losses cannot be compared
    groups = [group for group in groups if len(group.values(rule.label))]
    return sorted(groups, key=lambda group: group.values(rule.label).mean()), rule


@accepts(say='info')
def compare(paths: Sequence[StrPath], folder: Path | None = None, info: Callable[..., Any] = write_line) -> list[Group]:
    """Compare runs on one data set.

    Parameters
    ----------
    paths : sequence of path
        Run folders, or model files or their folders, which stand for their last finished run.
    folder : path, optional
        New or empty folder for the tables (table.csv, .md, .tex, mcnemar.csv, runs.csv), the curves and the ranking.
    info : callable
        Called with each text to print.

    Returns
    -------
    list of Group
        Runs, grouped by `grouped`.

    Raises
    ------
    ComparisonError
        The runs used different data sets or test images.
    RunError
        A folder is not a finished run of this version.
    """
    groups = grouped(_read(paths))
    table, tests = summary(groups), paired(groups)
    final = 'special test error' if all(len(group.values('special test error')) for group in groups) else 'test error'
    means = {
        f'{group.name}' + (f' (mean of {len(group.runs)})' if len(group.runs) > 1 else ''): float(
            group.values(final).mean()
        )
        for group in groups
    }
    ranking = competition.ranking(means)
    info(as_text(*table))
    info('\nmean ± standard deviation over seeds; errors in %; the epoch of each run was chosen on validation images')
    info('\n' + as_text(*tests))
    info(
        '\np: probability that two equally good networks differ as much; not corrected for the number of pairs'
        + (f'; of each network, the run with the smallest {_figure(groups)}' if len(groups) > 1 else '')
    )
    info(f'\n{final}\n{ranking}')
    if not groups[0].runs[0]['run']['is_fer2013']:
        info('These images are not FER2013: the ranks are only an illustration.')
    if folder is not None:
        folder = new_folder(folder, ComparisonError)
        runs = [
            [
                group.name,
                str(run['folder']),
                str(run['config']['seed']),
                *('' if (v := _value(run['result'], path)) is None else repr(v) for path in MEASURES.values()),
            ]
            for group in groups
            for run in group.runs
        ]
        for name, text in {
            'table.csv': as_csv(*table),
            'table.md': as_markdown(*table),
            'table.tex': as_latex(*table),
            'mcnemar.csv': as_csv(*tests),
            'ranking.txt': ranking + '\n',
            'runs.csv': as_csv(['network', 'run', 'seed', *MEASURES], runs),
        }.items():
            with atomic_write(folder / name) as temporary:
                temporary.write_text(text, encoding='utf-8')
        drawing = plots.curves_of_runs(
            {group.name: [run['history'] for run in group.runs] for group in groups},
            rules={group.name: group.rule for group in groups},
        )
        plots.save(drawing, folder / 'curves.png')
        info(f"\ncomparison '{folder}'")
    return groups
