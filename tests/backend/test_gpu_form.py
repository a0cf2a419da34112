"""The form of graphs for a GPU, computed on this machine: against NumPy in float64, and its construction."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from rewrites_data import REFERENCE, ops_of

from utils import backend, ops


@pytest.fixture(autouse=True)
def for_a_gpu(monkeypatch):
    monkeypatch.setenv('SYMFER_PLATFORM', 'gpu')


def gradients(values, mode, border='same', stride=1):
    """A function from images, filters and the gradient of a convolution's output to both gradients."""
    x, W, g = (pt.tensor(dtype=v.dtype, shape=v.shape) for v in values)
    y = ops.conv2d(x, W, border, stride)
    return pytensor.function([x, W, g], pytensor.grad(None, [x, W], known_grads={y: g}), mode=mode)


@pytest.mark.parametrize('size', [1, 3, 5])
def test_gradients_by_images_are_cudnns_own(rng, size):
    values = [rng.normal(size=s) for s in ((2, 8, 9, 5), (size, size, 5, 6), (2, 8, 9, 6))]
    singles = [v.astype('float32') for v in values]
    f = gradients(singles, backend.MODE)
    assert ops.Conv2dInputGrad in ops_of(f) and ops.Conv2d not in ops_of(f)
    with pytensor.config.change_flags(floatX='float64'):
        wanted = gradients([v.astype('float64') for v in singles], REFERENCE)(*[v.astype('float64') for v in singles])
    for got, want in zip(f(*singles), wanted):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * abs(want).max())


def test_filters_are_converted_before_they_are_mirrored(rng):
    values = [rng.normal(size=s).astype('float32') for s in ((2, 8, 9, 5), (3, 3, 5, 6), (2, 8, 9, 6))]
    f = gradients(values, backend.mode('bf16'))
    text = f.vm.jit_fn.lower(*values).as_text()
    (mirrored,) = [line for line in text.splitlines() if 'stablehlo.reverse' in line]
    assert 'bf16' in mirrored, mirrored


@pytest.mark.parametrize('shape, split', [((20, 12, 12, 32), True), ((577, 640), True), ((300, 300), False)])
def test_sums_that_xla_leaves_whole_are_split(rng, shape, split):
    x = rng.normal(2, 1, size=shape).astype('float32')
    v = pt.tensor(dtype='float32', shape=shape)
    f = pytensor.function([v], v.sum(axis=tuple(range(len(shape) - 1))), mode=backend.MODE)
    assert (ops.ColumnSum in ops_of(f)) == split
    want = x.astype('float64').reshape(-1, shape[-1]).sum(axis=0)
    np.testing.assert_allclose(f(x), want, rtol=1e-5)


def test_members_have_convolutions_of_their_own(rng):
    """Gradient descent of two networks in one step gives the same as each alone, without a grouped convolution."""
    x = rng.normal(size=(2, 4, 6, 6, 3)).astype('float32')  # (members, n, h, w, c)
    start = [rng.normal(size=(3, 3, 3, 2)).astype('float32') for _ in range(2)]
    v = pt.tensor('x', dtype='float32', shape=x.shape[1:])
    shared = [pytensor.shared(W, shape=W.shape) for W in start]
    cost = pt.sum(ops.conv2d(v, shared[0]) ** 2)
    step = backend.function([v], cost, updates={shared[0]: shared[0] - 0.01 * pytensor.grad(cost, shared[0])})
    many = backend.StepsPerExecution(step, 1, {shared[0]: shared})
    text = many.loop.lower(np.int32(1), [x[None]], *many.values()).as_text()
    convolutions = [line for line in text.splitlines() if 'stablehlo.convolution' in line]
    assert len(convolutions) == 4 and all('group_count = 1' in line for line in convolutions)
    many(x[None])
    conv, grad = ops.Conv2d(1), ops.Conv2dFilterGrad(1, (3, 3))
    for W, images, p in zip(start, x.astype('float64'), shared):
        y, dW = [[None]], [[None]]
        node = conv.make_node(pt.constant(images), pt.constant(W.astype('float64')))
        conv.perform(node, [images, W.astype('float64')], y)
        node = grad.make_node(pt.constant(images), pt.constant(y[0][0]))
        grad.perform(node, [images, 2 * y[0][0]], dW)
        np.testing.assert_allclose(np.asarray(p.get_value()), W - 0.01 * dW[0][0], rtol=1e-4, atol=1e-5)
