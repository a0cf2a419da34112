"""Comparisons of runs: means, McNemar's test, tables, and runs that cannot be compared."""

import csv
import json
import shutil

import numpy as np
import pytest
from scipy.stats import binom

import launch
from utils.record import reading
from utils.results import metrics, tables
from utils.studies import comparison


def test_mcnemar_is_the_sign_test_of_the_images_on_which_they_differ(rng):
    a, b = rng.random(200) < 0.7, rng.random(200) < 0.6
    got = metrics.mcnemar(a, b)
    only_a, only_b = sum(x and not y for x, y in zip(a, b)), sum(y and not x for x, y in zip(a, b))
    assert (got['only_a'], got['only_b']) == (only_a, only_b)
    tail = binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)
    assert got['p'] == pytest.approx(min(1, 2 * tail))
    assert metrics.mcnemar(a, a) == {'only_a': 0, 'only_b': 0, 'p': 1.0}
    assert metrics.mcnemar(b, a)['p'] == got['p']


def test_runs_are_put_together_over_seeds(tiny_runs, tmp_path):
    said = []
    groups = comparison.compare(tiny_runs, tmp_path / 'c', info=said.append)
    assert [group.name for group in groups] == [
        'MLP BN-drop (set 2), learning_rate=0.1',
        'MLP BN-drop (set 2), learning_rate=0.002',
    ]
    errors = [reading.read_run(folder)['result']['special_test_error'] for folder in tiny_runs]
    with open(tmp_path / 'c/table.csv') as file:
        rows = list(csv.DictReader(file))
    assert rows[0]['special test error'] == f'{np.mean(errors[:2]):.2f} ± {abs(errors[0] - errors[1]) / 2**0.5:.2f}'
    assert rows[1]['runs'] == '2'
    with open(tmp_path / 'c/runs.csv') as file:
        assert [float(row['special test error']) for row in csv.DictReader(file)] == errors
    text = '\n'.join(said)
    assert '(mean of 2)' in text and 'RBM' in text and 'p (McNemar)' in text
    assert sorted(p.name for p in (tmp_path / 'c').iterdir()) == [
        'curves.png',
        'mcnemar.csv',
        'ranking.txt',
        'runs.csv',
        'table.csv',
        'table.md',
        'table.tex',
    ]
    assert groups[0].chosen['result']['validation_cross_entropy'] == min(
        run['result']['validation_cross_entropy'] for run in groups[0].runs
    )
    with pytest.raises(comparison.ComparisonError, match='is not empty: choose a new or empty folder'):
        comparison.compare(tiny_runs, tmp_path / 'c', info=said.append)


def with_figures(run, rule, **figures):
    return {**run, 'config': {**run['config'], 'rule': rule}, 'result': {**run['result'], **figures}}


def test_runs_and_groups_are_chosen_by_their_rule(tiny_runs):
    runs = [reading.read_run(folder) for folder in tiny_runs]
    figures = [(50.0, 1.0), (40.0, 2.0), (60.0, 0.5), (60.0, 0.6)]
    for rule, first, order in (('error', 1, [0, 1]), ('entropy', 0, [1, 0])):
        groups = comparison.grouped(
            [
                with_figures(run, rule, validation_error=error, validation_cross_entropy=entropy)
                for run, (error, entropy) in zip(runs, figures)
            ]
        )
        assert groups[0].chosen['folder'] == tiny_runs[first]
        ordered, by = comparison.by_mean(groups)
        assert [groups.index(group) for group in ordered] == order and by.name == rule
    old = [{**run, 'config': {key: value for key, value in run['config'].items() if key != 'rule'}} for run in runs]
    assert comparison.grouped(old)[0].rule.name == 'entropy'


def test_the_comparison_says_by_what_a_run_was_chosen(tiny_runs, tmp_path):
    copies = []
    for k in (0, 2):
        copies.append(shutil.copytree(tiny_runs[k], tmp_path / f'm{k}/run-001'))
        text = (copies[-1] / 'config.yaml').read_text()
        (copies[-1] / 'config.yaml').write_text(text.replace('rule: entropy', 'rule: error'))
    said = []
    comparison.compare(copies, info=said.append)
    assert 'of each network, the run with the smallest validation error' in '\n'.join(said)


def test_two_seeds_are_tested_against_each_other(tiny_runs):
    said = []
    comparison.compare([tiny_runs[0], tiny_runs[1], tiny_runs[0]], info=said.append)
    assert 'seed 1' in said[2] and 'seed 2' in said[2] and len(said[2].strip().splitlines()) == 2
    right = [
        np.array([int(row['correct']) for row in csv.DictReader(open(folder / 'predictions.csv'))], bool)
        for folder in tiny_runs[:2]
    ]
    test = metrics.mcnemar(*right)
    assert said[2].split()[-3:] == [str(test['only_a']), str(test['only_b']), f'{test["p"]:.4f}']


def test_tables_have_four_dresses():
    head, rows = ['network', 'error'], [['a_b & c|d', '1.00 ± 0.10']]
    assert tables.as_text(head, rows) == 'network          error\na_b & c|d  1.00 ± 0.10'
    assert tables.as_csv(head, rows) == 'network,error\na_b & c|d,1.00 ± 0.10\n'
    assert tables.as_markdown(head, rows).splitlines()[2] == r'| a_b & c\|d | 1.00 ± 0.10 |'
    assert r'a\_b \& c|d & 1.00 $\pm$ 0.10 \\' in tables.as_latex(head, rows)


def test_what_cannot_be_compared_gets_one_line(tiny_runs, tmp_path, capsys):
    other = tmp_path / 'm/run-001'
    shutil.copytree(tiny_runs[0], other)
    run = json.loads((other / 'run.json').read_text())
    (other / 'run.json').write_text(json.dumps({**run, 'fingerprint': 'another', 'data': 'other.h5'}))
    for runs, message in (
        ([tiny_runs[0], other], "used different data sets, '"),
        ([tiny_runs[0]], 'at least two different runs, got 1'),
        ([tiny_runs[0], tiny_runs[0]], 'at least two different runs, got 1'),
        ([tiny_runs[0], tmp_path / 'absent'], 'there is no run folder'),
    ):
        assert launch.main(['compare', *map(str, runs)]) == 2
        error = capsys.readouterr().err
        assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert not list(tiny_runs[0].parent.parent.glob('comparison-*'))
