"""Exports of parameters by name: they give the outputs of the model, and refuse what they cannot do."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from own_network import network
from small import small

import launch
import loaders
from mlp.layers import Softmax
from utils.files import models
from utils.files.extras import MissingExtra


@pytest.fixture(scope='module')
def trained(tiny_model):
    return tiny_model


@pytest.fixture(scope='module')
def images(tiny_set):
    with loaders.load(tiny_set) as data:
        return data.test.images()


@pytest.mark.parametrize('suffix', ['.h5', '.safetensors'])
def test_an_export_answers_to_the_bit_as_the_model_and_is_smaller(trained, images, tmp_path, tiny_set, suffix):
    path = launch.export(trained, tmp_path / f'out{suffix}')
    np.testing.assert_array_equal(launch.predict(path, images), launch.predict(trained, images))
    assert path.stat().st_size < trained.stat().st_size / 2
    state, config = models.load(path)
    assert all(name.startswith('parameters/') for name in state['arrays']) and not state['history']
    assert 'dataset' not in config['options'] and config['options']['network'] == 'MLP'
    assert str(tmp_path) not in json.dumps(config)
    one = launch.evaluate(path, tiny_set, folder=tmp_path / 'a', report=False, info=lambda line: None)[0]
    two = launch.evaluate(trained, tiny_set, folder=tmp_path / 'b', report=False, info=lambda line: None)[0]
    assert one == two and one['temperature'] == config['temperature']


@pytest.mark.parametrize('suffix', ['.h5', '.safetensors'])
def test_an_export_is_not_gone_on_with(trained, tmp_path, tiny_set, suffix):
    path = launch.export(trained, tmp_path / f'out{suffix}')
    with pytest.raises(ValueError, match='was exported for inference: .* resume the model that it was exported from'):
        launch.test(resume=path, dataset=tiny_set, n_epochs=9)


def test_an_export_can_be_exported(trained, images, tmp_path):
    once = launch.export(trained, tmp_path / 'a.h5')
    again = launch.export(launch.export(once, tmp_path / 'b.safetensors'), tmp_path / 'c.h5')
    assert again.read_bytes() == once.read_bytes()


def test_a_network_of_the_users_own_is_exported_with_its_class(tiny_set, images, tmp_path):
    def init(self, rng):
        self.out = Softmax(144, 3, rng=rng)

    base = network(init, lambda self, x, phase: self.out(x, phase))

    class Mine(base):
        def __init__(self, im_dim, n_classes, *, rng):
            super().__init__(rng)

    small(tiny_set, network=Mine, n_hidden=None, savename='own.h5')
    with pytest.raises(ValueError, match='pass it as network='):
        launch.export('own.h5', tmp_path / 'x.safetensors')
    path = launch.export('own.h5', tmp_path / 'x.safetensors', network=Mine)
    np.testing.assert_array_equal(
        launch.predict(path, images, network=Mine), launch.predict('own.h5', images, network=Mine)
    )


def test_what_cannot_be_exported_gets_one_error_and_leaves_nothing(trained, tmp_path):
    for arguments, error, message in (
        (dict(out='m.tflite'), ValueError, "no format has the ending of 'm.tflite': give one of h5, safetensors"),
        (dict(out='m.h5', format='tflite'), ValueError, "format must be one of h5, safetensors.*, got 'tflite'"),
        (dict(), ValueError, 'export needs a format, one of h5, safetensors'),
        (dict(format='h5'), ValueError, 'is the model itself'),
        (dict(out='there.h5'), FileExistsError, "'there.h5' already exists: choose another name, or use --overwrite"),
    ):
        Path('there.h5').write_text('mine')
        with pytest.raises(error, match=message):
            launch.export(trained, **arguments)
    assert Path('there.h5').read_text() == 'mine' and not Path('m.h5').exists()
    launch.export(trained, 'there.h5', overwrite=True)
    assert models.load('there.h5')[1]['exported']['symfer']
    with pytest.raises(ValueError, match='cannot be loaded'):
        Path('bad.h5').write_text('no model')
        launch.export('bad.h5', 'x.h5')


def test_a_full_disk_leaves_nothing_behind(trained, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(OSError, match='No space left'):
        launch.export(trained, tmp_path / 'x.h5')
    assert not list(tmp_path.iterdir())


def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    monkeypatch.setitem(sys.modules, 'safetensors.numpy', None)
    with pytest.raises(MissingExtra, match=r'safetensors is needed to write safetensors .*pip install -e "\.\[export'):
        launch.export(trained, tmp_path / 'x.safetensors')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'damage',
    [
        lambda b: b[: len(b) // 2],
        lambda b: b[:-1],
        lambda b: b'\xff' * 8 + b[8:],
        lambda b: b.replace(b'symfer model', b'another mode'),
        lambda b: b[:-3] + b'\x7f\xff\x12',
        lambda b: b'',
    ],
)
def test_damaged_safetensors_end_in_one_error(trained, tmp_path, damage):
    path = launch.export(trained, tmp_path / 'x.safetensors')
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(models.ModelError, match='cannot be loaded'):
        models.load(path)


def test_the_command(trained, tmp_path, capsys):
    assert launch.main(['export', str(trained), '--format', 'safetensors', '-o', str(tmp_path / 'y.safetensors')]) == 0
    assert "y.safetensors', 0.0 MiB" in capsys.readouterr().out
    assert launch.main(['export', str(trained), '--format', 'safetensors', '-o', str(tmp_path / 'y.safetensors')]) == 2
    assert 'already exists' in capsys.readouterr().err


def test_the_best_epoch_can_be_exported(trained, images, tmp_path):
    path = launch.export(trained, tmp_path / 'best.h5', best=True)
    saved, state = models.load(path)[0]['arrays'], models.load(trained)[0]
    for name, value in saved.items():
        np.testing.assert_array_equal(value, state['kept'][name])
    assert abs(launch.predict(path, images) - launch.predict(trained, images)).max() > 0
    with pytest.raises(ValueError, match='has no best epoch'):
        launch.export(path, tmp_path / 'again.h5', best=True)
    with pytest.warns(FutureWarning, match='kept is now best'):
        former = launch.export(trained, tmp_path / 'former.h5', kept=True)
    assert former.read_bytes() == path.read_bytes()
    assert launch.main(['export', str(trained), '--kept', '-o', str(tmp_path / 'command.h5')]) == 0
    assert (tmp_path / 'command.h5').read_bytes() == path.read_bytes()
