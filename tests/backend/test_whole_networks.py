"""Whole networks: gradients against float64, precision, curves of both forms."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from rewrites_data import REFERENCE, gradients, ops_of

import cnn
import mlp
from utils import backend, layer, rna
from utils.backend import rewrites
from utils.cli.sample import SAMPLE_RUN
from utils.ops import winograd
from utils.training import functions


class Smooth(layer.Layer):
    """Network A's layers, narrow, without a maximum, so that float32 cannot break a tie differently."""

    def __init__(self, im_dim, n_classes, *, rng):
        options = dict(activation=rna.tanh(), batch_norm=True, p_drop=0.2, rng=rng)
        self.conv1 = cnn.layers.Conv(1, 32, pool=cnn.layers.AvgPool(2), **options)
        self.conv2 = cnn.layers.Conv(32, 48, pool=cnn.layers.AvgPool(2), **options)
        self.conv3 = cnn.layers.Conv(48, 32, **options)
        self.fc = mlp.layers.FullyConnected(im_dim[0] // 4 * (im_dim[1] // 4) * 32, n_classes, (32,), **options)

    def __call__(self, x, phase):
        return self.fc(self.conv3(self.conv2(self.conv1(x, phase), phase), phase), phase)


@functools.cache
def gradients_of_network(mode, dtype):
    """Gradient of a cost by parameter name, parameters and computation in `dtype`."""
    images = np.random.default_rng(5).integers(0, 256, (12, 20, 20)).astype('uint8')
    factors = np.random.default_rng(6).normal(size=(12, 7)).astype('float32')
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
        # With batch norm, gradients that are exactly zero become rounding errors.
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


@pytest.mark.slow
def test_training_curves_of_both_forms_differ_less_than_seeds(tmp_path, monkeypatch, capsys):
    import launch
    from utils.backend import compilation

    everything, curves = compilation.MODE, {}
    settings = {**SAMPLE_RUN, 'n_epochs': 6, 'anneal_epochs': 0}
    path = launch.sample_set(tmp_path)
    for form, mode in (('rewritten', everything), ('plain', everything.excluding(rewrites.TAG))):
        monkeypatch.setattr(compilation, 'MODE', mode)
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
    # Means of four seeds, epoch by epoch: equal within the spread of the seeds.
    difference = abs(rewritten.mean(axis=0) - plain.mean(axis=0)) / (spread * (2 / 4) ** 0.5)
    with capsys.disabled():
        print(
            '\ncross-entropies (training, validation) by epoch, rewritten then plain, and their difference in '
            'standard errors'
        )
        print(np.round(np.concatenate([rewritten.mean(axis=0), plain.mean(axis=0), difference], axis=1), 3))
    assert np.median(difference) < 1.5 and difference.max() < 3.5
