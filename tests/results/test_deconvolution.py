"""Single activations projected down to pixels: against NumPy in float64; the method for each network; the figure."""

import numpy as np
import pytensor.tensor as pt
import pytest

import cnn
import mlp
from cnn.layers import Conv, LocalResponseNorm, MaxPool, Residual
from mlp.layers import Softmax
from utils import rna
from utils.layer import Layer, flatten, n_features
from utils.results import deconvolution
from utils.results.deconvolution import DECONVOLUTION, GUIDED, Deconvolution, Undefined
from utils.results.plots import Subject, network

SIDE = (10, 10)


class Two(Layer):
    """Convolution, pooling, batch norm, rectifier; response normalisation; convolution, bias, rectifier, dropout."""

    def __init__(self, im_dim, n_classes, *, rng):
        self.conv1 = Conv(1, 4, pool=MaxPool(2), batch_norm=True, rng=rng)
        self.lrn = LocalResponseNorm(alpha=0.5)
        # The second rectifier has its arguments exchanged, as in a user's own network.
        self.conv2 = Conv(4, 5, border='valid', activation=lambda a: pt.maximum(0, a), p_drop=0.25, rng=rng)
        for p in (self.conv1.norm.mean, self.conv1.norm.beta, self.conv2.norm.b):
            p.set_value(rng.normal(0, 0.3, p.type.shape).astype('f'))
        for p in (self.conv1.norm.var, self.conv1.norm.gamma):
            p.set_value(rng.uniform(0.5, 2, p.type.shape).astype('f'))
        self.softmax = Softmax(n_features(self.features, im_dim), n_classes, rng=rng)

    def features(self, x, phase):
        return self.conv2(self.lrn(self.conv1(x, phase), phase), phase)

    def __call__(self, x, phase):
        return self.softmax(flatten(self.features(x, phase)), phase)


def by_hand(net, image, layer, unit=None, place=None, guided=False):
    """The maps of a layer of `Two` for an image, or the projection of one activation of it, by loops in float64."""

    def value(p):
        return np.asarray(p.get_value(), float)

    x, W1, W2 = image / 255.0, value(net.conv1.W), value(net.conv2.W)
    height, width = x.shape
    padded, linear = np.pad(x, 1), np.zeros((height, width, 4))
    for i, j in np.ndindex(height, width):
        linear[i, j] = np.tensordot(padded[i : i + 3, j : j + 3], W1[:, :, 0], axes=2)
    pooled, switch = np.zeros((height // 2, width // 2, 4)), {}
    for i, j, c in np.ndindex(pooled.shape):
        window = linear[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        a, b = np.unravel_index(window.argmax(), (2, 2))
        pooled[i, j, c], switch[i, j, c] = window[a, b], (2 * i + a, 2 * j + b)
    norm = net.conv1.norm
    scale = value(norm.gamma) / np.sqrt(value(norm.var) + norm.eps)
    before1 = (pooled - value(norm.mean)) * scale + value(norm.beta)
    first = np.maximum(before1, 0)
    squares = np.pad(first**2, ((0, 0), (0, 0), (2, 2)))
    divisor = (net.lrn.k + net.lrn.alpha * sum(squares[..., c : c + 4] for c in range(5))) ** net.lrn.beta
    given = first / divisor
    second = np.zeros((height // 2 - 2, width // 2 - 2, 5))
    for i, j in np.ndindex(second.shape[:2]):
        second[i, j] = np.tensordot(given[i : i + 3, j : j + 3], W2, axes=3) + value(net.conv2.norm.b)
    maps = {'conv1': first, 'conv2': 0.75 * np.maximum(second, 0)}[layer]
    if unit is None:
        return maps
    i, j = np.unravel_index(place, maps.shape[:2])
    if layer == 'conv2':  # factor of dropout, transposed filters, divisor of the maps
        signal = np.zeros_like(given)
        signal[i : i + 3, j : j + 3] = 0.75 * maps[i, j, unit] * W2[..., unit]
        signal /= divisor
    else:
        signal = np.zeros_like(first)
        signal[i, j, unit] = maps[i, j, unit]
    signal = np.maximum(signal, 0) * ((before1 > 0) if guided else 1) * scale
    unpooled = np.zeros((height + 2, width + 2))
    for (i, j, c), (row, column) in switch.items():
        unpooled[row : row + 3, column : column + 3] += signal[i, j, c] * W1[:, :, 0, c]
    return unpooled[1:-1, 1:-1]


@pytest.mark.parametrize('guided', [False, True])
def test_projections_are_those_of_numpy(rng, monkeypatch, guided):
    net, images = Two(SIDE, 3, rng=rng), rng.integers(0, 256, (7, *SIDE), dtype=np.uint8)
    if guided:
        monkeypatch.setattr(deconvolution, 'projection_method', lambda x, maps: GUIDED)
    looking = Deconvolution(net, SIDE, n=3)
    assert looking.layers == ('conv1', 'conv2') and looking.method == (GUIDED if guided else DECONVOLUTION)
    found, differ = looking.maxima(images), 0
    for layer, (values, places) in zip(looking.layers, found):
        maps = np.array([by_hand(net, image, layer) for image in images])
        flat = maps.reshape(7, -1, maps.shape[-1])
        np.testing.assert_allclose(values, flat.max(axis=1), rtol=1e-4, atol=1e-5)
        there = values > 1e-3  # elsewhere all are zero
        np.testing.assert_array_equal(places[there], flat.argmax(axis=1)[there])
        for unit in range(maps.shape[-1]):
            got = looking.project(images, layer, np.full(7, unit), places[:, unit])
            expected = [by_hand(net, image, layer, unit, at, guided) for image, at in zip(images, places[:, unit])]
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
            other = [by_hand(net, image, layer, unit, at, not guided) for image, at in zip(images, places[:, unit])]
            differ += not np.allclose(expected, other, atol=1e-3)
    assert differ  # the two methods differ


def test_the_images_that_excite_a_map_most(rng, monkeypatch):
    monkeypatch.setattr(deconvolution, 'UNITS', 2)
    net, images = Two(SIDE, 3, rng=rng), rng.integers(0, 256, (25, *SIDE), dtype=np.uint8)
    looking = Deconvolution(net, SIDE, n=8)
    for found in deconvolution.strongest(looking, images):
        values = np.array([by_hand(net, image, found.layer).max(axis=(0, 1)) for image in images])
        best = np.sort(values, axis=0)[::-1][:9].mean(axis=0)
        assert found.units.tolist() == np.argsort(-best)[:2].tolist()
        for unit, shown, parts, projections in zip(found.units, found.images, *found.patches):
            np.testing.assert_array_equal(shown, images[np.argsort(-values[:, unit], kind='stable')[:9]])
            assert parts.shape == projections.shape
        side = {'conv1': 3, 'conv2': 8}[found.layer]  # receptive field of an activation
        assert max(found.patches[0].shape[2:]) <= side < 10
        assert found.patches[1].max() == found.projections.max()


def test_patches_are_the_parts_in_which_projections_are():
    projections, images = np.zeros((1, 2, 6, 7)), np.arange(84).reshape(1, 2, 6, 7)
    projections[0, 0, 2:5, 0:2], projections[0, 1, 5, 6] = 1.0, -2.0
    parts, cut = deconvolution._patches(images, projections)
    assert cut.shape == (1, 2, 3, 2) and (cut[0, 0] == 1).all() and cut[0, 1].sum() == -2
    np.testing.assert_array_equal(parts[0, 0], images[0, 0, 2:5, 0:2])
    np.testing.assert_array_equal(parts[0, 1], images[0, 1, 3:6, 5:7])


@pytest.mark.parametrize(
    'made, side, method',
    [(cnn.A, 16, DECONVOLUTION), (cnn.ZFNet, 24, DECONVOLUTION), (cnn.D, 16, GUIDED), (cnn.GoogLeNet, 24, GUIDED)],
)
def test_the_projection_is_that_of_the_graph(rng, made, side, method):
    looking = Deconvolution(made((side, side), 3, width=1 / 32, rng=rng), (side, side), n=2)
    assert looking.method == method and 3 <= len(looking.layers) <= 5


@pytest.mark.parametrize('activation, name', [(rna.tanh(), 'Tanh'), (rna.leaky_relu(), 'Maximum'), (rna.elu(), '')])
def test_other_activations_are_not_projected(rng, activation, name):
    with pytest.raises(Undefined, match=f'the network has {name}'):
        Deconvolution(cnn.A((16, 16), 3, width=1 / 32, activation=activation, rng=rng), (16, 16))


def test_layers_without_activation_and_those_inside_blocks_are_left_out(rng):
    class Blocks(Layer):
        def __init__(self):
            self.conv, self.linear = Conv(1, 4, rng=rng), Conv(4, 4, activation=None, rng=rng)
            self.block1, self.block2 = Residual(4, 4, rng=rng), Residual(4, 4, rng=rng)
            self.softmax = Softmax(400, 3, rng=rng)

        def __call__(self, x, phase):
            x = self.linear(self.conv(x, phase), phase)
            return self.softmax(flatten(self.block2(self.block1(x, phase), phase)), phase)

    assert Deconvolution(Blocks(), SIDE, n=2).layers == ('conv', 'block1', 'block2')


class Images:
    """Some test images."""

    def __init__(self, images):
        self.all = images

    def __len__(self):
        return len(self.all)

    def images(self, rows):
        return self.all[rows]


def test_the_figure_is_drawn_or_says_why_not(rng):
    images, said = rng.integers(0, 256, (20, *SIDE), dtype=np.uint8), []

    def subject(net, images=images):
        return Subject(net, SIDE, Images(images), 'abc', {}, {}, info=said.append)

    drawing = network.excitation(subject(Two(SIDE, 3, rng=rng)))
    assert len(drawing.axes) == 2 and drawing.axes[0].get_title(loc='left').startswith('conv1, ')
    assert 'by deconvolution' in drawing.get_suptitle() and not said
    assert network.excitation(subject(mlp.MLP(SIDE, 3, [4], rng=rng))) is None and not said
    assert network.excitation(subject(Two(SIDE, 3, rng=rng), images[:8])) is None
    tanh = Two(SIDE, 3, rng=rng)
    tanh.conv2.activation = rna.tanh()
    assert network.excitation(subject(tanh)) is None
    assert said == [
        'no figure of what excites the feature maps: the projection is only defined for rectifiers, '
        'and the network has Tanh'
    ]
