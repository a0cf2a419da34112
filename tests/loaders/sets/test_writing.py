"""Sets are written completely or not at all."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from loaders_data import ROOT, originals, write_table

from loaders import DataError, build, load


@contextmanager
def limited_files(n_bytes):
    """Limit the size of files, in bytes, that child processes started in this block can write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, '-m', 'loaders', *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_full_disk_leaves_nothing_behind_and_the_old_file_alone(tmp_path):
    source = write_table(tmp_path / 'fer2013.csv', originals())
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'set2.h5').write_text('old')
    with limited_files(100_000):
        process = command(source, '-o', out)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith(f'error: {out}/set2.h5: cannot be written: ')
    assert errors.count('\n') == 1
    assert [file.name for file in out.iterdir()] == ['set2.h5']
    assert (out / 'set2.h5').read_text() == 'old'


def test_a_disk_without_room_is_noticed_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr('shutil.disk_usage', lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match='set2.h5: cannot be written: needs 0 MiB, the disk has 0'):
        build(originals(), (2,), tmp_path, info=lambda line: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('error', [KeyboardInterrupt, MemoryError, ZeroDivisionError])
def test_an_interruption_leaves_nothing_behind_and_the_old_file_alone(tmp_path, path, monkeypatch, error):
    def interrupt(*_):
        raise error

    before = open(path, 'rb').read()
    monkeypatch.setattr('loaders.sets.building.BLOCK', 4)
    monkeypatch.setattr('loaders.sets.building.views', interrupt)
    with pytest.raises(error):
        build(originals(), (2,), tmp_path, info=lambda line: None)
    assert [file.name for file in tmp_path.iterdir()] == ['set2.h5']
    assert open(path, 'rb').read() == before


def interrupted(source, out):
    """Interrupt a command that writes sets by Ctrl-C as soon as a file exists; return None if it finished before."""
    # Tests that run in the background may ignore Ctrl-C, and their child processes would inherit this.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = command(source, '--sets', 4, 3, 2, 1, '-o', out)
    finally:
        signal.signal(signal.SIGINT, before)
    while process.poll() is None and not (out.exists() and list(out.iterdir())):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return (process.returncode, errors) if process.returncode else None


def test_control_c_on_the_command_line(tmp_path):
    source = write_table(tmp_path / 'fer2013.csv', originals(np.full((3, 7), 500)))
    outcomes = ((interrupted(source, out), out) for out in (tmp_path / str(k) for k in range(5)))
    (status, errors), out = next(outcome for outcome in outcomes if outcome[0])
    assert status == 130
    assert errors == 'error: interrupted; no file was left half-written\n'
    assert not list(out.glob('.*'))
    for file in out.iterdir():
        load(file).close()


def test_an_existing_set_is_renamed_and_it_is_said(tmp_path, path):
    lines = []
    before = open(path, 'rb').read()
    with load(path) as opened:
        first = opened.training.images(slice(2))
        for seed in (1, 2):
            build(originals(seed=seed), (2,), tmp_path, info=lines.append)
        np.testing.assert_array_equal(opened.training.images(slice(2)), first)
        assert opened.verify()
    assert sorted(file.name for file in tmp_path.iterdir()) == ['set2.1.h5', 'set2.2.h5', 'set2.h5']
    assert (tmp_path / 'set2.1.h5').read_bytes() == before
    assert [line for line in lines if 'already existed' in line] == [
        f'{path}: already existed; the old file is now {tmp_path}/set2.{n}.h5' for n in (1, 2)
    ]
    for file in tmp_path.iterdir():
        load(file).close()


def test_an_existing_set_is_renamed_where_there_are_no_hard_links(tmp_path, path, monkeypatch):
    def link(*_):
        raise PermissionError

    monkeypatch.setattr('os.link', link)
    before = open(path, 'rb').read()
    (tmp_path / 'set2.1.h5').symlink_to('nowhere')
    build(originals(seed=1), (2,), tmp_path, info=lambda line: None)
    assert (tmp_path / 'set2.2.h5').read_bytes() == before


def test_a_set_that_is_made_again_stays_alone(tmp_path, path):
    lines, made = [], Path(path).stat()
    assert build(originals(), (2,), tmp_path, info=lines.append) == [path]
    assert [file.name for file in tmp_path.iterdir()] == ['set2.h5']
    assert Path(path).stat().st_mtime_ns == made.st_mtime_ns and Path(path).stat().st_ino == made.st_ino
    assert f'{path}: already existed and is identical' in lines
    with pytest.warns(FutureWarning, match='log is now info'):
        build(originals(), (2,), tmp_path, log=(former := []).append)
    assert former == lines


def test_a_set_can_be_made_again_from_itself(tmp_path, path):
    build(path, (2,), tmp_path, validation=3, info=lambda line: None)
    with load(path) as new, load(tmp_path / 'set2.1.h5') as old:
        assert len(new.validation) == 6 != len(old.validation)
        np.testing.assert_array_equal(new.training.images(), old.training.images())


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path, path):
    big = tmp_path / 'big disk'
    big.mkdir()
    os.rename(path, big / 'whole.h5')
    os.symlink(big / 'whole.h5', path)
    assert build(originals(seed=1), (2,), tmp_path, info=lambda line: None) == [path]
    assert os.path.islink(path)
    assert sorted(file.name for file in big.iterdir()) == ['whole.1.h5', 'whole.h5']
    load(path).close()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot be written'):
        build(originals(), (2,), tmp_path / 'file', info=lambda line: None)
