"""The launcher: the thesis's script, resuming, what bad arguments get, the command line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import lines_without_times, parameters_of, small

import cnn
import launch
import loaders
import mlp
from utils import rna
from utils.experiment import wording
from utils.files import models
from utils.layer import Layer

ROOT = Path(__file__).parents[2]


def test_patience_ends_stage_train_and_is_recorded(tiny_set, capsys):
    result = small(tiny_set, n_epochs=40, patience=2, rule='error', p_drop=0.0, verbose=1)
    trained = [row for row in result.history if row['stage'] == 'train']
    assert len(trained) == result.epoch + 2 < 40 and 'no new minimum in 2 epochs' in capsys.readouterr().out
    assert result.config['options']['patience'] == 2
    again = launch.test(resume=result.savename, verbose=0)
    assert lines_without_times(again.history) == lines_without_times(result.history)


def test_the_script_of_the_thesis_runs_but_for_imports_and_paths(tiny_set, capsys):
    from launch import test

    result = test(
        learning_rate=0.1,
        L1_reg=0.0,
        L2_reg=0.0,
        n_epochs=2,
        dataset=tiny_set,
        batch_size=100,
        n_hidden=[32],
        activation=rna.relu(),
        batch_norm=True,
        p_drop=0.5,
        p_dropConv=[0.2, 0.3, 0.4, 0.5],
        gaussian_std=0.0,
        val=True,
        trainShared=False,
        im_dim=[12, 12],
        savename='TrainedModels/save.pkl',
        network_args={'width': 1 / 16},
    )
    out = capsys.readouterr().out
    lines = [line.split(',')[0] for line in out.splitlines() if ' epoch ' in line and 'images/s' in line]
    assert lines == [
        'train epoch 1/2',
        'train epoch 2/2',
        *(f'retrain epoch {k}/{result.epoch}' for k in range(1, result.epoch + 1)),
        *(f'anneal epoch {k}/10' for k in range(1, 11)),
    ]
    assert len(re.findall(r'epoch \d/2, validation error \d+\.\d\d % \(cross-entropy: ', out)) == 2
    assert len(re.findall(r' epoch \d+/\d+, train cost \d\.\d+ \(', out)) == result.epoch + 10
    assert 'test error, ' in out and 'special test error, whole' in out
    assert 'entropy point: epoch' in out and 'total time 0:' in out
    assert re.search(r'^#\d +A BN-drop \(set 2\) .*<--$', out, re.M)
    assert Path('TrainedModels/save.pkl').is_file() and result.figure.is_file()
    assert result.test_error == result.errors['plain']['whole']['error']
    assert result.special_test_error == result.errors['special']['whole']['error']
    assert result.config['options']['learning_rate'] == 0.1


def test_without_validation_it_prints_train_cost_and_test_error(tiny_set, capsys):
    result = small(tiny_set, val=False, show_test=True, verbose=1)
    out = capsys.readouterr().out
    assert len(re.findall(r' epoch \d/[12], train cost \d\.\d+, test error \d+\.\d\d % \(', out)) == 3
    assert result.epoch is None and result.validation_error is None
    assert [row['stage'] for row in result.history] == ['train', 'train', 'anneal']


def test_with_validation_and_show_test_it_prints_both_errors(tiny_set, capsys):
    small(tiny_set, show_test=True, verbose=1)
    assert (
        len(
            re.findall(
                r'^train epoch \d/2, validation error \d+\.\d\d %, test error \d+\.\d\d % \(',
                capsys.readouterr().out,
                re.M,
            )
        )
        == 2
    )


@pytest.mark.parametrize(
    'options, label',
    [
        ({'network': cnn.A}, 'A BN-drop (set 2)'),
        ({'network': cnn.A, 'batch_norm': False}, 'A drop (set 2)'),
        ({'network': cnn.A, 'p_drop': 0.0, 'p_dropConv': [0.0] * 4}, 'A BN (set 2)'),
        ({'network': mlp.MLP, 'p_drop': 0.0, 'batch_norm': False}, 'MLP (set 2)'),
        ({'name': 'mine'}, 'mine'),
    ],
)
def test_results_are_named_in_the_manner_of_the_thesis(tiny_set, options, label):
    with loaders.load(tiny_set) as data:
        assert (
            wording.label(
                {'network': mlp.MLP, 'batch_norm': True, 'p_drop': 0.5, 'p_dropConv': None, 'name': None, **options},
                data,
            )
            == label
        )


def test_it_learns(tiny_set):
    result = small(tiny_set, n_epochs=8, n_hidden=[16], p_drop=0.0)
    assert result.test_error < 40 and result.special_test_error < 40  # chance: 66.7
    assert result.rank == 1 + sum(e < result.special_test_error for e in (29.53, 30.83, 31.15, 32.60, 35.09))


class Mine(Layer):
    """A network as a user's script has it: takes fewer arguments than those of the library."""

    def __init__(self, im_dim, n_classes, n_hidden=(8,), filters=2, *, rng):
        from cnn.layers import Conv, MaxPool
        from mlp.layers import FullyConnected
        from utils.layer import n_features

        self.conv = Conv(1, filters, pool=MaxPool(2), rng=rng)
        self.fc = FullyConnected(n_features(self.conv, im_dim), n_classes, n_hidden, rng=rng)

    def __call__(self, x, phase):
        return self.fc(self.conv(x, phase), phase)


def test_a_network_of_the_users_own(tiny_set):
    result = small(tiny_set, network=Mine, network_args={'filters': 3})
    assert result.name.startswith('Mine')
    assert parameters_of('models/m.h5')['parameters/conv.W'].shape == (3, 3, 1, 3)
    with pytest.raises(ValueError, match='does not take p_drop; it takes n_hidden, filters'):
        small(tiny_set, network=Mine, p_drop=0.5)
    with pytest.raises(ValueError, match="does not take network_args 'width'; it takes filters"):
        small(tiny_set, network=Mine, network_args={'width': 3})
    with pytest.raises(ValueError, match='network class of a script, Mine: pass it as network='):
        launch.test(resume='models/m.h5')
    with pytest.raises(ValueError, match='pass it as network='):
        launch.predict('models/m.h5', np.zeros((1, 12, 12), np.uint8))
    assert launch.predict('models/m.h5', np.zeros((1, 12, 12), np.uint8), network=Mine).shape == (1, 3)
    again = launch.test(resume='models/m.h5', network=Mine, verbose=0)
    assert again.test_error == result.test_error


def test_a_network_of_a_script_by_its_name(tiny_set):
    Path('mynets.py').write_text('import mlp\nclass Small(mlp.MLP):\n    pass\n')
    assert small(tiny_set, network='mynets.py:Small').name.startswith('Small')
    with pytest.raises(ValueError, match="'mynets.py' has no class Smal"):
        small(tiny_set, network='mynets.py:Smal')


# -------------------------------------------------------------------------------------- bad input


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
        ({'patience': 2, 'val': False}, 'patience goes by the validation images'),
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
        (
            {'network': 'AA'},
            "network must be one of A, B, C, D, VGG, ResNet18, LeNet5, MLP or script.py:Class, got 'AA'",
        ),
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
    with pytest.raises(ValueError, match="made of FER2013 in any layout by: python -m loaders 'fer2013.csv'"):
        small('fer2013.csv')
    small(tiny_set)
    with pytest.raises(ValueError, match='m.h5'):
        small('models/m.h5', savename='other.h5')
    with pytest.raises(ValueError, match='not a symfer model'):
        launch.test(resume=tiny_set)


# -------------------------------------------------------------------------------------- prediction


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


# ------------------------------------------------------------------------------------ command line


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
    named = {name for page in pages for name in re.findall(r'\blaunch\.(\w+)(?=[(`])', page.read_text())}
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


# --------------------------------------------------------------------- optimisers, schedules, averages
