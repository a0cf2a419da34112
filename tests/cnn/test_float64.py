"""Logits and gradients of every network, narrowed, on the device, against the unrewritten graph in NumPy, float64."""

import inspect

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from rewrites_data import REFERENCE

import cnn
import mlp
from utils import backend, rna
from utils.layer import Phase, parameters

QUICK = ('LeNet5', 'MLP')
SIDES = {'AlexNet': 48, 'ZFNet': 48, 'GoogLeNet': 48}
NETWORKS = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in (*cnn.__all__, *mlp.__all__)
]


def made(name, dtype):
    """Make a network without draws and without kinks, on which float32 and float64 could fall on different sides."""
    side = SIDES.get(name, 32)
    narrow = {} if name in ('LeNet5', 'MLP') else {'width': 1 / 16}
    make = getattr(cnn, name, None) or getattr(mlp, name)
    drops = inspect.signature(make).parameters['p_dropConv'].default
    with pytensor.config.change_flags(floatX=dtype):
        network = make(
            (side, side),
            7,
            n_hidden=[12],
            p_drop=0.0,
            p_dropConv=(0.0,) * len(drops),
            activation=rna.tanh(),
            rng=np.random.default_rng(0),
            **narrow,
        )
        values = np.random.default_rng(1)
        for p in parameters(network).values():  # the same values in both, including those of batch norm and whitening
            v = np.asarray(p.get_value()).astype('float32')
            v = v + 0.1 * values.uniform(size=v.shape).astype('float32') if not v.any() or v.ndim == 1 else v
            p.set_value(v.astype(dtype))
    return network, side


def logits_and_gradients(name, mode, dtype):
    """Compute, for four images, the logits at inference and the gradients in training by parameter."""
    network, side = made(name, dtype)
    trained = parameters(network, trainable=True)
    images = np.random.default_rng(5).uniform(size=(4, side, side, 1)).astype('float32').astype(dtype)
    factors = np.random.default_rng(6).normal(size=(4, 7)).astype('float32').astype(dtype)
    with pytensor.config.change_flags(floatX=dtype):
        x = pt.tensor('x', dtype=dtype, shape=images.shape)
        cost = pt.sum(network(x, Phase(train=True, seed=np.uint32(1), counter=pt.constant(np.uint32(0)))) * factors)
        wanted = pytensor.grad(cost, list(trained.values()), disconnected_inputs='ignore')
        f = pytensor.function([x], [network(x, Phase()), *wanted], mode=mode)
    logits, *found = map(np.asarray, f(images))
    return logits, dict(zip(trained, found))


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_agree_with_float64(name):
    exact, gradients = logits_and_gradients(name, REFERENCE, 'float64')
    got, found = logits_and_gradients(name, backend.MODE, 'float32')
    assert exact.dtype == 'float64' and got.dtype == 'float32'
    np.testing.assert_allclose(got, exact, rtol=0, atol=2e-5 * abs(exact).max())
    largest = max(np.linalg.norm(g) for g in gradients.values())
    for parameter, g in gradients.items():
        error = np.linalg.norm(found[parameter] - g)
        assert error <= 1e-3 * max(np.linalg.norm(g), 1e-3 * largest), (parameter, error, np.linalg.norm(g))
