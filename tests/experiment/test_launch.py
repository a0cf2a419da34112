"""A whole experiment, as in a user's script."""

import re
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
from utils.layer import Layer


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
    """A network as in a user's script, with fewer arguments than those of the library."""

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
    with pytest.raises(ValueError, match='network class from a script, Mine: pass it as network='):
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
