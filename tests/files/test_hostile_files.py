"""Model files of unknown origin: none runs code, and every bad one raises one error."""

import io
import pickle

import h5py
import numpy as np
import pytest
from hostile_data import change
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from utils.files import models
from utils.files.checksums import ModelError

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


ROW = {'stage': 'train', 'epoch': 1, 'rate': 0.1, 'train_cost': 1.2, 'validation_error': None}


STATE = {
    'arrays': {'parameters/fc.W': np.arange(6, dtype='float32').reshape(2, 3), 'counter': np.asarray(7, np.uint32)},
    'kept': {'parameters/fc.W': np.zeros((2, 3), 'float32')},
    'trained': None,
    'stage': 'train',
    'epoch': 1,
    'history': [ROW],
}


CONFIG = {'options': {'seed': 0}}


@pytest.fixture(params=['.h5', '.pkl'])
def model(request, tmp_path):
    path = tmp_path / f'model{request.param}'
    models.save(path, STATE, CONFIG)
    return path


@pytest.mark.parametrize(
    'name, value',
    [
        ('parameters/fc.W', np.ones((2, 3), 'float32')),
        ('parameters/fc.W', np.arange(6, dtype='float32').reshape(3, 2)),
        ('parameters/fc.W', np.arange(6, dtype='int32').reshape(2, 3)),
        ('counter', np.asarray(8, np.uint32)),
        ('config', '{"options": {"seed": 1}}'),
        ('kept/parameters/fc.W', None),
        ('extra', np.zeros(2, 'float32')),
    ],
)
def test_what_was_changed_after_writing_is_named(model, name, value):
    change(model, name, value)
    with pytest.raises(
        ModelError, match=f"{model.name}' cannot be loaded: the checksums of '{name}' do not match: it was damaged"
    ):
        models.load(model)


numbers = hnp.arrays(
    st.sampled_from(['f4', 'u4', 'f8', 'i8', 'u1']), hnp.array_shapes(min_dims=0, max_dims=4, max_side=4)
)


@quick
@given(
    st.dictionaries(st.from_regex(r'[a-z]{1,8}(\.[a-zA-Z0-9]{1,5}){0,3}', fullmatch=True), numbers, max_size=5),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
    st.sampled_from(['.h5', '.pkl']),
)
def test_any_arrays_and_arguments_come_back(tmp_path, arrays, options, suffix):
    state = {**STATE, 'arrays': {f'parameters/{name}': value for name, value in arrays.items()}}
    models.save(tmp_path / f'm{suffix}', state, {'options': options})
    read, config = models.load(tmp_path / f'm{suffix}')
    assert config == {'options': options} and list(read['arrays']) == sorted(state['arrays']) or suffix == '.pkl'
    for name, value in state['arrays'].items():
        assert read['arrays'][name].dtype == value.dtype and read['arrays'][name].shape == value.shape
        assert read['arrays'][name].tobytes() == value.tobytes()


def replaced(make):
    def hostile(file):
        del file['parameters/fc.W']
        make(file['parameters'])

    return hostile


def virtual(group):
    layout = h5py.VirtualLayout((2, 3), 'f4')
    layout[:] = h5py.VirtualSource('/etc/passwd', 'x', (2, 3))
    group.create_virtual_dataset('fc.W', layout)


@pytest.mark.parametrize(
    'hostile, message',
    [
        (
            replaced(lambda g: g.__setitem__('fc.W', h5py.ExternalLink('/etc/passwd', '/x'))),
            'is a link, not stored in this file',
        ),
        (replaced(lambda g: g.__setitem__('fc.W', h5py.SoftLink('/counter'))), 'is a link, not stored in this file'),
        (
            replaced(lambda g: g.__setitem__('fc.W', h5py.SoftLink('/parameters/fc.W'))),
            'is a link, not stored in this file',
        ),
        (replaced(lambda g: g.__setitem__('fc.W', g)), 'also exists under another name'),
        (replaced(lambda g: g.__setitem__('fc.W', g.file)), 'also exists under another name'),
        (replaced(lambda g: g.__setitem__('fc.W', g.file['counter'])), 'also exists under another name'),
        (
            replaced(lambda g: g.create_dataset('fc.W', (2, 3), 'f4', external=[('/etc/passwd', 0, 24)])),
            'not stored contiguously',
        ),
        (replaced(virtual), 'not stored contiguously'),
        (
            replaced(lambda g: g.create_dataset('fc.W', (1 << 24,), 'f4', chunks=(1 << 20,), compression='gzip')),
            'not stored contiguously within',
        ),
        (replaced(lambda g: g.create_dataset('fc.W', (1 << 24, 1 << 24), 'f4')), 'the file has no room for it'),
        (replaced(lambda g: g.create_dataset('fc.W', data=np.zeros(3, 'c8'))), 'has type complex64, expected numbers'),
        (
            replaced(lambda g: g.create_dataset('fc.W', data=np.array(['a', 'b'], 'S1'))),
            r'has type \|S1, expected numbers',
        ),
        (
            replaced(lambda g: g.create_dataset('fc.W', data=['a' * 99] * 2, dtype=h5py.string_dtype())),
            'expected numbers',
        ),
        (replaced(lambda g: g.__setitem__('fc.W', np.dtype('f4'))), 'neither a group nor a data set'),
        (lambda f: f.attrs.__setitem__('format', np.bytes_('x' * 1000)), "attribute 'format' is neither a short text"),
        (lambda f: f.attrs.__setitem__('version', 3), 'it has version 3'),
        (lambda f: f.attrs.__setitem__('version', 1), 'it has version 1, but this symfer reads version 2'),
        (lambda f: f.attrs.__setitem__('format', 'symfer model'), "attribute 'format' is neither a short text"),
        (lambda f: f.attrs.__setitem__('version', np.arange(2)), "attribute 'version' is neither"),
        (lambda f: f.__delitem__('config'), 'not a symfer model'),
    ],
)
def test_hostile_hdf5_is_refused_before_it_is_read(tmp_path, hostile, message):
    path = tmp_path / 'm.h5'
    models.save(path, STATE, CONFIG)
    with h5py.File(path, 'r+') as file:
        hostile(file)
    with pytest.raises(ModelError, match=message):
        models.load(path)


laugh = ['x']
for _ in range(60):
    laugh = (laugh, laugh)


@pytest.mark.parametrize(
    'value',
    [
        laugh,
        {'a': 1},
        {1},
        [1],
        1.5,
        2**70,
        np.zeros(2, object),
        np.zeros(2, [('a', 'f4')]),
        np.zeros(2, '>f4'),
        np.datetime64(3, 's'),
        np.array('x'),
        io.BytesIO,
        len,
    ],
)
def test_pickles_of_other_things_are_refused(tmp_path, value):
    path = tmp_path / 'm.pkl'
    path.write_bytes(pickle.dumps({'format': models.FORMAT, 'version': 2, 'x': value}, 4))
    with pytest.raises(ModelError):
        models.load(path)


def test_an_object_array_given_as_bytes_is_refused(tmp_path):
    """NumPy's unpickling would interpret these bytes as addresses."""
    content = pickle.dumps({'format': models.FORMAT, 'version': 2, 'x': np.arange(3, dtype='f8')}, 4)
    (tmp_path / 'm.pkl').write_bytes(content.replace(b'\x8c\x02f8', b'\x8c\x02O8'))
    with pytest.raises(ModelError, match="an array of type 'O8'"):
        models.load(tmp_path / 'm.pkl')


@pytest.mark.parametrize(
    'content',
    [
        b'\x80\x04\x8e' + (1 << 50).to_bytes(8, 'little') + b'x.',  # a petabyte of bytes
        b'\x80\x04' + b'(' * 100_000 + b'.',
        b'\x80\x04}\x94' + b'h\0' * 50_000 + b'.',
        b'',
        b'\x80\x04N.',
        b'I01\n.',
    ],
)
def test_absurd_pickles_are_refused(tmp_path, content):
    (tmp_path / 'm.pkl').write_bytes(content)
    with pytest.raises(ModelError):
        models.load(tmp_path / 'm.pkl')


def test_an_entry_that_is_there_twice_is_refused(tmp_path):
    content = pickle.dumps({'format': models.FORMAT, 'aaaa': 1, 'bbbb': 2}, 4).replace(b'bbbb', b'aaaa')
    (tmp_path / 'm.pkl').write_bytes(content)
    with pytest.raises(ModelError, match="the entry 'aaaa' twice"):
        models.load(tmp_path / 'm.pkl')


@quick
@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_a_model_error(tmp_path, content):
    for name in ('m.pkl', 'm.h5'):
        (tmp_path / name).write_bytes(b'\x80\x04' * name.endswith('.pkl') + content)
        with pytest.raises(ModelError):
            models.load(tmp_path / name)
