"""Denoising autoencoders made of a network's layers: steps against NumPy in float64."""

import math

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference
from autoencoder_data import SIDE, Small, pretraining

from cnn.layers import Conv
from mlp import MLP
from mlp.layers import FullyConnected
from utils import backend, ops, rna
from utils.layer import Layer, Phase, flatten, n_features, parameters
from utils.training.autoencoders import Autoencoder
from utils.training.chains import chain
from utils.training.pretraining import STREAM


def drawn(draw, shape, counter):
    """A draw of our generator, computed by NumPy."""
    seed, number = np.uint32(4), np.uint32(counter)
    out = [[None]]
    with np.errstate(over='ignore'):
        op = draw(shape, STREAM + 1)
        op.perform(op(pt.as_tensor(seed), pt.as_tensor(number)).owner, (seed, number), out)
    return out[0][0].astype(float)


def cross_entropy(a, t):
    p = 1 / (1 + np.exp(-a))
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def conv_back(code, W):
    """The transpose of a 3x3 convolution that keeps the size: a convolution with mirrored filters."""
    return reference.conv2d(code, W[::-1, ::-1].transpose(0, 1, 3, 2), (1, 1))


def batch_norm(z, gamma, beta):
    axes = tuple(range(z.ndim - 1))
    return (z - z.mean(axes)) / np.sqrt(z.var(axes) + 1e-5) * gamma + beta


def check_step(stacked, k, images, weights, rate, cost):
    """Compare a step of layer k with float64 differences of `cost(parameters, input) -> (n,)`, entry by entry."""
    one, w = stacked.stack[k], weights / weights.sum()
    inputs = backend.function([stacked._x], one.x)(images)
    values = [np.asarray(p.get_value(), float) for p in one.trained]
    others = {name: p for name, p in stacked.functions.parameters.items() if all(p is not q for q in one.trained)}
    before = {name: p.get_value().copy() for name, p in others.items()}
    wanted = (w * cost(values, np.asarray(inputs, float))).sum()
    stacked.functions.rate.set_value(np.float32(rate))
    np.testing.assert_allclose(stacked.train(k)(images, weights), wanted, rtol=1e-5)
    for place, (p, value) in enumerate(zip(one.trained, values)):
        gradient = np.zeros_like(value)
        for index in np.ndindex(*value.shape):
            at = []
            for step in (1e-5, -1e-5):
                moved = [v.copy() for v in values]
                moved[place][index] += step
                at.append((w * cost(moved, np.asarray(inputs, float))).sum())
            gradient[index] = (at[0] - at[1]) / 2e-5
        assert abs(gradient).max() > 1e-4
        np.testing.assert_allclose(p.get_value(), value - rate * gradient, rtol=1e-4, atol=2e-5, err_msg=p.name)
    for name, p in others.items():
        np.testing.assert_array_equal(p.get_value(), before[name], err_msg=name)


WEIGHTS = np.array([1, 1, 1, 0, 1, 1], 'f')


@pytest.mark.parametrize('counter', [0, 7])
def test_a_step_of_a_dense_one_on_pixels_is_that_of_numpy(rng, counter):
    net = MLP(SIDE, 3, n_hidden=[4], activation=rna.sigmoid(), batch_norm=False, rng=rng)
    stacked = pretraining(net, corruption=0.4)
    stacked.functions.counter.set_value(np.uint32(counter))
    keep = drawn(ops.Uniform, (6, 36), counter) >= 0.4
    assert 0.4 < keep.mean() < 0.8

    def cost(values, x):
        W, b, c = values
        return cross_entropy(1 / (1 + np.exp(-(x * keep) @ W - b)) @ W.T + c, x).sum(axis=1)

    images = rng.integers(0, 256, (6, *SIDE), dtype=np.uint8)
    check_step(stacked, 0, images, WEIGHTS, 0.5, cost)
    assert stacked.functions.counter.get_value() == counter + 1


@pytest.mark.parametrize('normed', [False, True])
def test_a_step_of_a_convolution_is_that_of_numpy_and_leaves_pooling_and_dropout_out(rng, normed):
    stacked = pretraining(Small(rng, activation=rna.tanh(), batch_norm=normed))
    keep = drawn(ops.Uniform, (6, *SIDE, 1), 0) >= 0.3

    def cost(values, x):
        W, *bias, c = values
        z = reference.conv2d(x * keep, W, (1, 1))
        code = np.tanh(batch_norm(z, *bias) if normed else z + bias[0])
        return cross_entropy(conv_back(code, W) + c, x).sum(axis=3).mean(axis=(1, 2))

    check_step(stacked, 0, rng.integers(0, 256, (6, *SIDE), dtype=np.uint8), WEIGHTS, 0.5, cost)


def test_a_step_of_an_upper_layer_has_the_squared_error_and_the_layers_below_stay(rng):
    stacked = pretraining(
        Small(rng, activation=rna.tanh(), batch_norm=False), noise='gaussian', corruption=0.5, learning_rate=[1, 2]
    )
    noise = 0.5 * drawn(ops.Normal, (6, 27), 0)

    def cost(values, x):
        W, b, c = values
        return ((np.tanh((x + noise) @ W + b) @ W.T + c - x) ** 2).sum(axis=1)

    check_step(stacked, 1, rng.integers(0, 256, (6, *SIDE), dtype=np.uint8), WEIGHTS, 0.01, cost)
    assert stacked.rate_of(1) == pytest.approx(2 / (27 + 5)) and stacked.rate_of(0) == pytest.approx(1 / (9 + 27))


def test_what_it_reads_is_what_the_network_below_gives_in_use(rng):
    net = Small(rng, batch_norm=False)
    stacked = pretraining(net)
    images = rng.integers(0, 256, (6, *SIDE), dtype=np.uint8)
    x = pt.tensor('x', dtype='float32', shape=(6, *SIDE, 1))
    below = backend.function([x], flatten(net.conv(x, Phase())))((images / 255).astype('f')[..., None])
    np.testing.assert_allclose(backend.function([stacked._x], stacked.stack[1].x)(images), below, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('options', [{'stride': 2}, {'groups': 2}, {'size': (1, 3), 'border': 'valid'}, {'border': 2}])
def test_the_decoder_is_the_transpose_of_the_encoder(rng, options):
    layer = Conv(4, 6, **options, rng=rng)
    x = pt.tensor('x', dtype='float32', shape=(2, 8, 9, 4))

    class Net(Layer):
        def __init__(self):
            self.conv, self.fc = layer, FullyConnected(n_features(layer, (8, 9), 4), 3, [], rng=rng)

        def __call__(self, x, phase):
            return self.fc(self.conv(x, phase), phase)

    one = Autoencoder(chain(Net(), x, Phase())[0], pixels=False)
    z = layer.linear(x, layer.W)
    code = pt.tensor('code', dtype='float32', shape=z.type.shape)
    values = [rng.normal(size=v.type.shape).astype('f') for v in (x, code)]
    forward, back = backend.function([x, code], [z, one.decode(code)], on_unused_input='ignore')(*values)
    np.testing.assert_allclose((forward * values[1]).sum(), (back * values[0]).sum(), rtol=1e-4)
    reads = math.prod(layer.W.type.shape[:-1])
    assert one.terms == pytest.approx(reads + reads * math.prod(code.type.shape) / math.prod(x.type.shape))


def faces(rng, n):
    """Smooth images with few degrees of freedom."""
    rows, columns = np.linspace(-1, 1, 6)[:, None], np.linspace(-1, 1, 6)
    parts = np.array([rows + 0 * columns, columns + 0 * rows, rows * columns, rows**2 - columns**2])
    return (127 * (1 + np.tanh(np.tensordot(rng.normal(size=(n, 4)), parts, 1)))).astype(np.uint8)


@pytest.mark.parametrize('normed', [False, True])
def test_costs_fall_and_corrupted_images_are_restored(rng, normed):
    stacked = pretraining(Small(rng, 16, batch_norm=normed), batch_size=20, corruption=0.2, learning_rate=[30, 3])
    training = faces(rng, 400)

    class Some:
        y = np.zeros(400, np.uint8)

        def images(self, rows):
            return training[rows]

    class Quiet:
        def minibatch(self, *_):
            pass

    for k in range(2):
        stacked.functions.rate.set_value(np.float32(stacked.rate_of(k)))
        epochs = [stacked.epoch(k, Some(), rng.permutation(400), Quiet())[0].mean() for _ in range(12)]
        assert epochs[-1] < epochs[3] < epochs[0]
    got = stacked.reconstructions(faces(rng, 20))
    assert list(got) == ['image', 'corrupted', 'conv', 'fc.hidden0, through 2 layers']
    assert {v.shape for v in got.values()} == {(8, *SIDE)}
    error = {name: ((v - got['image']) ** 2).mean() for name, v in got.items()}
    assert error['conv'] < 0.6 * error['corrupted']
    assert error['fc.hidden0, through 2 layers'] < got['image'].var()


def test_gradients_reach_nothing_but_the_layer(rng):
    stacked = pretraining(Small(rng))
    trained = {id(p) for one in stacked.stack for p in one.trained}
    assert len(trained) == sum(len(one.trained) for one in stacked.stack)
    for one in stacked.stack:
        own = [p for p in one.trained if p is not one.bias]
        assert {id(p) for p in own} == {id(p) for p in parameters(one.layer, trainable=True).values()}
        assert isinstance(one.bias, pytensor.compile.SharedVariable) and not one.bias.get_value().any()
