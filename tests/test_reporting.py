"""Lines, curves and the table of the competition."""
import csv

import pytest
from matplotlib.image import imread

from utils import reporting

ROW = {'stage': 'train', 'epoch': 3, 'rate': .1, 'train_cost': 1.5, 'train_cross_entropy': 1.4,
       'validation_error': 41.204, 'validation_cross_entropy': 1.25, 'test_error': 42.5, 'images': 200, 'seconds': 2.}


def test_lines_are_those_of_the_thesis():
    assert reporting.epoch_line(ROW).startswith('epoch 3, validation error 41.20 %, test error 42.50 % (')
    assert reporting.epoch_line({**ROW, 'test_error': None}).startswith('epoch 3, validation error 41.20 % (')
    without = {**ROW, 'validation_error': None, 'validation_cross_entropy': None}
    assert reporting.epoch_line(without) == 'epoch 3, train cost 1.5000, test error 42.50 % (100 images/s)'


@pytest.mark.parametrize('error, place', [(20, 1), (29.53, 1), (29.92, 2), (30.83, 2), (32.52, 4), (36.66, 6)])
def test_rank_is_that_of_tables_6_to_12(error, place):
    assert reporting.rank(error) == place


def test_rank_on_the_private_half_knows_ten_teams():
    assert reporting.rank(28.83, 'private') == 1
    assert reporting.rank(99, 'private') == 11
    assert reporting.COMPETITION[0][2] == 28.84


def test_the_table_has_every_result_in_its_place():
    # Table 9 of the thesis
    table = reporting.ranking({'A drop (set 2)': 32.52, 'A BN (set 2) (512, 512)': 32.65, 'B drop (set 2)': 33.27})
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [f'#{k}' for k in range(1, 9)]
    assert 'A drop (set 2)' in lines[4] and '32.52  <--' in lines[4]
    assert 'Radu+Marius+Cristi' in lines[5] and '<--' not in lines[5]
    assert 'Lor.Voldy' in lines[8]
    assert len({len(line.removesuffix('  <--')) for line in lines}) == 1


def test_curves_and_history_are_written(tmp_path):
    history = [{**ROW, 'epoch': k} for k in (1, 2, 3)] + [{**ROW, 'stage': s, 'epoch': 1, 'validation_error': None,
                                                           'validation_cross_entropy': None}
                                                          for s in ('retrain', 'anneal')]
    reporting.plot_curves(history, tmp_path / 'curves.png', history[1], 'title')
    assert imread(tmp_path / 'curves.png').std() > 0
    reporting.write_history(history, tmp_path / 'history.csv')
    with open(tmp_path / 'history.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['stage'] for row in rows] == ['train'] * 3 + ['retrain', 'anneal']
    assert float(rows[0]['validation_cross_entropy']) == 1.25 and rows[4]['validation_cross_entropy'] == ''
    assert sorted(p.name for p in tmp_path.iterdir()) == ['curves.png', 'history.csv']


def test_a_history_without_validation_is_drawn_too(tmp_path):
    reporting.plot_curves([{**ROW, 'validation_cross_entropy': None}], tmp_path / 'c.png')
    assert (tmp_path / 'c.png').stat().st_size > 1000


def test_compiling_is_said_and_not_when_silent(capsys):
    reporting.Console(1).compiling('training step')
    assert capsys.readouterr().out == 'compiling the training step\n'
    reporting.Console(0).compiling('training step')
    assert capsys.readouterr().out == ''
