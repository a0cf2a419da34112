"""Bad arguments and foreign files; predictions; the command line as a process."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import small

import cnn
import launch
import loaders
from utils.files import models

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    'options, message',
    [
        ({'network': cnn.A, 'p_dropConv': [0.1, 0.2]}, 'each of the 4 convolutions of network A, got 2'),
        ({'im_dim': [48, 48]}, r'size of the images of .* \[12, 12\], got \[48, 48\]'),
        ({'im_dim': [48]}, 'im_dim must be height and width'),
        ({'network': cnn.B, 'p_dropConv': None}, '12x12 pixels are too small for network B: images of 1x1 pixels'),
        ({'p_drop': 1.0}, r'p_drop must be probabilities of dropping in \[0, 1\), got 1.0'),
        ({'p_drop': -0.5}, r'in \[0, 1\), got -0.5'),
        ({'network': cnn.A, 'p_dropConv': [0, 0, 0, 2]}, r'p_dropConv must be probabilities .*got \[0, 0, 0, 2\]'),
        ({'dataset': 'absent.h5'}, 'absent.h5'),
        ({'savename': 'x.doc'}, "must end in .h5, .hdf5, .pkl, got 'x.doc'"),
        ({'batch_size': 201}, 'between 1 and the 200 images of the reduced_training set, got 201'),
        ({'batch_size': 2.5}, 'batch_size must be a whole number >= 1, got 2.5'),
        ({'n_epochs': 0}, 'n_epochs must be a whole number >= 1, got 0'),
        ({'patience': -1}, 'patience must be a whole number >= 0, got -1'),
        ({'patience': 2, 'val': False}, 'patience needs the validation images'),
        ({'learning_rate': 0}, 'learning_rate must be a number > 0, got 0'),
        ({'learning_rate': '0.1'}, "learning_rate must be a number > 0, got '0.1'"),
        ({'L2_reg': -1}, 'L2_reg must be a number >= 0, got -1'),
        ({'momentum': 1}, r'momentum must be a number in \[0, 1\), got 1'),
        ({'n_hidden': [3, -1]}, 'n_hidden must be a list of whole numbers >= 1'),
        ({'activation': 'relus'}, 'activation must be one of relu, sigmoid, tanh'),
        ({'activation': 3}, 'activation must be'),
        ({'precision': 'half'}, "precision must be one of float32, tf32, bf16, got 'half'"),
        ({'rule': 'luck'}, "rule must be 'entropy' or 'error', got 'luck'"),
        ({'seed': -1}, 'seed must be'),
        ({'seed': 2**32}, 'seed must be'),
        ({'val': 'yes'}, "val must be True or False, got 'yes'"),
        ({'network': 'AA'}, "network must be one of A, B, .* MLP or script.py:Class, got 'AA'"),
        ({'network_args': [1]}, 'network_args must be a dict'),
        ({'network_args': {'f': object()}}, 'does not take network_args'),
        ({'resume': 'absent.h5'}, 'no model file'),
    ],
)
def test_bad_arguments_get_one_clear_error_before_anything_is_trained(tiny_set, options, message):
    with pytest.raises((ValueError, OSError), match=message):
        small(tiny_set, **options)
    assert not list(Path('.').rglob('*.h5'))


def test_an_unknown_argument_is_refused_with_the_nearest_known_one():
    with pytest.raises(TypeError, match="no argument 'learning_rte'; did you mean 'learning_rate'"):
        launch.test(learning_rte=0.1)


def test_foreign_files_are_refused(tiny_set):
    Path('text.h5').write_text('not HDF5')
    with pytest.raises(ValueError, match='text.h5'):
        small('text.h5')
    Path('fer2013.csv').write_text('emotion,pixels,Usage')
    with pytest.raises(ValueError, match="make one from FER2013 in any layout, run: python -m loaders 'fer2013.csv'"):
        small('fer2013.csv')
    small(tiny_set)
    with pytest.raises(ValueError, match='m.h5'):
        small('models/m.h5', savename='other.h5')
    with pytest.raises(ValueError, match='not a symfer model'):
        launch.test(resume=tiny_set)


def test_predict_gives_probabilities_of_single_images_and_batches(tiny_set):
    result = small(tiny_set, n_epochs=6, p_drop=0.0)
    with loaders.load(tiny_set) as data:
        images, labels = data.test.images(), data.test.y
    p = launch.predict('models/m.h5', images, batch_size=32)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert 100 * (p.argmax(axis=1) != labels).mean() == pytest.approx(result.test_error)
    np.testing.assert_allclose(launch.predict('models/m.h5', images[5:6]), p[5:6], rtol=1e-4)
    for wrong in (images[0], images.astype(float), images[:, :10], images[:0]):
        with pytest.raises(ValueError, match=r'uint8 of shape \(n, 12, 12\)'):
            launch.predict('models/m.h5', wrong)


@pytest.mark.parametrize('batch_size', [0, -1, 2.5])
def test_a_batch_size_that_is_none_is_refused_before_the_model_is_read(batch_size):
    for use in (
        lambda: launch.predict('absent.h5', np.zeros((1, 12, 12), np.uint8), batch_size=batch_size),
        lambda: launch.evaluate('absent.h5', 'absent_set.h5', batch_size=batch_size),
    ):
        with pytest.raises(ValueError, match='batch_size must be a whole number >= 1'):
            use()


def shell(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, ROOT / 'launch.py', *map(str, arguments)], capture_output=True, text=True, **kwargs
    )


def test_the_command_line_runs_an_experiment(tiny_set):
    done = shell(
        '--dataset',
        tiny_set,
        '--network',
        'MLP',
        '--n_hidden',
        8,
        4,
        '--n-epochs',
        2,
        '--anneal_epochs',
        1,
        '--batch_size',
        50,
        '--activation',
        'tanh',
        '--no-trainShared',
        '--savename',
        'cli/m.h5',
    )
    assert done.returncode == 0, done.stderr
    assert 'train epoch 2/2, validation error' in done.stdout
    assert done.stderr == ''
    options = models.load('cli/m.h5')[1]['options']
    assert (options['n_hidden'], options['activation'], options['trainShared']) == ([8, 4], 'tanh', False)


def test_what_the_documentation_names_is_public_and_documented():
    pages = [ROOT / 'README.md', *(ROOT / 'docs').glob('*.md'), *(ROOT / 'examples').glob('*.py')]
    named = {name for page in pages for name in re.findall(r'\blaunch\.(\w+)(?=[(`])', page.read_text())} - {'py'}
    assert {'test', 'predict', 'read_config'} <= named <= set(launch.__all__)
    for name in launch.__all__:
        assert getattr(launch, name).__doc__


def test_read_config_names_an_argument_that_test_does_not_take():
    Path('c.yaml').write_text('learning_rat: 1')
    with pytest.raises(
        ValueError, match="'c.yaml': test.. has no argument 'learning_rat'; did you mean 'learning_rate'"
    ):
        launch.read_config('c.yaml')


def test_errors_on_the_command_line_are_one_line(tiny_set):
    done = shell('--dataset', tiny_set, '--network', 'A', '--p_dropConv', 0.1)
    assert done.returncode == 2
    assert done.stderr == (
        'error: p_dropConv must have one probability for each of the 4 convolutions of network A, got 1: [0.1]\n'
    )


def test_nothing_is_said_about_a_missing_compiler(tiny_set):
    done = shell(
        '--dataset',
        tiny_set,
        '--network',
        'MLP',
        '--n_epochs',
        1,
        '--batch_size',
        50,
        '--savename',
        'm.h5',
        '--no-report',
        '--n_hidden',
        4,
        '--anneal_epochs',
        1,
        env={'PATH': '/nowhere', 'HOME': '/nowhere'},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
