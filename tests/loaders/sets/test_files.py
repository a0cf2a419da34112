"""Files of sets, good and bad: every bad one raises one error."""

import h5py
import numpy as np
import pytest

from loaders import DataError, load


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
        (lambda file: file.__delitem__('test/duplicate'), 'test/duplicate is missing'),
        (lambda file: file.__delitem__('test'), 'no training or no test subset'),
        (lambda file: file.__delitem__('validation'), 'one of validation and reduced_training is missing'),
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


def test_a_set_whose_duplicates_were_called_twins(path):
    with load(path) as data:
        expected = [subset.duplicate for subset in data.subsets()]
        digest = data.content_digest
    with h5py.File(path, 'r+') as file:
        for name in ('training', 'test', 'special_test'):
            if name in file:
                file.move(f'{name}/duplicate', f'{name}/twin')
    with load(path) as data:
        for subset, flags in zip(data.subsets(), expected, strict=True):
            np.testing.assert_array_equal(subset.duplicate, flags)
        assert data.content_digest == digest
        with pytest.warns(FutureWarning, match='Subset.twin is now Subset.duplicate'):
            np.testing.assert_array_equal(data.test.twin, data.test.duplicate)
    with h5py.File(path, 'r+') as file:
        file['test/twin'][0] ^= 1
    refuses(path, 'test/twin was damaged')


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
