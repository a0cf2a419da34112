"""Files: complete or not there, and hostile until checked."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from loaders_data import ROOT, originals, write_table

from loaders import DataError, build, load


@pytest.fixture
def path(tmp_path):
    (path,) = build(originals(), (2,), tmp_path, log=lambda line: None)
    return path


def refuses(path, message):
    with pytest.raises(DataError, match=f'^{path}: {message}') as error:
        load(path)
    assert '\n' not in str(error.value)


def test_other_tools_can_read_it(path):
    with h5py.File(path) as file:
        assert file['training/x'].shape == (28, 48, 48)
        assert list(file.attrs['classes'])[3] == b'happy'
        assert list(file['training'].attrs['transforms']) == [b'identity', b'mirror']
        assert {'training', 'test', 'special_test', 'validation', 'reduced_training'} == set(file)


def test_no_such_file(tmp_path):
    refuses(tmp_path / 'set9.h5', 'no such file')


def test_a_folder(tmp_path):
    refuses(tmp_path, 'a folder, not a data set')


def test_a_file_of_another_kind(tmp_path):
    other = tmp_path / 'a.h5'
    other.write_text('emotion,pixels')
    refuses(other, 'not an HDF5 file, or damaged')
    with h5py.File(other, 'w') as file:
        file['x'] = np.zeros(3)
    refuses(other, "not a symfer data set: no attribute 'format'")


@pytest.mark.parametrize('keep', [0, 10, 100, 5000, 0.5, 0.99, -1])
def test_a_truncated_file(path, keep):
    whole = open(path, 'rb').read()
    n = int(keep * len(whole)) if isinstance(keep, float) else keep
    with open(path, 'wb') as file:
        file.write(whole[:n])
    refuses(path, '(truncated|not an HDF5 file|.*cut off)')


def set_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def replace(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def put(name, row, value):
    return lambda file: file[name].__setitem__(row, value)


def external_link(file):
    del file['test']
    file['test'] = h5py.ExternalLink('/etc/passwd', '/x')


def soft_link(file):
    del file['test']
    file['test'] = h5py.SoftLink('/training')


def external_storage(file):
    del file['test/x']
    file['test'].create_dataset('x', (28, 48, 48), 'u1', external=[('/etc/passwd', 0, 28 * 2304)])


def virtual(file):
    del file['test/x']
    layout = h5py.VirtualLayout((28, 48, 48), 'u1')
    layout[:] = h5py.VirtualSource('/etc/passwd', 'x', (28, 48, 48))
    file['test'].create_virtual_dataset('x', layout)


def compressed(file):
    x = file['test/x'][:]
    del file['test/x']
    file['test'].create_dataset('x', data=x, compression='gzip')


def absurd_shape(file):
    # chunks never written: terabytes declared in a few bytes
    del file['test/x']
    file['test'].create_dataset('x', (1 << 30, 48, 48), 'u1', chunks=(1, 48, 48))


def unallocated(file):
    del file['test/x']
    file['test'].create_dataset('x', (1 << 30, 48, 48), 'u1')


@pytest.mark.parametrize(
    'change, message',
    [
        (set_attribute('format', np.bytes_('something')), 'not a symfer data set'),
        (set_attribute('version', 2), 'format version 2, expected 1'),
        (set_attribute('version', 'one'), "attribute 'version' is not a whole number"),
        (set_attribute('name', 3), "attribute 'name' is not text of fixed length"),
        (set_attribute('name', 'of any length'), "attribute 'name' is not text of fixed length"),
        (set_attribute('classes', ['a'] * 300), "attribute 'classes' is too large"),
        (set_attribute('classes', 'angry'), "attribute 'classes' is too large"),
        (lambda file: file.attrs.__delitem__('fingerprint'), 'not a symfer data set: no attribute'),
        (set_attribute('classes', np.array(['happy', 'sad'], 'S5')), r'training row \d+: expected a label from 0 to 1'),
        (put('training/y', 5, 7), 'training row 5: expected a label from 0 to 6, found 7'),
        (put('test/usage', 2, 3), 'test row 2: expected a usage from 0 to 2, found 3'),
        (put('training/view', 0, 2), 'training row 0: expected a view from 0 to 1, found 2'),
        (put('training/source', 0, -3), 'training: a negative source'),
        (put('validation/rows', 0, 28), 'validation: a row outside the training images'),
        (replace('training/y', np.zeros(27, np.uint8)), 'training: x, y, source, .* differ in length'),
        (replace('training/y', np.zeros(28, np.int64)), 'training/y is not a 1-dimensional array of uint8'),
        (replace('test/x', np.zeros((28, 2304), np.uint8)), 'test/x is not a 3-dimensional array of uint8'),
        (replace('test/x', np.zeros((28, 48, 48), np.float32)), 'test/x is not a 3-dimensional array'),
        (replace('test/x', np.zeros((28, 44, 44), np.uint8)), 'the subsets have images of different'),
        (lambda file: file.__delitem__('test/twin'), 'test/twin is missing'),
        (lambda file: file.__delitem__('test'), 'no training or no test subset'),
        (lambda file: file.__delitem__('validation'), 'of validation and reduced_training one is'),
        (external_link, 'test is not a group of this file'),
        (soft_link, 'test is not a group of this file'),
        (external_storage, 'test/x is not stored contiguously within the file'),
        (virtual, 'test/x is not stored contiguously within the file'),
        (compressed, 'test/x is not stored contiguously within the file'),
        (absurd_shape, 'test/x is not stored contiguously within the file'),
        (unallocated, 'test/x is not stored contiguously within the file'),
    ],
)
def test_a_file_that_contradicts_itself_or_reaches_out(path, change, message):
    with h5py.File(path, 'r+') as file:
        change(file)
    refuses(path, message)


def test_a_shape_beyond_the_end_of_the_file(path):
    content = bytearray(open(path, 'rb').read())
    shape = np.array([28, 48, 48], '<u8').tobytes()
    at = content.find(shape)
    while at >= 0:  # in every data space of that shape
        content[at : at + 8] = np.array([1 << 24], '<u8').tobytes()
        at = content.find(shape, at + 8)
    open(path, 'wb').write(content)
    refuses(path, '.*')


def test_random_damage_never_gets_further_than_one_error(path):
    whole = open(path, 'rb').read()
    rng = np.random.default_rng(0)
    head = 12000  # the tables of the file, not the pixels
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(0, head, 20):
            content[at] = rng.integers(256)
        open(path, 'wb').write(content)
        try:
            with load(path) as data:
                [subset.images() for subset in data.subsets()]
        except DataError as error:
            assert str(error).startswith(path)


@contextmanager
def limited_files(n_bytes):
    """Child processes begun in this block cannot make a file grow beyond so many bytes."""
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
        build(originals(), (2,), tmp_path, log=lambda line: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('error', [KeyboardInterrupt, MemoryError, ZeroDivisionError])
def test_an_interruption_leaves_nothing_behind_and_the_old_file_alone(tmp_path, path, monkeypatch, error):
    def interrupt(*_):
        raise error

    before = open(path, 'rb').read()
    monkeypatch.setattr('loaders.sets.building.BLOCK', 4)
    monkeypatch.setattr('loaders.sets.building.views', interrupt)
    with pytest.raises(error):
        build(originals(), (2,), tmp_path, log=lambda line: None)
    assert [file.name for file in tmp_path.iterdir()] == ['set2.h5']
    assert open(path, 'rb').read() == before


def test_control_c_on_the_command_line(tmp_path):
    source = write_table(tmp_path / 'fer2013.csv', originals(np.full((3, 7), 400)))
    out = tmp_path / 'out'
    # A test run in the background may ignore Ctrl-C, and its child processes would then too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = command(source, '--sets', 4, 3, 2, 1, '-o', out)
    finally:
        signal.signal(signal.SIGINT, before)
    while process.poll() is None and not (out.exists() and list(out.iterdir())):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
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
            build(originals(seed=seed), (2,), tmp_path, log=lines.append)
        np.testing.assert_array_equal(opened.training.images(slice(2)), first)
        assert opened.verify()
    assert sorted(file.name for file in tmp_path.iterdir()) == ['set2.1.h5', 'set2.2.h5', 'set2.h5']
    assert (tmp_path / 'set2.1.h5').read_bytes() == before
    assert [line for line in lines if 'was there already' in line] == [
        f'{path}: was there already; the old file is now {tmp_path}/set2.{n}.h5' for n in (1, 2)
    ]
    for file in tmp_path.iterdir():
        load(file).close()


def test_an_existing_set_is_renamed_where_there_are_no_hard_links(tmp_path, path, monkeypatch):
    def link(*_):
        raise PermissionError

    monkeypatch.setattr('os.link', link)
    before = open(path, 'rb').read()
    (tmp_path / 'set2.1.h5').symlink_to('nowhere')
    build(originals(seed=1), (2,), tmp_path, log=lambda line: None)
    assert (tmp_path / 'set2.2.h5').read_bytes() == before


def test_a_set_that_is_made_again_stays_alone(tmp_path, path):
    lines, made = [], Path(path).stat()
    assert build(originals(), (2,), tmp_path, log=lines.append) == [path]
    assert [file.name for file in tmp_path.iterdir()] == ['set2.h5']
    assert Path(path).stat().st_mtime_ns == made.st_mtime_ns and Path(path).stat().st_ino == made.st_ino
    assert f'{path}: was there already, the same to the last byte' in lines


def test_a_set_can_be_made_again_from_itself(tmp_path, path):
    build(path, (2,), tmp_path, validation=3, log=lambda line: None)
    with load(path) as new, load(tmp_path / 'set2.1.h5') as old:
        assert len(new.validation) == 6 != len(old.validation)
        np.testing.assert_array_equal(new.training.images(), old.training.images())


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path, path):
    big = tmp_path / 'big disk'
    big.mkdir()
    os.rename(path, big / 'whole.h5')
    os.symlink(big / 'whole.h5', path)
    assert build(originals(seed=1), (2,), tmp_path, log=lambda line: None) == [path]
    assert os.path.islink(path)
    assert sorted(file.name for file in big.iterdir()) == ['whole.1.h5', 'whole.h5']
    load(path).close()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot be written'):
        build(originals(), (2,), tmp_path / 'file', log=lambda line: None)
