"""Short runs of fault injection and fuzzing; the long ones are marked slow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stress.fuzz.kinds import KINDS

ROOT = Path(__file__).parents[2]


def run(*arguments, cwd=ROOT):
    return subprocess.run(
        [sys.executable, '-m', *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=3600,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )


@pytest.mark.parametrize('files', [60, pytest.param(5000, marks=pytest.mark.slow)])
def test_mutated_files_of_every_kind_end_in_the_readers_own_errors(tmp_path, files):
    done = run('tests.stress.fuzz', '--files', files, '--findings', tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = [line.split() for line in done.stdout.strip().splitlines()[1:]]
    assert [row[0] for row in table] == list(KINDS), done.stdout
    assert all(int(row[1]) >= 0.9 * files and int(row[4]) == 0 for row in table), done.stdout


@pytest.mark.parametrize('kills, suffixes', [(2, ['.h5']), pytest.param(100, ['.h5', '.pkl'], marks=pytest.mark.slow)])
def test_killed_processes_lose_nothing(tmp_path, kills, suffixes):
    done = run('tests.stress.faults', '--kills', kills, '--folder', tmp_path, '--suffixes', *suffixes)
    assert done.returncode == 0, done.stdout + done.stderr
    (in_all,) = (line.split() for line in done.stdout.splitlines() if line.startswith('in all'))
    assert int(in_all[2]) == kills and 'other problems: 0' in done.stdout
