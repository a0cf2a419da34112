"""The table of all runs, experiments.csv."""

from __future__ import annotations

import csv
import os
import socket
from typing import TYPE_CHECKING

from utils.files.former import FORMER
from utils.files.terminal import uncell
from utils.results.predictions import RunError

if TYPE_CHECKING:
    from pathlib import Path


TABLE = 'experiments.csv'
COLUMNS = (
    'run',
    'status',
    'started',
    'ended',
    'seconds',
    'name',
    'network',
    'data',
    'seed',
    'learning_rate',
    'batch_size',
    'n_hidden',
    'n_epochs',
    'best_epoch',
    'validation_error',
    'validation_cross_entropy',
    'test_error',
    'special_test_error',
    'host',
    'pid',
    'options',
)


def _marked_if_dead(row):
    """Return a row of the table, with 'running' replaced by 'died' if its process on this machine no longer exists."""
    if row['status'] != 'running' or row['host'] != socket.gethostname() or not row['pid'].isdigit():
        return row
    try:
        os.kill(int(row['pid']), 0)
    except ProcessLookupError:
        return {**row, 'status': 'died'}
    except PermissionError:
        pass
    return row


def read_table(path: Path) -> list[dict[str, str]]:
    """Read the rows of experiments.csv as dicts of strings.

    Raises
    ------
    RunError
        The file does not have the columns of the table.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file, restkey='more', restval='')
        reader.fieldnames = [FORMER.get(name, name) for name in reader.fieldnames or ()]
        missing = [name for name in COLUMNS if name not in reader.fieldnames]
        if missing:
            raise RunError(f"'{path}' is not a table of runs: it has no column {', '.join(missing)}; move it away")
        return [{name: uncell(text) for name, text in row.items()} for row in reader]
