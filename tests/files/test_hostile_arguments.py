"""Intact model files with invalid arguments and values."""

import contextlib
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import launch
import mlp
from utils.experiment import saved
from utils.files import models
from utils.files.checksums import ModelError


@pytest.mark.parametrize(
    'options, message',
    [
        ({'batch_size': -1}, 'batch_size must be a whole number >= 1'),
        ({'n_hidden': 'x'}, 'n_hidden must be'),
        ({'learning_rate': None}, 'learning_rate must be'),
        ({'on_epoch': 'x'}, "has no argument 'on_epoch'"),
        ({'learning_rte': 1}, "no argument 'learning_rte'; did you mean 'learning_rate'"),
        ({'network': 5}, 'network must be a name'),
        ({'network': 'evil.py:Evil'}, "a network 'evil.py:Evil', which this version of symfer does not know"),
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
        {'teacher_digest': 1},
        {'network_source': ['x']},
    ],
)
def test_a_damaged_configuration_is_refused(trained, tmp_path, changes):
    state, config = models.load(trained)
    models.save(tmp_path / 'm.h5', state, {**config, **changes})
    with pytest.raises(ModelError, match='its configuration is damaged'):
        launch.open_model(tmp_path / 'm.h5')


class Blocks(mlp.MLP):
    """A user-defined network with the number of blocks given by its argument."""

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
        assert seconds < 6 and most < 100 * 2**20  # traced, which makes it several times slower


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
    """Models of earlier versions lack later arguments. Any other effect of a missing argument is a single error."""
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
    with pytest.raises(BlockingIOError, match="another run has just written '.*m.h5': resume it again"):
        launch.test(resume=path, n_epochs=2, verbose=0)


def test_the_values_used_are_in_the_model_and_in_the_log(trained):
    import inspect

    config = models.load(trained)[1]
    assert set(config['options']) == set(inspect.signature(launch.test).parameters) - {
        'resume',
        'on_epoch',
        'verbose',
        'accept_changed_network',
        'devices',
        'hosts',
        'host_index',
        'n_hosts',
    }
    assert config['network_arguments']['n_hidden'] == [8] and config['network_arguments']['activation'] == 'relu'
    log = (trained.with_suffix('') / 'run-001' / 'log.txt').read_text()
    assert 'learning_rate=0.1' in log and "rule='entropy'" in log and 'of the network: ' in log
