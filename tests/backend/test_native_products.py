"""Products of matrices by the kernels in C++: results against NumPy in float64, and which products have one."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from rewrites_data import ops_of

from utils import backend, native
from utils.ops.kernels import ProductKernel

pytestmark = [pytest.mark.cpu_form, pytest.mark.skipif(native.compiler() is None, reason='needs a C++ compiler')]


def of_shape(n, d, k, dtype='float32', **options):
    """A layer's product of n images with d x k weights, and both gradients."""
    x, W, g = (pt.matrix(dtype=dtype, shape=shape) for shape in ((n, d), (d, k), (n, k)))
    y = pt.dot(x, W)
    return backend.function([x, W, g], [y, *pytensor.grad(None, [x, W], known_grads={y: g})], **options)


@pytest.mark.parametrize(
    'n, d, k',
    [
        (32, 1024, 256),
        (100, 2304, 1024),
        (37, 515, 528),  # parts of blocks in every axis
        (501, 300, 880),
        (130, 16384, 16),
    ],
)
def test_agrees_with_float64(rng, n, d, k):
    f = of_shape(n, d, k)
    assert sum(isinstance(node.op, ProductKernel) for node in f.maker.fgraph.toposort()) == 1  # not the gradients
    x, W, g = (rng.normal(size=shape).astype('float32') for shape in ((n, d), (d, k), (n, k)))
    for got, (a, b) in zip(f(x, W, g), [(x, W), (g, W.T), (x.T, g)]):
        expected = a.astype('float64') @ b
        assert abs(np.asarray(got) - expected).max() <= 6e-6 * abs(expected).max()


@pytest.mark.parametrize(
    'n, d, k, dtype',
    [
        (31, 2304, 1024, 'float32'),  # few images, and many
        (513, 2304, 1024, 'float32'),
        (100, 1024, 7, 'float32'),  # columns that do not fill vectors
        (100, 256, 256, 'float32'),  # few weights
        (None, 2304, 1024, 'float32'),
        (100, 2304, 1024, 'float64'),
    ],
)
def test_other_products_have_none(n, d, k, dtype):
    x, W = pt.matrix(dtype=dtype, shape=(n, d)), pt.matrix(dtype=dtype, shape=(d, k))
    assert ProductKernel not in ops_of(backend.function([x, W], pt.dot(x, W)))


def test_what_is_rounded_has_none():
    assert ProductKernel not in ops_of(of_shape(100, 2304, 1024, precision='bf16'))


def test_perform_is_the_same_product(rng):
    a, b = rng.normal(size=(5, 7)), rng.normal(size=(7, 3))
    out = [[None]]
    ProductKernel().perform(None, [a, b], out)
    np.testing.assert_allclose(out[0][0], a @ b)
