"""Text that a terminal or a spreadsheet would obey is escaped."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.files.terminal import cell, uncell, visible
from utils.results import predictions, tables

ROOT = Path(__file__).parents[2]


def test_what_a_terminal_would_obey_is_written_out():
    assert visible('a\x1b[31mb\nc\td\u202e') == 'a\\x1b[31mb\nc\\td\\u202e'


@pytest.mark.parametrize('text', ['=cmd|calc', '+1+2', '-1-2', '@SUM(A1)', '\t=1', '\r=1', "'=1"])
def test_formulas_are_guarded(text):
    assert cell(text) == f"'{text}" and uncell(cell(text)) == text


@pytest.mark.parametrize('value', [-1, -0.5, '-0.5', '+3e4', 'happy', '', None, "it's", '0'])
def test_numbers_and_names_stay(value):
    assert cell(value) == value and uncell(cell(value)) == value


@given(st.text())
def test_a_guarded_text_comes_back(text):
    assert uncell(cell(text)) == text


def test_classes_are_guarded_wherever_they_stand_in_a_table(tmp_path):
    class Images:
        source, usage, duplicate, y = np.arange(2), np.full(2, 2), np.zeros(2, bool), np.array([0, 1])

        def __len__(self):
            return 2

    classes = ('=cmd|calc', '@b')
    predictions.write_confusion(tmp_path / 'c.csv', [[1, 0], [0, 1]], classes)
    predictions.write_predictions(tmp_path / 'p.csv', Images(), classes, np.eye(2))
    (tmp_path / 't.csv').write_text(tables.as_csv(['network'], [['=1+1']]))
    for name in 'cpt':
        with open(tmp_path / f'{name}.csv', newline='') as file:
            cells = [one for row in csv.reader(file) for one in row]
        assert not [one for one in cells if one.startswith(('=', '@'))]
    assert "'=cmd|calc" in (tmp_path / 'p.csv').read_text() and "'@b" in (tmp_path / 'c.csv').read_text()


def test_a_reader_that_goes_away_stops_nothing():
    code = (
        'from utils.files.terminal import write_line; import sys\n'
        'said = [write_line(str(k) * 70000) for k in range(9)]\nsys.exit(3 if all(said) else 0)'
    )
    done = subprocess.run(
        f'"{sys.executable}" -c \'{code}\' | head -c 5; exit ${{PIPESTATUS[0]}}',
        cwd=ROOT,
        shell=True,
        executable='/bin/bash',
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stdout == '00000' and not done.stderr
