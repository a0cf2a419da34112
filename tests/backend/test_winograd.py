"""Winograd's convolutions: matrices, transforms, and the convolutions computed by them."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference
from rewrites_data import REFERENCE, gradients, ops_of

from utils import backend, ops
from utils.backend import rewrites
from utils.ops import winograd

PURE = backend.MODE.excluding('native_convolutions')  # for XLA alone
SIDES = [(24, 24), (21, 20), (12, 10), (5, 6)]


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


@pytest.mark.cpu_form
@pytest.mark.parametrize('side', SIDES)
def test_winograd_on_the_device_agrees_with_the_plain_convolution(values, side):
    numbers = values(3, side, 16, 24, 'float32')
    inputs = [pt.tensor(dtype='float32', shape=v.shape) for v in numbers]
    f = pytensor.function(inputs, gradients(*inputs), mode=PURE)
    plain = pytensor.function(inputs, gradients(*inputs), mode=PURE.excluding('winograd_convolutions'))
    assert ops.Conv2d not in ops_of(f) and winograd.BatchedProducts not in ops_of(plain)
    for got, want in zip(f(*numbers), plain(*numbers)):
        assert abs(got - want).max() <= 1e-4 * abs(want).max()


@pytest.mark.cpu_form
def test_forward_and_backward_share_their_transforms(values):
    numbers = values(2, (12, 12), 16, 16, 'float32')
    inputs = [pt.tensor(dtype='float32', shape=v.shape) for v in numbers]
    used = ops_of(pytensor.function(inputs, gradients(*inputs), mode=PURE))
    assert used.count(winograd.BatchedProducts) == 3
    # V and D are each computed once for three products, U once for two.
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
    assert ops.Conv2d in ops_of(pytensor.function([x, W], ops.conv2d(x, W, border), mode=PURE))


@pytest.mark.cpu_form
def test_few_images_stay_unless_there_are_gradients(values, monkeypatch):
    monkeypatch.setattr(rewrites, 'LEAST_PIXELS_ALONE', 500)
    numbers = values(2, (12, 12), 16, 16, 'float32')
    x, W, g = inputs = [pt.tensor(dtype='float32', shape=v.shape) for v in numbers]
    assert ops.Conv2d in ops_of(pytensor.function([x, W], ops.conv2d(x, W), mode=PURE))
    assert ops.Conv2d not in ops_of(pytensor.function(inputs, gradients(*inputs), mode=PURE))


@pytest.mark.parametrize('length, m', [(24, 5), (12, 4), (21, 3), (10, 5), (6, 3)])
def test_tiles_are_those_with_the_fewest_products(length, m):
    assert rewrites.tile_of(length, 12) == (m, 4)
