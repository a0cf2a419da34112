"""Wrong arguments of `test`, NumPy numbers, names."""

import numpy as np
import pytest

import cnn
import launch
import mlp
from utils import rna
from utils.layer import Layer
from utils.training import optimisers


@pytest.mark.parametrize(
    'options, message',
    [
        ({'nesterov': True}, r'nesterov=True needs a momentum, got momentum=0.0: give a momentum'),
        ({'activation': rna.relu}, r'got rna.relu without parentheses: write rna.relu\(\)'),
        ({'activation': rna.Activation}, r'activation must be rna.relu\(\), .*, rna.maxout\(2\), .* or a function'),
        ({'activation': lambda: 0}, 'activation must be rna.relu'),
        ({'activation': 'sigmoide'}, "got 'sigmoide'; did you mean 'sigmoid'"),
        (
            {'network': mlp.MLP((4, 4), 3, [2], rng=np.random.default_rng(0))},
            'network must be a class, got an instance of class MLP: give MLP itself',
        ),
        ({'network': int}, r"a class that is called as network\(im_dim, n_classes, ..., rng=...\), got <class 'int'>"),
        ({'network': dict}, 'network must be a class'),
        ({'network': print}, 'network must be a class'),
        ({'network': Layer}, 'network must be a class'),
        ({'network': 'cnn.MLP'}, "network must be one of A, .*, got 'cnn.MLP'; did you mean MLP"),
        ({'network': 'resnet18'}, 'did you mean ResNet18'),
        (
            {'optimiser': dict},
            r"optimiser must be a function optimiser\(gradients, parameters, rate\), got <class 'dict'>",
        ),
        ({'optimiser': optimisers.decayed}, r'optimiser must be a function'),
        ({'optimiser': len}, r'optimiser must be a function'),
        ({'schedule': int}, r"schedule must be a function schedule\(epoch, n_epochs, figures\), got <class 'int'>"),
        ({'schedule': lambda epoch: 1.0}, r'schedule must be a function'),
        ({'schedule': max}, r'schedule must be a function'),
        ({'optimiser': lambda g, p, r, scale: None}, "needs 'scale': give it in optimiser_args"),
        (
            {'optimiser': 'adam', 'optimiser_args': {'betas': 1}},
            "does not take 'betas' of optimiser_args; .* mean 'beta1'",
        ),
        ({'n_epochs': 10**400}, 'n_epochs must be a whole number >= 1, got 1000'),
        ({'seed': 10**5000}, 'seed must be a whole number >= 0, got a number of 16610 bits'),
        ({'learning_rate': np.complex64(1)}, 'learning_rate must be a number > 0'),
        ({'val': np.array([1, 2])}, r'val must be True or False, got array'),
        ({'batch_norm': np.array([1, 2])}, r'batch_norm must be True or False, got array'),
        ({'n_hidden': [1] * 1001}, r'n_hidden must be a list of at most 1000, got \[1, 1.{1,300}\.\.\.$'),
        ({'network_args': {1: 2}}, 'network_args must be a dict'),
        ({'network_args': {'width': object()}}, 'network_args must hold numbers, texts'),
        ({'network_args': {'witdh': 0.5}}, "network_args 'witdh'; it takes width; did you mean 'width'"),
    ],
)
def test_what_cannot_be_used_gets_one_error_that_names_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        launch.CONTEXT.serialise(options)


def test_arguments_that_hold_themselves_are_refused():
    endless = {}
    endless['width'] = [endless]
    with pytest.raises(ValueError, match='network_args contains itself'):
        launch.CONTEXT.serialise({'network_args': endless})


@pytest.mark.parametrize(
    'name',
    [
        'learning_rate',
        'L1_reg',
        'L2_reg',
        'gaussian_std',
        'momentum',
        'weight_decay',
        'clip_norm',
        'ema_decay',
        'label_smoothing',
        'p_drop',
    ],
)
def test_numbers_of_numpy_are_numbers(name):
    for kind in (np.float16, np.float32, np.float64, np.longdouble):
        value = launch.CONTEXT.serialise({name: kind(0.25)})[name]
        assert value == 0.25 and type(value) is float


def test_numbers_of_numpy_are_numbers_in_further_arguments():
    found = launch.CONTEXT.serialise(
        {
            'optimiser': 'adam',
            'optimiser_args': {'beta2': np.float32(0.5)},
            'network_args': {'width': np.float64(0.5)},
            'schedule': 'step',
            'schedule_args': {'every': np.int64(3)},
            'n_hidden': [np.int32(3)],
            'p_dropConv': np.full(4, 0.5, np.float32),
            'batch_size': np.int16(7),
        }
    )
    assert found['optimiser_args'] == {'beta2': 0.5} and found['network_args'] == {'width': 0.5}
    assert found['schedule_args'] == {'every': 3} and found['n_hidden'] == [3] and found['p_dropConv'] == [0.5] * 4
    assert found['batch_size'] == 7


@pytest.mark.parametrize(
    'name, suggestion',
    [
        ('n_epoch', "'n_epochs'"),
        ('epochs', "'n_epochs'"),
        ('lr', "'learning_rate'"),
        ('learningRate', "'learning_rate'"),
        ('batch', "'batch_size'"),
        ('batchsize', "'batch_size'"),
        ('dropout', "'p_drop'"),
        ('optimizer', "'optimiser'"),
        ('model', "'network'"),
        ('data', "'dataset'"),
        ('sede', "'seed'"),
        ('l2_reg', "'L2_reg'"),
        ('p_dropconv', "'p_dropConv'"),
        ('width', "network_args={'width': ...}"),
        ('weight_deacy', "'weight_decay'"),
        ('augmentation', "'augment'"),
        ('device', "'devices'"),
        ('size', None),
        ('metrics', None),
        ('workers', None),
        ('x', None),
        ('', None),
    ],
)
def test_an_unknown_argument_is_met_with_the_likely_one_or_none(name, suggestion):
    with pytest.raises(TypeError) as caught:
        launch.test(**{name: 1})
    assert str(caught.value) == f'test() has no argument {name!r}' + (
        f'; did you mean {suggestion}?' if suggestion else ''
    )


@pytest.mark.parametrize(
    'name, network',
    [('A', cnn.A), ('cnn.A', cnn.A), ('cnn.vgg.A', cnn.A), ('mlp.MLP', mlp.MLP), ('cnn.ResNet18', cnn.ResNet18)],
)
def test_a_network_is_named_with_or_without_its_package(name, network):
    assert launch.CONTEXT.serialise({'network': name}) == launch.CONTEXT.serialise({'network': network})
    assert launch.CONTEXT.serialise({'optimiser': 'optimisers.adam'})['optimiser'] == 'adam'
