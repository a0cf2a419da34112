"""Files from outside: hostile until proved otherwise."""

import contextlib
import io
import os
import pickle
import time
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import launch
import loaders
import mlp
from utils.experiment import saved
from utils.files import models
from utils.files.bounded import BoundedGenerator
from utils.files.checksums import ModelError, checksums
from utils.files.pickles import read_pickle

ROOT = Path(__file__).parents[2]
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


# ---------------------------------------------------------------------------------------- checksums


def change(path, name, value):
    """Another value for an entry, everything else as it was."""
    if path.suffix == '.pkl':
        flat = read_pickle(path)
        if value is None:
            del flat[name]
        else:
            flat[name] = value
        path.write_bytes(pickle.dumps(flat, 4))
        return
    with h5py.File(path, 'r+') as file:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = (
                value
                if not isinstance(value, str)
                else np.array(value.encode(), h5py.string_dtype('utf-8', len(value)))
            )


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
        ModelError, match=f"{model.name}' cannot be loaded: its checksums do not fit '{name}': it was damaged"
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


# --------------------------------------------------------------------------------------------- HDF5


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
            'is a link to somewhere else',
        ),
        (replaced(lambda g: g.__setitem__('fc.W', h5py.SoftLink('/counter'))), 'is a link to somewhere else'),
        (replaced(lambda g: g.__setitem__('fc.W', h5py.SoftLink('/parameters/fc.W'))), 'is a link to somewhere else'),
        (replaced(lambda g: g.__setitem__('fc.W', g)), 'is there under another name too'),
        (replaced(lambda g: g.__setitem__('fc.W', g.file)), 'is there under another name too'),
        (replaced(lambda g: g.__setitem__('fc.W', g.file['counter'])), 'is there under another name too'),
        (
            replaced(lambda g: g.create_dataset('fc.W', (2, 3), 'f4', external=[('/etc/passwd', 0, 24)])),
            'not stored in one piece',
        ),
        (replaced(virtual), 'not stored in one piece'),
        (
            replaced(lambda g: g.create_dataset('fc.W', (1 << 24,), 'f4', chunks=(1 << 20,), compression='gzip')),
            'not stored in one',
        ),
        (replaced(lambda g: g.create_dataset('fc.W', (1 << 24, 1 << 24), 'f4')), 'the file has no room for it'),
        (replaced(lambda g: g.create_dataset('fc.W', data=np.zeros(3, 'c8'))), 'has type complex64, numbers expected'),
        (
            replaced(lambda g: g.create_dataset('fc.W', data=np.array(['a', 'b'], 'S1'))),
            r'has type \|S1, numbers expected',
        ),
        (
            replaced(lambda g: g.create_dataset('fc.W', data=['a' * 99] * 2, dtype=h5py.string_dtype())),
            'numbers expected',
        ),
        (replaced(lambda g: g.__setitem__('fc.W', np.dtype('f4'))), 'neither a group nor a data set'),
        (lambda f: f.attrs.__setitem__('format', np.bytes_('x' * 1000)), "attribute 'format' is neither a short text"),
        (lambda f: f.attrs.__setitem__('version', 3), 'it is of version 3'),
        (lambda f: f.attrs.__setitem__('version', 1), 'it is of version 1, this symfer reads version 2'),
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


# ------------------------------------------------------------------------------------------- pickle

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
    """NumPy's own unpickling would take these bytes for addresses."""
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


# ---------------------------------------------------------------- what a model's arguments may bring


@pytest.fixture(scope='module')
def trained(tiny_set, tmp_path_factory):
    path = tmp_path_factory.mktemp('trained') / 'm.h5'
    launch.test(
        network=mlp.MLP,
        n_hidden=[8],
        batch_size=50,
        statistics_images=50,
        anneal_epochs=0,
        n_epochs=1,
        verbose=0,
        report=False,
        retrain=False,
        dataset=tiny_set,
        savename=path,
    )
    return path


@pytest.mark.parametrize(
    'options, message',
    [
        ({'batch_size': -1}, 'batch_size must be a whole number >= 1'),
        ({'n_hidden': 'x'}, 'n_hidden must be'),
        ({'learning_rate': None}, 'learning_rate must be'),
        ({'on_epoch': 'x'}, "has no argument 'on_epoch'"),
        ({'learning_rte': 1}, "no argument 'learning_rte'; did you mean 'learning_rate'"),
        ({'network': 5}, 'network must be a name'),
        ({'network': 'evil.py:Evil'}, "a network 'evil.py:Evil', which this symfer does not know"),
        ({'n_hidden': [10**9]}, 'a network much larger than the parameters in the file'),
        ({'network_args': {'rng': 1}}, 'do not fit it'),
        ({'network_args': {'im_dim': [10**6] * 2}}, 'do not fit it'),
        ({'name': 'a\x1b[2Jb'}, 'name must be a text of one line'),
    ],
)
def test_hostile_arguments_in_a_model_are_refused(trained, tmp_path, monkeypatch, options, message):
    state, config = models.load(trained)
    Path(tmp_path / 'evil.py').write_text('raise SystemExit')
    monkeypatch.chdir(tmp_path)
    models.save(tmp_path / 'evil.h5', state, {**config, 'options': {**config['options'], **options}})
    with pytest.raises(ValueError, match=message):
        launch.open_model('evil.h5')
    with pytest.raises((ValueError, TypeError)):
        launch.test(resume='evil.h5', verbose=0)


@pytest.mark.parametrize(
    'changes',
    [
        {'im_dim': [10**9, 10**9]},
        {'classes': []},
        {'classes': ['\x1b[2J', 'b', 'c']},
        {'options': []},
        {'fingerprint': 1},
        {'bundled_network': 'yes'},
        {'content_digest': 1},
        {'network_source': ['x']},
    ],
)
def test_a_damaged_configuration_is_refused(trained, tmp_path, changes):
    state, config = models.load(trained)
    models.save(tmp_path / 'm.h5', state, {**config, **changes})
    with pytest.raises(ModelError, match='its configuration is damaged'):
        launch.open_model(tmp_path / 'm.h5')


class Blocks(mlp.MLP):
    """A network of the user's own with as many blocks as its argument says."""

    def __init__(self, im_dim, n_classes, n_hidden=(8,), blocks=0, rows=0, *, rng):
        super().__init__(im_dim, n_classes, n_hidden, rng=rng)
        self.blocks = [mlp.MLP((1, 1), 1, [], rng=rng) for _ in range(blocks)]
        self.rows = rng.standard_normal((rows, 1000))


@pytest.mark.parametrize(
    'network, options',
    [
        (None, {'n_hidden': [1] * 100_000}),
        (None, {'n_hidden': [[1] * 300] * 300}),
        (None, {'n_hidden': [10**400]}),
        (None, {'p_drop': [0.5] * 100_000}),
        (None, {'p_dropConv': [0.5] * 100_000}),
        (None, {'p_dropConv': [[0.5] * 300] * 300}),
        (None, {'network': 'A', 'network_args': {'width': 1e9}}),
        (None, {'network': 'A', 'network_args': {'width': 1e308}}),
        (None, {'network': 'A', 'network_args': {'width': 10**400}}),
        (None, {'network': 'A', 'network_args': {'width': [1] * 100_000}}),
        (None, {'network': 'x' * 10**6}),
        (None, {'network_args': {'n_hidden': [1] * 100_000}}),
        (None, {'network_args': {'x' * 10**6: 1}}),
        (Blocks, {'network_args': {'blocks': 10**6}}),
        (Blocks, {'network_args': {'rows': 10**7}}),
    ],
)
def test_a_configuration_of_absurd_size_is_refused_before_a_network_is_made(trained, tmp_path, network, options):
    state, config = models.load(trained)
    path = tmp_path / 'm.h5'
    own = {'network': 'Blocks'} if network else {}
    models.save(path, state, {**config, 'options': {**config['options'], 'p_dropConv': None, **own, **options}})
    for act in (
        lambda: launch.open_model(path, network),
        lambda: launch.test(resume=path, verbose=0, **({'network': network} if network else {})),
    ):
        tracemalloc.start()
        start = time.process_time()
        with pytest.raises(ModelError) as caught:
            act()
        seconds, (_, most) = time.process_time() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(str(caught.value)) < 1000
        assert seconds < 3 and most < 100 * 2**20  # traced, which makes it several times slower


def test_a_list_of_many_layers_takes_no_more_than_its_reading(trained, tmp_path, monkeypatch):
    state, config = models.load(trained)
    models.save(tmp_path / 'm.h5', state, {**config, 'options': {**config['options'], 'n_hidden': [1] * 100_000}})
    monkeypatch.setattr(saved, 'make_network', None)  # not reached
    start = time.process_time()
    with pytest.raises(
        ModelError, match=r'n_hidden has 100000 values, more than the file has arrays of parameters \(7\)'
    ):
        launch.open_model(tmp_path / 'm.h5')
    assert time.process_time() - start < 1


@pytest.mark.parametrize('missing', ['everything', 'network'])
def test_a_model_whose_configuration_lacks_what_is_needed_is_refused(trained, tmp_path, missing):
    state, config = models.load(trained)
    options = (
        {} if missing == 'everything' else {key: value for key, value in config['options'].items() if key != missing}
    )
    models.save(tmp_path / 'm.h5', state, {**config, 'options': options})
    for act in (
        lambda: launch.open_model(tmp_path / 'm.h5'),
        lambda: launch.open_model(tmp_path / 'm.h5', mlp.MLP),
        lambda: launch.test(resume=tmp_path / 'm.h5', verbose=0),
    ):
        with pytest.raises(ModelError, match='its configuration is damaged, it names no network'):
            act()


def test_any_argument_may_be_missing_from_a_model_or_be_none(trained, tmp_path):
    """Models written before there was an argument have none of it; whatever else comes of it is one error."""
    state, config = models.load(trained)
    for key in config['options']:
        for options in ({k: v for k, v in config['options'].items() if k != key}, {**config['options'], key: None}):
            models.save(tmp_path / 'm.h5', state, {**config, 'options': options})
            for act in (
                lambda: launch.open_model(tmp_path / 'm.h5'),
                lambda: launch.test(resume=tmp_path / 'm.h5', n_epochs=2, verbose=0, dataset='none.h5'),
            ):
                with contextlib.suppress(ValueError, OSError):
                    act()


@pytest.mark.parametrize(
    'change',
    [
        lambda state: state['arrays'].update({'parameters/fc.softmax.b': np.zeros(3)}),
        lambda state: state.update(kept=None),
        lambda state: state.update(stage='anneal', trained=None),
        lambda state: state['history'][0].pop('train_cost'),
    ],
)
def test_a_model_that_contradicts_itself_is_not_gone_on_with(trained, tmp_path, change):
    state, config = models.load(trained)
    change(state)
    models.save(tmp_path / 'm.h5', state, config)
    with pytest.raises(ValueError, match='the saved model is (of another architecture; of another type|incomplete)'):
        launch.test(resume=tmp_path / 'm.h5', n_epochs=3, verbose=0)


@pytest.mark.parametrize('group', ['arrays', 'kept', 'trained'])
@pytest.mark.parametrize(
    'name, value, message',
    [
        ('parameters/fc.softmax.W', np.nan, 'has values that are infinite or NaN'),
        ('parameters/fc.hidden0.norm.mean', -np.inf, 'has values that are infinite or NaN'),
        ('parameters/fc.hidden0.norm.var', np.inf, 'has values that are infinite or NaN'),
        ('parameters/fc.hidden0.norm.var', -1e-3, 'has variances below 0'),
    ],
)
def test_a_model_that_would_give_no_numbers_is_refused(trained, tmp_path, group, name, value, message):
    state, config = models.load(trained)
    state[group][name] = state[group][name].copy()
    state[group][name].flat[1] = value
    models.save(tmp_path / 'm.h5', state, config)
    for use in (
        lambda: launch.open_model(tmp_path / 'm.h5'),
        lambda: launch.test(resume=tmp_path / 'm.h5', verbose=0),
        lambda: launch.predict(tmp_path / 'm.h5', np.zeros((1, 12, 12), np.uint8)),
    ):
        with pytest.raises(ModelError, match=f"m.h5' cannot be loaded: .*{name} {message}"):
            use()


@pytest.mark.parametrize('name', ['optimiser/velocity.fc.softmax.W', 'kept/optimiser/velocity.fc.softmax.W'])
def test_a_state_of_the_optimiser_that_is_not_finite_is_refused(trained, tmp_path, name):
    state, config = models.load(trained)
    arrays, rest = (state['kept'], name.removeprefix('kept/')) if name.startswith('kept/') else (state['arrays'], name)
    arrays[rest] = np.full((8, 3), np.inf, 'float32')
    models.save(tmp_path / 'm.h5', state, config)
    with pytest.raises(ModelError, match=f'{name} has values that are infinite or NaN'):
        launch.test(resume=tmp_path / 'm.h5', verbose=0)


def test_a_model_that_another_run_has_written_meanwhile_is_not_overwritten(trained, tmp_path, monkeypatch):
    path = tmp_path / 'm.h5'
    state, config = models.load(trained)
    models.save(path, state, config)
    original = launch.CONTEXT.open_data

    def open_data(*args):
        models.save(path, state, config)
        return original(*args)

    monkeypatch.setattr(launch.CONTEXT, 'open_data', open_data)
    with pytest.raises(BlockingIOError, match='was written by another run just now'):
        launch.test(resume=path, n_epochs=2, verbose=0)


def test_the_values_used_are_in_the_model_and_in_the_log(trained):
    import inspect

    config = models.load(trained)[1]
    assert set(config['options']) == set(inspect.signature(launch.test).parameters) - {
        'resume',
        'on_epoch',
        'verbose',
        'accept_changed_network',
    }
    assert config['network_arguments']['n_hidden'] == [8] and config['network_arguments']['activation'] == 'relu'
    log = (trained.with_suffix('') / 'run-001' / 'log.txt').read_text()
    assert 'learning_rate=0.1' in log and "rule='entropy'" in log and 'of the network: ' in log


def test_draws_are_those_of_the_generator_up_to_the_limit():
    rng = BoundedGenerator(np.random.PCG64(3), 10)
    np.testing.assert_array_equal(rng.uniform(-1, 1, (3, 4)), np.random.default_rng(3).uniform(-1, 1, (3, 4)))
    with pytest.raises(ModelError, match='much larger'):
        rng.uniform(0, 1, (10**6, 10**6))


def test_checksums_tell_types_and_shapes_apart():
    sums = checksums(
        {str(k): v for k, v in enumerate((np.zeros(4, 'f4'), np.zeros((2, 2), 'f4'), np.zeros(4, 'i4'), ''))}
    )
    assert len(set(sums.values())) == 4


# ------------------------------------------------------------------------------------------ the data


def test_damaged_pixels_of_a_set_are_noticed(tiny_set, tmp_path):
    content = bytearray(Path(tiny_set).read_bytes())
    with loaders.load(tiny_set) as data, h5py.File(tiny_set) as file:
        assert data.verify()
        at = file['training/x'].id.get_offset()
    content[at + 1000] ^= 4
    path = tmp_path / 'set2.h5'
    path.write_bytes(content)
    with (
        loaders.load(path) as data,
        pytest.raises(loaders.DataError, match='training/x was damaged after it was written'),
    ):
        data.verify()
    with pytest.raises(ValueError, match='training/x was damaged'):
        launch.test(dataset=path, savename=tmp_path / 'm.h5', verbose=0)
    with pytest.raises(loaders.DataError, match='training/x was damaged'):
        loaders.read(path)


def test_links_pipes_and_devices_in_a_folder_are_refused(tmp_path):
    for name in ('train/a/1.png', 'train/b/1.png', 'test/a/1.png', 'test/b/1.png'):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True)
        path.touch()
    path.unlink()
    for make in (os.mkfifo, lambda p: p.symlink_to('/dev/zero'), lambda p: p.symlink_to('/etc/passwd')):
        make(path)
        with pytest.raises(loaders.DataError, match='a link, a pipe or a device|can be decoded'):
            loaders.read(tmp_path / 'images')
        path.unlink()
    os.mkfifo(tmp_path / 'pipe.csv')
    with pytest.raises(loaders.DataError, match='a pipe or a device'):
        loaders.read(tmp_path / 'pipe.csv')
