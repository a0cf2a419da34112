"""Pixels with their neighbours, against loops."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from utils import backend, ops


@pytest.mark.parametrize('dtype, mode', [('float64', 'FAST_COMPILE'), ('float32', backend.MODE)])
def test_neighbours_and_their_gradient_agree_with_loops(rng, dtype, mode):
    x = rng.normal(size=(3, 4, 5)).astype(dtype)
    row, column = rng.integers(0, 3, (3, 2, 6)), rng.integers(0, 4, (3, 2, 6))
    g = rng.normal(size=(3, 2, 6, 4)).astype(dtype)
    expected, dx = np.zeros_like(g), np.zeros_like(x)
    for n, a, b in np.ndindex(3, 2, 6):
        for k, (down, right) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
            at = n, row[n, a, b] + down, column[n, a, b] + right
            expected[n, a, b, k] = x[at]
            dx[at] += g[n, a, b, k]
    images, place = pt.tensor(dtype=dtype, shape=x.shape), pt.tensor(dtype='int32', shape=row.shape)
    y = ops.NeighbourPixels()(images, place)
    assert y.type.shape == g.shape
    f = pytensor.function([images, place], [y, pytensor.grad((y * g).sum(), images)], mode=mode)
    got = f(x, (row * 5 + column).astype('int32'))
    np.testing.assert_array_equal(got[0], expected)
    np.testing.assert_allclose(got[1], dx, rtol=1e-5, atol=1e-6)


def test_places_must_be_whole_numbers():
    with pytest.raises(ValueError, match='places float64'):
        ops.NeighbourPixels()(pt.tensor3(), pt.tensor3(dtype='float64'))
