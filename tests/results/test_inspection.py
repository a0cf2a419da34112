"""Gradients of class scores through the graph, feature maps, histograms; against NumPy and finite differences."""

import numpy as np
import pytest

import cnn
import mlp
from utils import rna
from utils.layer import parameters
from utils.results import inspection
from utils.results.plots import histograms
from utils.training.functions import Functions
from utils.training.settings import Settings

SIDE = (12, 12)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (4, *SIDE), dtype=np.uint8)


def test_saliency_is_the_change_of_the_score_with_each_pixel(images, rng):
    net = mlp.MLP(SIDE, 3, [5], activation=rna.tanh(), batch_norm=False, p_drop=0.0, rng=rng)
    inspector, y = inspection.Inspector(net, SIDE, 4), np.array([0, 1, 2, 1])
    saliency, cam = inspector.saliency(images, y)
    assert cam is None and inspector.layers == () and inspector.feature_maps(images) == {}
    W0, b0, W1, _ = (np.asarray(p.get_value(), dtype=float) for p in parameters(net).values())
    x = images.reshape(4, -1) / 255
    hidden = np.tanh(x @ W0 + b0)
    expected = [abs(W0 @ ((1 - hidden[k] ** 2) * W1[:, y[k]])) for k in range(4)]
    np.testing.assert_allclose(saliency.reshape(4, -1), expected, rtol=2e-4, atol=1e-6)


def test_feature_maps_and_gradcam_of_convolutions(images, rng):
    net = cnn.D(SIDE, 3, [4], width=1 / 16, rng=rng)
    inspector, y = inspection.Inspector(net, SIDE, 4), np.array([0, 1, 2, 1])
    assert inspector.layers == ('conv1', 'conv2', 'block.conv1', 'block.conv2', 'block')
    maps = inspector.feature_maps(images)
    assert [m.shape[1:] for m in maps.values()] == [(6, 6, 4), (3, 3, 8), (3, 3, 8), (3, 3, 8), (1, 1, 8)]
    saliency, cam = inspector.saliency(images, y)
    assert saliency.shape == images.shape and cam.shape == (4, 1, 1) and (cam >= 0).all()
    assert type(net.conv1).__name__ == 'Conv' and type(net.conv1) is type(net.conv2) is cnn.layers.Conv


def test_gradcam_weighs_maps_with_the_mean_gradient_of_the_score(images, rng):
    net = cnn.LeNet5((16, 16), 3, [], rng=rng)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    inspector, y = inspection.Inspector(net, (16, 16), 4), np.array([0, 1, 2, 1])
    A = inspector.feature_maps(images)['conv2'].astype(float)
    W = np.asarray(net.fc.softmax.W.get_value(), dtype=float)
    gradients = W.T[y].reshape(A.shape)  # the score is linear in the last maps
    expected = np.maximum((gradients.mean(axis=(1, 2), keepdims=True) * A).sum(axis=3), 0)
    np.testing.assert_allclose(inspector.saliency(images, y)[1], expected, rtol=1e-4, atol=1e-6)


def test_looking_does_not_change_what_the_network_computes(images, rng):
    net = cnn.LeNet5((16, 16), 3, rng=rng)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    before = np.asarray(Functions(net, (16, 16), Settings(4)).test(images))
    inspection.Activations(net, images)()
    np.testing.assert_array_equal(np.asarray(Functions(net, (16, 16), Settings(4)).test(images)), before)


def test_histograms_count_every_value_and_are_redrawn_without_loss(rng):
    values = rng.normal(0, 1, 1000)
    h = inspection.histogram(values)
    assert sum(h['counts']) == 1000 and (h['low'], h['high']) == pytest.approx((values.min(), values.max()))
    assert histograms._rebinned(h, np.linspace(-9, 9, 50)).sum() == pytest.approx(1)
    assert abs(histograms._quantile(h, 0.5) - np.median(values)) < 0.1
    names = inspection.weight_histograms({'parameters/a.W': values, 'parameters/a.b': values, 'counter': values})
    assert list(names) == ['a.W']
