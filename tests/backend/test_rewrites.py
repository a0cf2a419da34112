"""Rewritten graphs compute what the plain ones compute, share what they are to share, and can be turned off."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference
from pytensor.compile.mode import Mode

import cnn
import mlp
from utils import backend, layer, ops, rna
from utils.backend import rewrites
from utils.cli.sample import SAMPLE_RUN
from utils.layers import BatchNorm
from utils.ops import winograd
from utils.training import functions

REFERENCE = Mode('py', 'fast_run')
SIDES = [(24, 24), (21, 20), (12, 10), (5, 6)]


def gradients(x, W, g):
    y = ops.conv2d(x, W)
    return [y, *pytensor.grad(None, [x, W], known_grads={y: g})]


def ops_of(function):
    return [type(node.op) for node in function.maker.fgraph.toposort()]


@pytest.fixture(autouse=True)
def small_convolutions_are_rewritten_too(monkeypatch):
    monkeypatch.setattr(rewrites, 'LEAST_CHANNELS', 16)
    monkeypatch.setattr(rewrites, 'LEAST_PIXELS', 0)
    monkeypatch.setattr(rewrites, 'LEAST_PIXELS_ALONE', 0)


@pytest.fixture
def values(rng):
    def make(n, side, n_in, n_out, dtype):
        shapes = (n, *side, n_in), (3, 3, n_in, n_out), (n, *side, n_out)
        return [rng.normal(size=shape).astype(dtype) for shape in shapes]

    return make


# ---------------------------------------------------------------------------------- Winograd


@pytest.mark.parametrize('m', [2, 3, 4, 5])
def test_minimal_filtering_is_filtering(rng, m):
    BT, G, AT = winograd.matrices(m)
    d, g = rng.normal(size=m + 2), rng.normal(size=3)
    np.testing.assert_allclose(AT @ ((G @ g) * (BT @ d)), np.correlate(d, g), rtol=1e-12, atol=1e-12)


def test_matrices_are_those_of_the_paper():
    # Lavin and Gray 2016, eq. 15 (F(4x4, 3x3)).
    np.testing.assert_array_equal(
        winograd.matrices(4)[0],
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
    )


@pytest.mark.parametrize('side', SIDES)
def test_perform_is_convolution_and_its_gradients(values, side):
    numbers = values(2, side, 3, 4, 'float64')
    x, W, g = (pt.as_tensor(v) for v in numbers)
    tile = rewrites.tile_of(*side)
    f = pytensor.function(
        [],
        [winograd.conv(x, W, tile), winograd.input_grad(g, W, tile), winograd.filter_grad(x, g, tile)],
        mode=REFERENCE,
    )
    xv, Wv, gv = numbers
    expected = [
        reference.conv2d(xv, Wv, (1, 1)),
        reference.conv2d(gv, Wv[::-1, ::-1].transpose(0, 1, 3, 2), (1, 1)),
        reference.conv2d_filter_grad(xv, gv, (1, 1), (3, 3)),
    ]
    for got, want in zip(f(), expected):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('side', SIDES)
def test_winograd_on_the_device_agrees_with_the_plain_convolution(values, side):
    numbers = values(3, side, 16, 24, 'float32')
    inputs = [pt.tensor(dtype='float32', shape=v.shape) for v in numbers]
    f = pytensor.function(inputs, gradients(*inputs), mode=backend.MODE)
    plain = pytensor.function(inputs, gradients(*inputs), mode=backend.MODE.excluding('winograd_convolutions'))
    assert ops.Conv2d not in ops_of(f) and winograd.BatchedProducts not in ops_of(plain)
    for got, want in zip(f(*numbers), plain(*numbers)):
        assert abs(got - want).max() <= 1e-4 * abs(want).max()


def test_forward_and_backward_share_their_transforms(values):
    numbers = values(2, (12, 12), 16, 16, 'float32')
    inputs = [pt.tensor(dtype='float32', shape=v.shape) for v in numbers]
    used = ops_of(pytensor.function(inputs, gradients(*inputs), mode=backend.MODE))
    assert used.count(winograd.BatchedProducts) == 3
    # V and D once each for three products, U once for two.
    assert used.count(winograd.TileTransform) == 2 and used.count(winograd.FilterTransform) == 1


@pytest.mark.parametrize(
    'shape, filters, border',
    [
        ((2, 12, 12, 1), (3, 3, 1, 16), 'same'),
        ((2, 4, 4, 16), (3, 3, 16, 16), 'same'),
        ((2, 12, 12, 16), (5, 5, 16, 16), 'same'),
        ((2, 12, 12, 16), (3, 3, 16, 16), 'valid'),
        ((2, 12, 12, 16), (3, 3, 16, 7), 'same'),
    ],
)
def test_other_convolutions_stay(shape, filters, border):
    x, W = pt.tensor(dtype='float32', shape=shape), pt.tensor(dtype='float32', shape=filters)
    assert ops.Conv2d in ops_of(pytensor.function([x, W], ops.conv2d(x, W, border), mode=backend.MODE))


def test_few_images_stay_unless_there_are_gradients(values, monkeypatch):
    monkeypatch.setattr(rewrites, 'LEAST_PIXELS_ALONE', 500)
    numbers = values(2, (12, 12), 16, 16, 'float32')
    x, W, g = inputs = [pt.tensor(dtype='float32', shape=v.shape) for v in numbers]
    assert ops.Conv2d in ops_of(pytensor.function([x, W], ops.conv2d(x, W), mode=backend.MODE))
    assert ops.Conv2d not in ops_of(pytensor.function(inputs, gradients(*inputs), mode=backend.MODE))


@pytest.mark.parametrize('length, m', [(24, 5), (12, 4), (21, 3), (10, 5), (6, 3)])
def test_tiles_are_those_with_the_fewest_products(length, m):
    assert rewrites.tile_of(length, 12) == (m, 4)


# ----------------------------------------------------------------- batch norm and column sums


def both_forms(inputs, outputs, rewrite):
    """Functions with and without a rewrite; the graphs differ."""
    forms = [pytensor.function(inputs, outputs, mode=mode) for mode in (backend.MODE, backend.MODE.excluding(rewrite))]
    nodes = [[str(node) for node in f.maker.fgraph.toposort()] for f in forms]
    assert nodes[0] != nodes[1]
    return forms


@pytest.mark.parametrize('shape', [(300, 300), (40, 8, 9, 32), (67, 1009)])
def test_column_sums(rng, shape):
    xv = rng.normal(size=shape).astype('float32')
    x = pt.tensor(dtype='float32', shape=shape)
    want = xv.astype(float).reshape(-1, shape[-1]).sum(axis=0)
    for f in both_forms([x], x.sum(axis=tuple(range(len(shape) - 1))), 'column_sums'):
        np.testing.assert_allclose(f(xv), want, rtol=0, atol=1e-5 * abs(xv).sum() / shape[-1])
    y = ops.ColumnSum()(x)
    np.testing.assert_allclose(pytensor.function([x], y, mode=REFERENCE)(xv), want, rtol=0, atol=1e-2)


@pytest.mark.parametrize('n_in', [1, 96, 1009])
def test_the_product_of_one_row(rng, n_in):
    x, W = rng.normal(size=(1, n_in)).astype('float32'), rng.normal(size=(n_in, 40)).astype('float32')
    a, b = (pt.tensor(dtype='float32', shape=v.shape) for v in (x, W))
    got = pytensor.function([a, b], pt.dot(a, b), mode=backend.MODE)(x, W)
    np.testing.assert_allclose(got, x.astype(float) @ W, rtol=0, atol=1e-5 * n_in**0.5)


def batch_norm_and_gradients(shape, rng):
    """Inputs, outputs and values of batch norm with its gradients, and what NumPy makes of them in float64."""
    norm = BatchNorm(shape[-1])
    gamma = rng.uniform(0.5, 2, shape[-1]).astype('float32')
    norm.gamma.set_value(gamma)
    x, g = (pt.tensor(dtype='float32', shape=shape) for _ in range(2))
    y = norm(x, layer.Phase(train=True))
    outputs = [y, *pytensor.grad(None, [x, norm.gamma, norm.beta], known_grads={y: g})]
    xv, gv = (rng.normal(3, 2, size=shape).astype('float32') for _ in range(2))
    # Ioffe and Szegedy 2015, section 3, with the sums over images and pixels.
    a, b = (v.astype(float).reshape(-1, shape[-1]) for v in (xv, gv))
    s = 1 / np.sqrt(a.var(axis=0) + norm.eps)
    hat = (a - a.mean(axis=0)) * s
    dx = gamma * s * (b - b.mean(axis=0) - hat * (b * hat).mean(axis=0))
    return (
        [x, g],
        outputs,
        [xv, gv],
        [(gamma * hat).reshape(shape), dx.reshape(shape), (b * hat).sum(axis=0), b.sum(axis=0)],
    )


@pytest.mark.parametrize('shape', [(20, 12, 12, 32), (512, 256)])
@pytest.mark.parametrize('rewrite', ['centred_sums', 'small_factors', rewrites.TAG])
def test_batch_norm_in_closed_form(rng, shape, rewrite):
    inputs, outputs, values, wanted = batch_norm_and_gradients(shape, rng)
    # XLA's own sums, of the plain form, are rougher.
    for f, tolerance in zip(both_forms(inputs, outputs, rewrite), (2e-5, 2e-4)):
        for got, want in zip(f(*values), wanted):
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())


def test_batch_norm_takes_four_sums(rng):
    inputs, outputs, _, _ = batch_norm_and_gradients((20, 12, 12, 32), rng)
    assert ops_of(pytensor.function(inputs, outputs, mode=backend.MODE)).count(ops.ColumnSum) == 4


def test_sums_of_what_is_not_centred_stay(rng):
    xv = rng.normal(size=(300, 256)).astype('float32')
    x = pt.tensor(dtype='float32', shape=xv.shape)
    for shift in (0.5 * x.mean(axis=0), x.mean(axis=0)[::-1], x.mean(axis=1, keepdims=True)):
        want = (x - shift).sum(axis=0)
        f, plain = (pytensor.function([x], want, mode=mode) for mode in (backend.MODE, REFERENCE))
        np.testing.assert_allclose(f(xv), plain(xv), rtol=0, atol=1e-3)


# -------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize('p', [0.1, 0.3, 0.5, 1 / 3, 2**-24, 0.999])
def test_dropout_masks_are_the_same_to_the_bit(p):
    seed, counter = pytensor.shared(np.uint32(7)), pytensor.shared(np.uint32(9))
    mask = ops.uniform((50, 3, 70), seed, counter, stream=2) >= np.float32(p)
    new, plain = both_forms([], mask, 'dropout_masks')
    assert ops.DropoutMask in ops_of(new) and ops.DropoutMask not in ops_of(plain)
    np.testing.assert_array_equal(new(), plain())
    np.testing.assert_array_equal(new(), pytensor.function([], mask, mode=REFERENCE)())


# ------------------------------------------------------------------------------ whole networks


class Smooth(layer.Layer):
    """Network A's layers, narrow, without a maximum: float32 cannot fall on the other side of a tie."""

    def __init__(self, im_dim, n_classes, *, rng):
        options = dict(activation=rna.tanh(), batch_norm=True, p_drop=0.2, rng=rng)
        self.conv1 = cnn.layers.Conv(1, 16, pool=cnn.layers.AvgPool(2), **options)
        self.conv2 = cnn.layers.Conv(16, 24, pool=cnn.layers.AvgPool(2), **options)
        self.conv3 = cnn.layers.Conv(24, 16, **options)
        self.fc = mlp.layers.FullyConnected(im_dim[0] // 4 * (im_dim[1] // 4) * 16, n_classes, (32,), **options)

    def __call__(self, x, phase):
        return self.fc(self.conv3(self.conv2(self.conv1(x, phase), phase), phase), phase)


@functools.cache
def gradients_of_network(mode, dtype):
    """Gradient of a cost by parameter name, parameters and computation in `dtype`."""
    images = np.random.default_rng(5).integers(0, 256, (6, 20, 20)).astype('uint8')
    factors = np.random.default_rng(6).normal(size=(6, 7)).astype('float32')
    with pytensor.config.change_flags(floatX=dtype):
        network = Smooth((20, 20), 7, rng=np.random.default_rng(0))
        trained = layer.parameters(network, trainable=True)
        for p in trained.values():  # the same numbers in both precisions
            p.set_value(p.get_value().astype('float32').astype(dtype))
        x = pt.tensor('x', dtype='uint8', shape=images.shape)
        logits = network(functions.pixels(x), layer.Phase(train=True))
        cost = pt.sum(logits**2 * factors)
        f = pytensor.function([x], pytensor.grad(cost, list(trained.values())), mode=mode)
    return dict(zip(trained, map(np.asarray, f(images))))


@pytest.mark.parametrize('mode', [backend.MODE, backend.MODE.excluding(rewrites.TAG)])
def test_gradients_of_a_network_agree_with_float64(mode):
    exact, got = gradients_of_network(REFERENCE, 'float64'), gradients_of_network(mode, 'float32')
    assert exact['conv2.W'].dtype == 'float64' and got['conv2.W'].dtype == 'float32'
    largest = max(np.linalg.norm(g) for g in exact.values())
    for name, g in exact.items():
        # Batch norm takes gradients of exactly zero to rounding errors.
        assert np.linalg.norm(got[name] - g) <= 1e-3 * max(np.linalg.norm(g), 1e-3 * largest), name


def test_the_environment_leaves_rewrites_out():
    code = 'from utils import backend; print(sorted(backend.MODE.provided_optimizer.exclude))'
    out = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'SYMFER_EXCLUDE': 'column_sums'},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert 'column_sums' in out


# ---------------------------------------------------------------------------------- precision


def test_bf16_rounds_the_operands_of_convolutions_and_products(values):
    numbers = values(2, (12, 12), 16, 16, 'float32')
    inputs = [pt.tensor(dtype='float32', shape=v.shape) for v in numbers]

    def compute(precision):
        outputs = [*gradients(*inputs), pt.dot(inputs[0].reshape((288, 16)), inputs[1][0, 0])]
        f = backend.function(inputs, outputs, precision)
        return ops_of(f), f(*numbers)

    used, rounded = compute('bf16')
    assert winograd.BatchedProducts not in used
    for got, want in zip(rounded, compute('float32')[1]):
        assert got.dtype == 'float32'
        assert 1e-4 < np.linalg.norm(got - want) / np.linalg.norm(want) < 1e-2  # 8 bits: 2**-9 each operand


def test_a_network_learns_the_same_in_bf16():
    exact = gradients_of_network(backend.MODE, 'float32')
    got = gradients_of_network(backend.mode('bf16'), 'float32')
    for name in ('conv2.W', 'fc.softmax.W'):
        assert np.sum(exact[name] * got[name]) >= 0.99 * np.linalg.norm(exact[name]) * np.linalg.norm(got[name])


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match="'float32', 'tf32', 'bf16', got 'half'"):
        backend.mode('half')


# ----------------------------------------------------------------------------------- training


@pytest.mark.slow
def test_training_curves_of_both_forms_differ_less_than_seeds(tmp_path, monkeypatch, capsys):
    import launch
    from utils import backend as backend

    everything, curves = backend.MODE, {}
    settings = {**SAMPLE_RUN, 'n_epochs': 6, 'anneal_epochs': 0}
    path = launch.sample_set(tmp_path)
    for form, mode in (('rewritten', everything), ('plain', everything.excluding(rewrites.TAG))):
        monkeypatch.setattr(backend, 'MODE', mode)
        for seed in range(4):
            result = launch.test(
                dataset=path,
                savename=tmp_path / f'{form}{seed}.h5',
                seed=seed,
                retrain=False,
                special_test=False,
                report=False,
                verbose=0,
                **settings,
            )
            curves[form, seed] = [
                [row['train_cross_entropy'], row['validation_cross_entropy']] for row in result.history
            ]
    rewritten, plain = (np.array([curves[form, seed] for seed in range(4)]) for form in ('rewritten', 'plain'))
    spread = np.concatenate([rewritten, plain]).std(axis=0, ddof=1)
    # Means of four seeds, epoch by epoch: equal within what seeds leave open.
    difference = abs(rewritten.mean(axis=0) - plain.mean(axis=0)) / (spread * (2 / 4) ** 0.5)
    with capsys.disabled():
        print(
            '\ncross-entropies (training, validation) by epoch, rewritten then plain, and their difference in '
            'standard errors'
        )
        print(np.round(np.concatenate([rewritten.mean(axis=0), plain.mean(axis=0), difference], axis=1), 3))
    assert np.median(difference) < 1.5 and difference.max() < 3.5
