"""Lines, curves and the table of the competition."""

import csv
import io

import pytest
from matplotlib.image import imread

from utils.experiment import console as console_module
from utils.experiment.console import Console, epoch_line
from utils.record.history import write_history
from utils.results import competition, plots
from utils.training.rules import RULES, best_epoch

ROW = {
    'stage': 'train',
    'epoch': 3,
    'rate': 0.1,
    'train_cost': 1.5,
    'train_cross_entropy': 1.4,
    'validation_error': 41.204,
    'validation_cross_entropy': 1.25,
    'test_error': 42.5,
    'images': 200,
    'seconds': 2.0,
}


def test_lines_are_those_of_the_thesis_and_name_their_stage():
    assert epoch_line(ROW, 9).startswith('train epoch 3/9, validation error 41.20 %, test error 42.50 % (')
    assert epoch_line({**ROW, 'test_error': None}, 9).startswith('train epoch 3/9, validation error 41.20 % (')
    without = {**ROW, 'stage': 'retrain', 'validation_error': None, 'validation_cross_entropy': None}
    assert epoch_line(without, 5) == 'retrain epoch 3/5, train cost 1.5000, test error 42.50 % (100 images/s)'


@pytest.mark.parametrize('error, place', [(20, 1), (29.53, 1), (29.92, 2), (30.83, 2), (32.52, 4), (36.66, 6)])
def test_rank_is_that_of_tables_6_to_12(error, place):
    assert competition.rank(error) == place


def test_rank_on_the_private_half_knows_ten_teams():
    assert competition.rank(28.83, 'private') == 1
    assert competition.rank(99, 'private') == 11
    assert competition.COMPETITION[0][2] == 28.84


def test_the_table_has_every_result_in_its_place():
    # Table 9 of the thesis
    table = competition.ranking({'A drop (set 2)': 32.52, 'A BN (set 2) (512, 512)': 32.65, 'B drop (set 2)': 33.27})
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [f'#{k}' for k in range(1, 9)]
    assert 'A drop (set 2)' in lines[4] and '32.52  <--' in lines[4]
    assert 'Radu+Marius+Cristi' in lines[5] and '<--' not in lines[5]
    assert 'Lor.Voldy' in lines[8]
    assert len({len(line.removesuffix('  <--')) for line in lines}) == 1


def test_curves_and_history_are_written(tmp_path):
    history = [{**ROW, 'epoch': k} for k in (1, 2, 3)] + [
        {**ROW, 'stage': s, 'epoch': 1, 'validation_error': None, 'validation_cross_entropy': None}
        for s in ('retrain', 'anneal')
    ]
    plots.save(plots.plot_curves(history, history[1], 'title'), tmp_path / 'curves.png')
    assert imread(tmp_path / 'curves.png').std() > 0
    write_history(history, tmp_path / 'history.csv')
    with open(tmp_path / 'history.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['stage'] for row in rows] == ['train'] * 3 + ['retrain', 'anneal']
    assert float(rows[0]['validation_cross_entropy']) == 1.25 and rows[4]['validation_cross_entropy'] == ''
    assert sorted(p.name for p in tmp_path.iterdir()) == ['curves.png', 'history.csv']


TWO = [
    {**ROW, 'epoch': 1, 'validation_cross_entropy': 1.0, 'validation_error': 50.0},
    {**ROW, 'epoch': 2, 'validation_cross_entropy': 2.0, 'validation_error': 40.0},
]


@pytest.mark.parametrize(
    'rule, epoch, label',
    [('entropy', 1, 'entropy point: epoch 1, 1.0000'), ('error', 2, 'smallest validation error: epoch 2, 40.00 %')],
)
def test_the_best_epoch_is_shown_by_the_rule(rule, epoch, label):
    one = plots.plot_curves(TWO, best_epoch(TWO, rule), rule=rule)
    assert label in [text.get_text() for text in one.axes[0].get_legend().get_texts()]
    several = plots.curves_of_runs({'x': [TWO]}, rules={'x': RULES[rule]})
    marks = [line for line in several.axes[0].get_lines() if line.get_marker() == 'o' and len(line.get_xdata())]
    assert [mark.get_xdata()[0] for mark in marks] == [epoch]
    assert label.split(':')[0] in [text.get_text() for text in several.axes[0].get_legend().get_texts()]
    console = Console(0)
    console.follow(rule, TWO[:1])  # of a resumed run
    console.epoch_ends(TWO[1])
    assert console.best['epoch'] == epoch


def test_a_history_without_validation_is_drawn_too(tmp_path):
    plots.save(plots.plot_curves([{**ROW, 'validation_cross_entropy': None}]), tmp_path / 'c.png')
    assert (tmp_path / 'c.png').stat().st_size > 1000


def test_compiling_is_said_and_not_when_silent(capsys):
    Console(1).compiling('training step')
    assert capsys.readouterr().out == 'compiling the training step\n'
    Console(0).compiling('training step')
    assert capsys.readouterr().out == ''


def run_an_epoch(console, monkeypatch, minibatches=3):
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(console_module.time, 'monotonic', lambda: next(clock))
    console.epoch_begins('train', 1, 2, 300)
    for _ in range(minibatches):
        console.minibatch(100, 1.25)
    if console.progress:
        console.progress.refresh()
    console.epoch_ends(ROW)


def test_on_a_terminal_there_is_a_display_of_the_stage(monkeypatch):
    file = io.StringIO()
    console = Console()
    console.terminal = console_module.Terminal(file=file, force_terminal=True, width=160)
    run_an_epoch(console, monkeypatch)
    console.epoch_begins('train', 2, 2, 300)
    console.minibatch(100, 1.0)
    console.progress.refresh()
    console.close()
    text = file.getvalue()
    for part in ('train 1/2', 'train 2/2', 'images/s', 'time left', 'cost 1.250', 'best epoch 3: 41.20 %'):
        assert part in text
    assert 'train epoch 3/2, validation error 41.20 %' in text


def test_elsewhere_there_are_plain_lines_and_the_log_has_them_all(monkeypatch, capsys, tmp_path):
    for verbose, lines in ((0, 0), (1, 2), (2, 3)):
        console = Console(verbose)
        console.info('[before] the log')
        console.write_to(tmp_path / f'{verbose}.txt')
        run_an_epoch(console, monkeypatch)
        console.debug('a detail')
        out = capsys.readouterr().out
        assert out.count('\n') == lines and '\x1b' not in out and '\r' not in out
        logged = (tmp_path / f'{verbose}.txt').read_text().splitlines()
        assert logged == ['[before] the log', epoch_line(ROW, 2), 'a detail']


def test_what_a_callback_does_to_its_entry_changes_no_history():
    row = dict(ROW)
    Console(0, on_epoch=dict.clear).epoch_ends(row)
    assert row == ROW
