"""Arguments of the network's class: which are defaults, passed on and saved."""

import functools
import json
from pathlib import Path
from typing import Unpack

import numpy as np
import pytest
import yaml

import cnn
import launch
import mlp
from mlp.layers import FullyConnected
from utils import rna
from utils.experiment import schema
from utils.experiment.arguments import NETWORK_OPTIONS
from utils.files import models
from utils.layer import Layer
from utils.layers import LayerOptions

DOCS = Path(__file__).parents[2] / 'docs'


SMALL = dict(batch_size=50, statistics_images=50, anneal_epochs=1, n_epochs=1, verbose=0, report=False)


def run(tiny_set, **options):
    return launch.test(**{**SMALL, 'dataset': tiny_set, 'savename': 'm.h5', **options})


def options_of(network, **options):
    everything = launch.CONTEXT.serialise({'network': network, **options})
    return {key: everything[key] for key in NETWORK_OPTIONS}


class Mine(Layer):
    """Accepts two of the six options."""

    def __init__(self, im_dim, n_classes, n_hidden=(6,), p_drop=0.25, *, rng):
        self.fc = FullyConnected(im_dim[0] * im_dim[1], n_classes, n_hidden, p_drop, rng=rng)

    def __call__(self, x, phase):
        return self.fc(x, phase)


class Plain(Layer):
    """Accepts no option, and has no hidden layer."""

    def __init__(self, im_dim, n_classes, *, rng):
        self.fc = FullyConnected(im_dim[0] * im_dim[1], n_classes, (), rng=rng)

    def __call__(self, x, phase):
        return self.fc(x, phase)


class OneUnitCount(Mine):
    """Its n_hidden is a single number."""

    def __init__(self, im_dim, n_classes, n_hidden=5, *, rng):
        super().__init__(im_dim, n_classes, [n_hidden + 1], rng=rng)


class HandsOn(Mine):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class SharesOptions(Mine):
    """Passes on all options that every layer accepts."""

    def __init__(self, im_dim, n_classes, n_hidden=(6,), *, rng, **options: Unpack[LayerOptions]):
        self.fc = FullyConnected(im_dim[0] * im_dim[1], n_classes, n_hidden, rng=rng, **options)


class SharesThemInText(SharesOptions):
    def __init__(self, im_dim, n_classes, n_hidden=(6,), *, rng, **options: 'Unpack[LayerOptions]'):
        super().__init__(im_dim, n_classes, n_hidden, rng=rng, **options)


class Demands(Mine):
    def __init__(self, im_dim, n_classes, p_drop, filters=1, *, rng):
        super().__init__(im_dim, n_classes, p_drop=p_drop, rng=rng)


THESIS = {'n_hidden': [1024], 'activation': 'relu', 'batch_norm': True, 'p_drop': 0.5, 'gaussian_std': 0.0}


@pytest.mark.parametrize(
    'network, expected',
    [
        (cnn.A, {**THESIS, 'p_dropConv': [0.2, 0.3, 0.4, 0.5]}),
        (cnn.B, {**THESIS, 'p_dropConv': [0.2, 0.3, 0.4, 0.4, 0.2, 0.2]}),
        (cnn.C, THESIS),
        (cnn.D, THESIS),
        (mlp.MLP, {**THESIS, 'p_dropConv': []}),
        (cnn.LeNet5, {'n_hidden': [120, 84], 'activation': 'tanh', 'batch_norm': False, 'p_drop': 0.0}),
        (cnn.ResNet18, {'n_hidden': [], 'p_drop': 0.0}),
        (cnn.VGG, {'n_hidden': [4096, 4096], 'p_drop': 0.2}),
        (functools.partial(mlp.MLP, n_hidden=[3]), {**THESIS, 'n_hidden': [3]}),
        (
            Mine,
            {
                'n_hidden': [6],
                'p_drop': 0.25,
                'activation': None,
                'batch_norm': None,
                'p_dropConv': None,
                'gaussian_std': None,
            },
        ),
        (Plain, dict.fromkeys(NETWORK_OPTIONS)),
        (HandsOn, dict.fromkeys(NETWORK_OPTIONS)),
        (Demands, {'n_hidden': None, 'p_drop': 0.5}),
        (SharesOptions, {**THESIS, 'n_hidden': [6], 'p_drop': None, 'p_dropConv': None}),
        (SharesThemInText, {**THESIS, 'n_hidden': [6], 'p_drop': None}),
    ],
)
def test_options_that_are_not_given_are_those_of_the_networks_class(network, expected):
    found = options_of(network)
    assert {key: found[key] for key in expected} == expected


def test_an_option_that_is_given_is_used_and_none_means_the_default_of_the_class():
    assert options_of(cnn.LeNet5, n_hidden=[9], activation=rna.relu(), p_drop=None)['n_hidden'] == [9]
    assert options_of(cnn.LeNet5, n_hidden=[9], activation=rna.relu(), p_drop=None)['activation'] == 'relu'
    assert options_of(cnn.LeNet5, p_drop=None)['p_drop'] == 0.0
    assert options_of(Mine, batch_norm=None)['batch_norm'] is None


@pytest.mark.parametrize(
    'network, units, told',
    [
        (Mine, [6], ', hidden layers [6], on'),
        (OneUnitCount, [5], ', hidden layers [5], on'),
        (Plain, None, 'network Plain, on'),
        (functools.partial(mlp.MLP, n_hidden=[3]), [3], ', hidden layers [3], on'),
    ],
)
def test_what_is_used_stands_in_model_and_record_and_goes_on(tiny_set, capsys, network, units, told):
    first = run(tiny_set, network=network, verbose=1)
    assert told in capsys.readouterr().out.splitlines()[0]
    state, config = models.load('m.h5')
    assert config['options']['n_hidden'] == units == first.config['options']['n_hidden']
    assert yaml.safe_load((first.folder / 'config.yaml').read_text())['n_hidden'] == units
    (row,) = (line for line in Path('experiments.csv').read_text().splitlines()[1:])
    assert json.dumps(units) in row.replace('""', '"')
    assert ('parameters/fc.hidden0.W' in state['arrays']) == (network is not Plain)
    images = np.zeros((2, 12, 12), np.uint8)
    np.testing.assert_array_equal(launch.predict('m.h5', images, network=network).shape, (2, 3))
    again = launch.test(resume='m.h5', network=network, n_epochs=2, verbose=0)
    assert len(again.history) > len(first.history) - 1 and again.config['options']['n_hidden'] == units


def test_a_class_that_hands_arguments_on_is_given_what_the_caller_gives(tiny_set):
    run(tiny_set, network=HandsOn, n_hidden=[4], p_drop=0.0)
    assert models.load('m.h5')[0]['arrays']['parameters/fc.hidden0.W'].shape == (144, 4)
    assert launch.predict('m.h5', np.zeros((1, 12, 12), np.uint8), network=HandsOn).shape == (1, 3)


def test_what_a_class_needs_and_is_not_given_is_named():
    class Needs(Mine):
        def __init__(self, im_dim, n_classes, filters, *, rng):
            super().__init__(im_dim, n_classes, rng=rng)

    with pytest.raises(ValueError, match='network Needs needs filters: give it in network_args'):
        options_of(Needs)
    with pytest.raises(ValueError, match='n_hidden is an argument of test'):
        options_of(Mine, network_args={'n_hidden': [3]})
    with pytest.raises(ValueError, match='network Plain does not take p_drop; it takes nothing'):
        options_of(Plain, p_drop=0.5)


def test_the_recipes_of_published_results_still_say_what_was_used(monkeypatch):
    monkeypatch.syspath_prepend(DOCS.parent / 'examples')
    from reproduction.experiments import ENTRIES

    published = sorted((DOCS / 'results').glob('*/seed-*/result.json'))
    assert published
    for path in published:
        used = schema.renamed(json.loads(path.read_text())['about']['arguments'])
        now = launch.CONTEXT.serialise({'dataset': 'x', **ENTRIES[path.parent.parent.name].options})
        fixed = {*schema.names(decides='result')} & {*used} - {'seed', 'p_dropConv'}
        assert {key: now[key] for key in fixed} == {key: used[key] for key in fixed}
        assert used['p_dropConv'] in (None, now['p_dropConv'])


def older(folder):
    """The configuration of a run from the time when every run saved all network options."""
    path = folder / 'config.yaml'
    config = yaml.safe_load(path.read_text()) | {
        'activation': 'relu',
        'batch_norm': True,
        'p_dropConv': None,
        'gaussian_std': 0.0,
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_run_of_a_class_that_takes_some_options_is_repeated_from_its_configuration(tiny_set):
    Path('nets.py').write_text(
        'from mlp.layers import FullyConnected\nfrom utils.layer import Layer\n\n\n'
        'class Own(Layer):\n    def __init__(self, im_dim, n_classes, n_hidden=(6,), *, rng):\n'
        '        self.fc = FullyConnected(144, n_classes, n_hidden, rng=rng)\n\n'
        '    def __call__(self, x, phase):\n        return self.fc(x, phase)\n'
    )
    first = run(tiny_set, network='nets.py:Own')
    for change in (lambda folder: folder / 'config.yaml', older):
        path = change(first.folder)
        assert launch.test(**{**launch.read_config(path), 'savename': 'b.h5'}, verbose=0).errors == first.errors
        assert launch.main(['--config', str(path), '--savename', 'c.h5', '--verbose', '0']) == 0
        assert (
            json.loads(sorted(Path('c').glob('run-*'))[-1].joinpath('result.json').read_text())['errors']
            == first.errors
        )
    assert launch.main(['--config', str(path), '--savename', 'd.h5', '--p_drop', '0.5']) == 2
    path.write_text(path.read_text().replace('activation: relu', 'activation: tanh'))
    with pytest.raises(ValueError, match='network Own does not take activation; it takes n_hidden'):
        launch.test(**launch.read_config(path))


def test_an_older_model_of_such_a_class_is_gone_on_with(tiny_set):
    whole = run(tiny_set, network=Mine, n_hidden=[6], p_drop=0.5, n_epochs=2, savename='whole.h5')
    run(tiny_set, network=Mine, n_hidden=[6], p_drop=0.5)
    state, config = models.load('m.h5')
    config['options'] |= {
        'activation': 'relu',
        'batch_norm': True,
        'gaussian_std': 0.0,
        'p_dropConv': None,
        'nesterov': True,
    }
    models.save('m.h5', state, config)
    assert launch.predict('m.h5', np.zeros((1, 12, 12), np.uint8), network=Mine).shape == (1, 3)
    assert launch.test(resume='m.h5', network=Mine, n_epochs=2, verbose=0).errors == whole.errors


def test_an_older_model_keeps_the_options_that_it_was_trained_with(tiny_set):
    net = dict(n_hidden=[7], activation='relu', batch_norm=True, p_drop=0.5)
    run(tiny_set, network=mlp.MLP, **net)
    config = models.load('m.h5')[1]
    assert {key: config['options'][key] for key in net} == net

    class MLP(mlp.MLP):  # the defaults of the class have changed
        def __init__(
            self, im_dim, n_classes, n_hidden=(3,), activation=rna.tanh(), batch_norm=False, p_drop=0.0, *, rng
        ):
            super().__init__(im_dim, n_classes, n_hidden, p_drop, activation=activation, batch_norm=batch_norm, rng=rng)

    again = launch.test(resume='m.h5', network=MLP, n_epochs=2, accept_changed_network=True, verbose=0)
    assert {key: again.config['options'][key] for key in net} == net
    assert launch.open_model('m.h5', MLP)[0].fc.hidden[0].activation == rna.relu()
