"""Convolutions with strides and groups, and local response normalisation, against loops and differences in float64."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference

from utils import backend, ops
from utils.ops.convolution import Conv2dInputGrad

REFERENCE = 'FAST_COMPILE'  # runs `perform`


def by_loops(x, W, pad, stride, groups, g):
    """The convolution, and the gradients of the sum of it times `g`, one output and filter pixel at a time."""
    (ph, pw), (sh, sw), (kh, kw, c, n_out) = pad, stride, W.shape
    xp = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0))).astype(float)
    high, wide = (xp.shape[1] - kh) // sh + 1, (xp.shape[2] - kw) // sw + 1
    y, dx, dW = np.zeros((len(x), high, wide, n_out)), np.zeros_like(xp), np.zeros(W.shape)
    for o in range(n_out):
        channels = slice(c * (o // (n_out // groups)), c * (o // (n_out // groups) + 1))
        for i in range(high):
            for j in range(wide):
                place = (slice(None), slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw), channels)
                y[:, i, j, o] = (xp[place] * W[..., o]).sum(axis=(1, 2, 3))
                one = g[:, i, j, o][:, None, None, None]
                dx[place] += one * W[..., o]
                dW[..., o] += (one * xp[place]).sum(axis=0)
    return y, dx[:, ph : ph + x.shape[1], pw : pw + x.shape[2]], dW


CASES = [  # size, border, stride, groups, channels, filters
    (3, 'same', 2, 1, 4, 6),
    (3, 'valid', (2, 3), 1, 3, 5),
    (5, 2, 4, 1, 1, 4),
    ((2, 4), (0, 1), (3, 2), 1, 5, 4),
    (1, 'same', 2, 1, 4, 4),
    (1, 3, 1, 1, 4, 2),
    (3, 'same', 1, 2, 4, 6),
    (3, 'same', 1, 4, 4, 4),
    ((3, 2), (1, 0), (2, 1), 5, 5, 5),
    (3, 'same', 1, 6, 36, 24),
    (5, 'same', 2, 2, 6, 4),
    (3, 'valid', 1, 3, 6, 3),
]


@pytest.mark.parametrize('size, border, stride, groups, channels, filters', CASES)
@pytest.mark.parametrize(
    'dtype, mode, precision',
    [
        ('float64', REFERENCE, 1e-11),
        ('float32', backend.MODE, 1e-5),
        ('float32', backend.MODE.excluding('native_convolutions'), 1e-5),
    ],
)
def test_convolution_and_gradients_agree_with_loops(
    rng, size, border, stride, groups, channels, filters, dtype, mode, precision
):
    kh, kw = (size, size) if isinstance(size, int) else size
    pad = {'same': (kh // 2, kw // 2), 'valid': (0, 0)}.get(
        border, border if isinstance(border, tuple) else (border,) * 2
    )
    xv = rng.normal(size=(3, 9, 11, channels)).astype(dtype)
    Wv = rng.normal(size=(kh, kw, channels // groups, filters)).astype(dtype)
    x, W = (pt.tensor(dtype=dtype, shape=v.shape) for v in (xv, Wv))
    y = ops.conv2d(x, W, border, stride, groups)
    g = rng.normal(size=y.type.shape).astype(dtype)
    steps = (stride, stride) if isinstance(stride, int) else stride
    expected = by_loops(xv, Wv, pad, steps, groups, g)
    assert y.type.shape == expected[0].shape
    got = pytensor.function([x, W], [y, *pytensor.grad((y * g).sum(), [x, W])], mode=mode)(xv, Wv)
    for a, b in zip(got, expected):
        assert a.dtype == dtype and a.shape == b.shape
        assert abs(np.asarray(a) - b).max() <= precision * abs(b).max()


@pytest.mark.parametrize('size, border, stride, groups, channels, filters', CASES[::2] + CASES[7:8])
def test_second_gradients_agree_with_differences(rng, size, border, stride, groups, channels, filters):
    kh, kw = (size, size) if isinstance(size, int) else size
    xv = rng.normal(size=(2, 6, 5, channels))
    Wv = rng.normal(size=(kh, kw, channels // groups, filters))
    x, W = (pt.tensor(dtype='float64', shape=v.shape) for v in (xv, Wv))
    first = pytensor.grad((ops.conv2d(x, W, border, stride, groups) ** 3).sum(), [x, W])
    cost = (first[0] ** 2).sum() + (first[1] ** 2).sum()
    f = pytensor.function([x, W], [cost, *pytensor.grad(cost, [x, W])], mode=REFERENCE)
    _, dx, dW = f(xv, Wv)
    for got, of in ((dx, lambda v: f(v, Wv)[0]), (dW, lambda v: f(xv, v)[0])):
        expected = reference.numerical_gradient(of, (xv if got is dx else Wv).copy())
        assert abs(got - expected).max() <= 1e-4 * abs(expected).max()


def test_shapes_that_are_not_known_are_inferred(rng):
    x, W = pt.tensor4('x', dtype='float64'), pt.tensor(dtype='float64', shape=(3, 3, 2, 4))
    y = ops.conv2d(x, W, 'same', 2, groups=2)
    f = pytensor.function([x, W], y.shape, mode=REFERENCE)
    assert tuple(f(np.zeros((2, 9, 8, 4)), np.zeros((3, 3, 2, 4)))) == (2, 5, 4, 4)
    with pytest.raises(ValueError, match='images of known height and width'):
        pytensor.grad(y.sum(), x)


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda x: ops.conv2d(x, np.zeros((3, 3, 2, 4)), 'same', 0), 'stride must be an integer >= 1'),
        (lambda x: ops.conv2d(x, np.zeros((3, 3, 2, 4)), groups=0), 'groups must be a whole number'),
        (
            lambda x: ops.conv2d(x, np.zeros((3, 3, 3, 4)), groups=2),
            'in 2 groups cannot be applied to images of 4 channels',
        ),
        (lambda x: ops.conv2d(x, np.zeros((3, 3, 2, 5)), groups=2), '5 filters cannot be divided into 2 groups'),
        (lambda x: ops.conv2d(x, np.zeros((3, 3, 4, 4)), -1), 'pad must be an integer >= 0'),
        (lambda x: ops.local_response_norm(x, 4), 'must be odd'),
        (lambda x: ops.local_response_norm(pt.tensor4('x')), 'known shape'),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_is_built(call, message):
    with pytest.raises(ValueError, match=message):
        call(pt.tensor(dtype='float64', shape=(2, 6, 6, 4)))


def test_the_input_gradient_is_the_adjoint(rng):
    x, g, W = rng.normal(size=(2, 7, 8, 4)), rng.normal(size=(2, 4, 3, 6)), rng.normal(size=(3, 5, 2, 6))
    y, _, _ = by_loops(x, W, (1, 1), (2, 3), 2, np.zeros((2, 4, 2, 6)))
    g = g[:, :, : y.shape[2]]
    X, G, F = (pt.tensor(dtype='float64', shape=v.shape) for v in (x, g, W))
    back = Conv2dInputGrad((1, 1), (2, 3), 2, (7, 8))(G, F)
    (dx,) = pytensor.function([G, F], [back], mode=REFERENCE)(g, W)
    np.testing.assert_allclose((x * dx).sum(), (y * g).sum())


@pytest.mark.parametrize('size, channels', [(5, 8), (3, 2), (1, 4), (7, 3)])
def test_local_response_normalisation_agrees_with_loops(rng, size, channels):
    xv = rng.normal(size=(2, 3, 4, channels))
    expected = np.empty_like(xv)
    for c in range(channels):
        near = xv[..., max(0, c - size // 2) : c + size // 2 + 1]
        expected[..., c] = xv[..., c] / (1.5 + 0.3 * (near**2).sum(axis=3)) ** 0.6
    for dtype, mode, precision in (('float64', REFERENCE, 1e-12), ('float32', backend.MODE, 1e-5)):
        x = pt.tensor(dtype=dtype, shape=xv.shape)
        y = ops.local_response_norm(x, size, 0.3, 0.6, 1.5)
        assert y.type.shape == xv.shape and y.dtype == dtype
        np.testing.assert_allclose(pytensor.function([x], y, mode=mode)(xv.astype(dtype)), expected, rtol=precision)
    x = pt.tensor(dtype='float64', shape=xv.shape)
    cost = (ops.local_response_norm(x, size, 0.3, 0.6, 1.5) ** 3).sum()
    f = pytensor.function([x], [cost, pytensor.grad(cost, x)], mode=REFERENCE)
    dx = reference.numerical_gradient(lambda v: f(v)[0], xv.copy())
    assert abs(f(xv)[1] - dx).max() <= 1e-6 * abs(dx).max()
