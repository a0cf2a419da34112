"""Network Sprint: filters that whiten patches, filters initialised to the identity, and betas that learn faster."""

import numpy as np
import pytensor.tensor as pt
import pytest
from tiny import run, trainer

import cnn
import loaders
from cnn.sprint import Whitening
from mlp.layers import FullyConnected
from utils import backend, rna
from utils.layer import Layer, Phase, parameter, parameters
from utils.layers import BatchNorm
from utils.training import optimisers


class OnWhitened(Layer):
    """Softmax on whitened patches."""

    def __init__(self, rng):
        self.whitening = Whitening(4, 2, components=3)
        self.fc = FullyConnected(5 * 5 * 6, 3, [8], batch_norm=True, rng=rng)

    def __call__(self, x, phase):
        return self.fc(self.whitening(x, phase), phase)


def correlated_images(rng, n=300):
    x = rng.random((n, 14, 14, 1))
    return ((x + np.roll(x, 1, 1) + np.roll(x, 1, 2)) / 3).astype(np.float32)


def test_whitened_patches_are_uncorrelated_and_of_variance_one(rng):
    layer, images = Whitening(3, 2, components=5, eps=0.0), correlated_images(rng)
    layer.fit(images)
    x = pt.tensor('x', dtype='float32', shape=images.shape)
    y = np.asarray(backend.function([x], layer(x, Phase()))(images), np.float64)
    assert y.shape == (300, 6, 6, 10)
    first, second = y[..., :5].reshape(-1, 5), y[..., 5:].reshape(-1, 5)
    np.testing.assert_allclose(np.cov(first, rowvar=False, bias=True), np.eye(5), atol=2e-3)
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_array_equal(first, -second)


def test_the_largest_components_come_first(rng):
    layer, images = Whitening(3, 1, components=9, eps=0.0), correlated_images(rng)
    layer.fit(images)
    windows = [images[:, i : i + 12, j : j + 12, 0].ravel() for i in range(3) for j in range(3)]
    values = np.sort(np.linalg.eigvalsh(np.cov(np.array(windows, np.float64), bias=True)))[::-1]
    lengths = np.sqrt((layer.W.get_value()[..., 0, :9] ** 2).sum(axis=(0, 1)))
    np.testing.assert_allclose(lengths, values**-0.5, rtol=1e-3)  # eigenvectors have length 1


def test_dirac_filters_pass_their_channels_on(rng):
    W = rna.dirac(rng.standard_normal((3, 3, 4, 6)))
    x = rng.standard_normal((2, 5, 5, 4))
    out = np.einsum('nhwc,co->nhwo', x, W[1, 1])  # all but the middle of the first four is zero
    assert not W[..., :4][[0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]].any()
    np.testing.assert_array_equal(out[..., :4], x)
    assert W[..., 4:].all()


@pytest.mark.parametrize('optimiser', [optimisers.sgd, optimisers.adam])
def test_a_parameter_with_a_rate_moves_so_many_times_as_far(optimiser):
    slow, fast = parameter(np.ones(3)), parameter(np.ones(3), rate=64)
    rate = pt.constant(np.float32(0.01))
    gradients = {name: pt.constant(np.array([0.5, -1, 2], 'float32')) for name in ('slow', 'fast')}
    updates, state = optimisers.applied(optimiser, gradients, {'slow': slow, 'fast': fast}, rate)
    step = backend.function([], [], updates=updates)
    step()
    moved = slow.get_value() - 1
    assert moved.all()
    np.testing.assert_allclose(fast.get_value() - 1, 64 * moved, rtol=1e-4)


def test_batch_norm_without_scale_trains_its_beta_alone():
    layer = BatchNorm(4, scale=False, beta_rate=64)
    assert list(parameters(layer, trainable=True)) == ['beta']
    assert layer.beta.tag.rate == 64 and layer.gamma.tag.rate == 1


def test_the_filters_come_from_training_images_and_stay(tiny_set):
    with loaders.load(tiny_set) as data:
        t = trainer(data, OnWhitened)
        before = t.functions.parameters['whitening.W'].get_value()
        assert before.any()
        wanted = Whitening(4, 2, components=3)
        rows = np.random.default_rng(0xF17).permutation(len(data.reduced_training))[:2000]
        wanted.fit(data.reduced_training.images(rows)[..., None].astype('float32') / 255)
        np.testing.assert_allclose(before, wanted.W.get_value(), rtol=1e-3, atol=1e-3)
        run(t, n_epochs=2, anneal_epochs=1)
        np.testing.assert_array_equal(t.functions.parameters['whitening.W'].get_value(), before)
        assert t.history[-1]['train_cross_entropy'] < t.history[0]['train_cross_entropy']


def test_too_small_images_are_refused(rng):
    with pytest.raises(ValueError, match='images of 12x12 pixels are too small for network Sprint'):
        cnn.Sprint((12, 12), 3, rng=rng)
