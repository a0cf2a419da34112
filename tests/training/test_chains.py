"""The layers of a network that are pre-trained, and settings that are refused."""

import math

import numpy as np
import pytensor.tensor as pt
import pytest
from autoencoder_data import SIDE, Small, pretraining

import cnn
from mlp import MLP
from mlp.layers import FullyConnected, Hidden
from utils import rna
from utils.layer import Layer, Phase, flatten, parameter
from utils.training.autoencoders import Denoising
from utils.training.chains import chain
from utils.training.warping import Cropped

SIDE48, CONVS = (48, 48), ['conv1', 'conv2', 'conv3', 'conv4']


def names(net, side=(48, 48)):
    x = pt.tensor('x', dtype='float32', shape=(2, *side, 1))
    return [call.name for call in chain(net, x, Phase())]


@pytest.mark.parametrize(
    'make, wanted',
    [
        (lambda rng: cnn.A(SIDE48, 7, n_hidden=[4, 3], width=0.05, rng=rng), [*CONVS, 'fc.hidden0', 'fc.hidden1']),
        (lambda rng: cnn.D(SIDE48, 7, width=0.05, rng=rng), ['conv1', 'conv2']),
        (lambda rng: cnn.ResNet18(SIDE48, 7, width=0.05, rng=rng), 1),
        (lambda rng: cnn.AlexNet(SIDE48, 7, n_hidden=[4], width=0.05, rng=rng), [*CONVS, 'conv5', 'fc.hidden0']),
        (lambda rng: cnn.GoogLeNet(SIDE48, 7, width=0.05, rng=rng), 3),
        (lambda rng: MLP(SIDE48, 7, n_hidden=[4, 3], rng=rng), ['fc.hidden0', 'fc.hidden1']),
        (lambda rng: MLP(SIDE48, 7, n_hidden=[], rng=rng), []),
    ],
)
def test_the_layers_of_a_plain_chain_from_the_images_on(rng, make, wanted):
    got = names(make(rng))
    assert got == wanted if isinstance(wanted, list) else len(got) == wanted, got


class Own(Layer):
    """Two hidden layers, with something before, between or parallel to them."""

    def __init__(self, rng, before=lambda net, x: x, between=lambda net, x: x, beside=False):
        self.one, self.two = Hidden(36, 8, rng=rng), Hidden(8, 8, rng=rng)
        self.scale = parameter(np.ones(8), trainable=True)
        self.fixed = Hidden(8, 8, rng=rng)
        self.fixed.W.tag.trainable = self.fixed.norm.b.tag.trainable = False
        self.fc = FullyConnected(8, 3, [], rng=rng)
        self.before, self.between, self.beside = before, between, beside

    def __call__(self, x, phase):
        y = self.one(self.before(self, flatten(x)), phase)
        z = self.two(self.between(self, y), phase)
        return self.fc(z + y if self.beside else z, phase)


@pytest.mark.parametrize(
    'options, wanted',
    [
        ({}, ['one', 'two']),
        ({'between': lambda net, y: y * net.scale}, ['one']),
        ({'between': lambda net, y: 2 * net.fixed(y, Phase())}, ['one', 'two']),
        ({'between': lambda net, y: net.two(y, Phase())}, ['one', 'two']),  # once, at its first application
        ({'beside': True}, ['one']),
    ],
)
def test_the_layers_of_a_network_of_ones_own(rng, options, wanted):
    assert names(Own(rng, **options), SIDE) == wanted


@pytest.mark.parametrize(
    'before, pixels', [(lambda net, x: x, True), (lambda net, x: 2 * x - 1, False), (lambda net, x: x[:, ::-1], True)]
)
def test_only_pixels_as_they_are_have_the_cross_entropy(rng, before, pixels):
    stacked = pretraining(Own(rng, before=before))
    assert [one.pixels for one in stacked.stack] == [pixels, False]
    assert (stacked.reconstructions(np.zeros((6, *SIDE), np.uint8)) is not None) == pixels


def test_of_images_that_are_cropped_the_middle_is_read_and_names_are_the_networks_own(rng):
    stacked = pretraining(Cropped(MLP((4, 5), 3, n_hidden=[4], rng=rng), (4, 5)), corruption=0)
    assert stacked.names == ['fc.hidden0']
    images = rng.integers(0, 256, (6, *SIDE), dtype=np.uint8)
    got = stacked.reconstructions(images)
    np.testing.assert_allclose(got['image'], images[:, 1:5, :5] / 255, rtol=1e-6)
    assert got['fc.hidden0'].shape == (6, 4, 5)


def test_there_is_no_picture_of_a_part_of_the_pixels(rng):
    class Half(Layer):
        def __init__(self):
            self.fc = FullyConnected(18, 3, [4], rng=rng)

        def __call__(self, x, phase):
            return self.fc(flatten(x)[:, ::2], phase)

    stacked = pretraining(Half())
    assert stacked.stack[0].pixels and stacked.reconstructions(np.zeros((6, *SIDE), np.uint8)) is None


def test_the_classes_of_layers_are_their_own_again_after_an_error(rng):
    net = Own(rng, before=lambda net, x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        names(net, SIDE)
    assert type(net.one) is Hidden and type(net.fc) is FullyConnected


@pytest.mark.parametrize(
    'settings, message',
    [
        (
            {'layers': 3},
            r'layers of pretrain_args must be at most 2, .*network Small in a plain chain from the images on '
            r'\(conv, fc.hidden0\), got 3',
        ),
        ({'learning_rate': [1, 1, 1]}, r'one for each of the 2 layers \(conv, fc.hidden0\), got 3'),
        ({'learning_rate': [1, 1], 'layers': 1}, r'one for each of the 1 layers \(conv\), got 2'),
    ],
)
def test_settings_that_do_not_fit_the_network_are_refused(rng, settings, message):
    with pytest.raises(ValueError, match=message):
        pretraining(Small(rng), **settings)


def test_networks_that_cannot_be_pretrained_are_refused(rng):
    with pytest.raises(
        ValueError, match='network MLP has no layer that can be pre-trained, that is, no convolutional or hidden'
    ):
        pretraining(MLP(SIDE, 3, n_hidden=[], rng=rng))
    with pytest.raises(ValueError, match='layer conv cannot be pre-trained: with rna.maxout'):
        pretraining(Small(rng, activation=rna.maxout(2)))


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'corruption': 1}, r'corruption of pretrain_args must be a probability in \[0, 1\), got 1'),
        ({'corruption': True}, 'corruption of pretrain_args'),
        ({'corruption': math.nan}, 'corruption of pretrain_args'),
        ({'noise': 'gaussian', 'corruption': -1}, 'must be a number >= 0, got -1'),
        ({'noise': 'salt'}, "noise of pretrain_args must be one of masking, gaussian, got 'salt'"),
        ({'learning_rate': 0}, 'learning_rate of pretrain_args must be a number > 0, or one for each layer, got 0'),
        ({'learning_rate': []}, 'learning_rate of pretrain_args'),
        ({'layers': 0}, 'layers of pretrain_args must be a whole number >= 1, got 0'),
        ({'images': 3}, 'images of pretrain_args must be the path'),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Denoising(**settings)
