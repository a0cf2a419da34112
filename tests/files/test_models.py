"""Model files: contents survive saving and loading, files are never partial, and no code in a file can run."""

import json
import os
import pickle

import h5py
import numpy as np
import pytest

from utils.files import atomic, models
from utils.files.checksums import checksums

STATE = {
    'arrays': {
        'parameters/conv1.W': np.arange(6, dtype='float32').reshape(2, 3),
        'optimiser/velocity.conv1.W': np.ones((2, 3), 'float32'),
        'counter': np.asarray(7, np.uint32),
    },
    'kept': {'parameters/conv1.W': np.zeros((2, 3), 'float32'), 'counter': np.asarray(5, np.uint32)},
    'trained': None,
    'stage': 'retrain',
    'epoch': 2,
    'history': [{'stage': 'train', 'epoch': 1, 'train_cost': 1.25, 'validation_error': None}],
}
CONFIG = {'options': {'learning_rate': 0.1, 'n_hidden': [4], 'network': 'Ñandú'}}
SUFFIXES = ['.h5', '.pkl']


@pytest.fixture(params=SUFFIXES)
def model(request, tmp_path):
    path = tmp_path / f'model{request.param}'
    models.save(path, STATE, CONFIG)
    return path


def test_what_goes_in_comes_out(model):
    state, config = models.load(model)
    assert config == CONFIG
    assert {k: state[k] for k in ('stage', 'epoch', 'history', 'trained')} == {
        k: STATE[k] for k in ('stage', 'epoch', 'history', 'trained')
    }
    for group in ('arrays', 'kept'):
        assert list(sorted(state[group])) == sorted(STATE[group])
        for name, value in STATE[group].items():
            assert state[group][name].dtype == value.dtype
            np.testing.assert_array_equal(state[group][name], value)


def test_other_tools_can_read_the_files(tmp_path):
    models.save(tmp_path / 'm.h5', STATE, CONFIG)
    with h5py.File(tmp_path / 'm.h5') as file:
        np.testing.assert_array_equal(file['parameters/conv1.W'][()], STATE['arrays']['parameters/conv1.W'])
    models.save(tmp_path / 'm.pkl', STATE, CONFIG)
    with open(tmp_path / 'm.pkl', 'rb') as file:
        plain = pickle.load(file)
    np.testing.assert_array_equal(plain['parameters/conv1.W'], STATE['arrays']['parameters/conv1.W'])


def test_a_failed_writing_leaves_the_old_file_and_nothing_else(model):
    before = model.read_bytes()
    with pytest.raises(TypeError):
        models.save(model, STATE, {'not for JSON': object()})
    bad = {**STATE, 'arrays': {'parameters/x': np.array([object()])}}
    if model.suffix == '.h5':
        with pytest.raises(TypeError):
            models.save(model, bad, CONFIG)
    assert model.read_bytes() == before
    assert os.listdir(model.parent) == [model.name]


def test_permissions_are_those_of_any_new_file(model):
    other = model.parent / 'other'
    other.touch()
    assert model.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize('keep', [0, 10, 300])
def test_a_cut_file_is_refused(model, keep):
    model.write_bytes(model.read_bytes()[:keep])
    with pytest.raises(models.ModelError, match=f"{model.name}' cannot be loaded"):
        models.load(model)


def with_checksums(flat):
    """Return the contents of a model's pickle with these entries, and their checksums."""
    return {'format': models.FORMAT, 'version': 2, **flat, 'checksums': json.dumps(checksums(flat))}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda e: e,
        lambda e: {'format': models.FORMAT, 'version': 2, 'config': e},
        lambda e: np.array([e], dtype=object),
    ],
)
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, wrap):
    path, witness = tmp_path / 'evil.pkl', tmp_path / 'it ran'
    path.write_bytes(pickle.dumps(wrap(Evil(f"'{witness}'"))))
    with pytest.raises(models.ModelError, match='could run code'):
        models.load(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    'module, name',
    [
        ('builtins', 'eval'),
        ('builtins', 'getattr'),
        ('numpy', 'load'),
        ('numpy._core.multiarray', 'fromstring'),
        ('launch', 'test'),
    ],
)
def test_a_pickle_may_name_arrays_only(tmp_path, module, name):
    path = tmp_path / 'evil.pkl'
    path.write_bytes(b'\x80\x04' + b'c' + f'{module}\n{name}\n'.encode() + b'.')
    with pytest.raises(models.ModelError, match=f'{module}.{name}'):
        models.load(path)


@pytest.mark.parametrize(
    'content, message',
    [
        ({'format': 'another'}, 'not a symfer model'),
        ({'format': models.FORMAT, 'version': 99}, 'has version 99, but this symfer reads version 2'),
        (
            with_checksums(
                {'config': '{}', 'progress': '{"stage": "train", "epoch": 0, "history": []}', 'parameters/x': 'text'}
            ),
            "'parameters/x' is not an array of numbers",
        ),
        (with_checksums({'config': 'no json'}), 'damaged'),
        ({'format': models.FORMAT, 'version': 1, 'config': '{}'}, 'has version 1, but this symfer reads version 2'),
    ],
)
def test_other_pickles_are_refused(tmp_path, content, message):
    path = tmp_path / 'm.pkl'
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(models.ModelError, match=message):
        models.load(path)


def test_other_files_are_refused(tmp_path):
    with h5py.File(tmp_path / 'other.h5', 'w') as file:
        file['x'] = 1
    with pytest.raises(models.ModelError, match='not a symfer model'):
        models.load(tmp_path / 'other.h5')
    with pytest.raises(FileNotFoundError, match='there is no model file'):
        models.load(tmp_path / 'absent.h5')


@pytest.mark.parametrize(
    'name, message', [('m.txt', 'must end in .h5'), ('', 'must end in'), ('folder.h5', 'is a folder')]
)
def test_targets_are_checked_before_any_work(tmp_path, name, message):
    (tmp_path / 'folder.h5').mkdir()
    with pytest.raises(ValueError, match=message):
        models.check_target(tmp_path / name)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match="folder '.*file/models' cannot be written"):
        models.check_target(tmp_path / 'file' / 'models' / 'm.h5')


def test_make_way_numbers_what_was_there(tmp_path):
    path = tmp_path / 'm.h5'
    assert atomic.rotate(path) is None
    for k in (1, 2):
        path.write_text(str(k))
        assert atomic.rotate(path) == tmp_path / f'm.{k}.h5'
    assert (tmp_path / 'm.1.h5').read_text() == '1' and not path.exists()
