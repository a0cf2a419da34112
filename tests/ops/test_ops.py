"""Ops: NumPy `perform` against slow loops in float64, JAX against `perform`, gradients against differences."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference

from utils import backend, ops

REFERENCE = 'FAST_COMPILE'  # runs `perform`


def run(outputs, values, mode=backend.MODE):
    """Evaluate expressions of the variables in `values`, [(variable, array), ...]."""
    f = pytensor.function([v for v, _ in values], outputs, mode=mode)
    return [np.asarray(v) for v in f(*(a for _, a in values))]


def images(rng, shape, dtype='float64'):
    value = rng.normal(size=shape).astype(dtype)
    return pt.tensor(dtype=dtype, shape=shape), value


CONVOLUTIONS = [
    (size, border, channels) for size in (1, 3, 5, (3, 5)) for border in ('same', 'valid') for channels in (1, 3, 4)
]


@pytest.mark.parametrize('size, border, channels', CONVOLUTIONS)
class TestConvolution:
    def case(self, rng, size, border, channels, dtype):
        kh, kw = (size, size) if isinstance(size, int) else size
        pad = (kh // 2, kw // 2) if border == 'same' else (0, 0)
        x, xv = images(rng, (3, 7, 8, channels), dtype)
        W, Wv = images(rng, (kh, kw, channels, 5), dtype)
        y = ops.conv2d(x, W, border)
        g = rng.normal(size=(3, 7 + 2 * pad[0] - kh + 1, 8 + 2 * pad[1] - kw + 1, 5)).astype(dtype)
        assert y.type.shape == g.shape
        return pad, (kh, kw), [(x, xv), (W, Wv)], y, g

    def expected(self, pad, size, values, g):
        (_, x), (_, W) = values
        back = tuple(k - 1 - p for k, p in zip(size, pad))
        return [
            reference.conv2d(x, W, pad),
            reference.conv2d(g, W[::-1, ::-1].transpose(0, 1, 3, 2), back),
            reference.conv2d_filter_grad(x, g, pad, size),
        ]

    def test_perform_and_gradients_agree_with_loops_in_float64(self, rng, size, border, channels):
        pad, size, values, y, g = self.case(rng, size, border, channels, 'float64')
        got = run([y, *pytensor.grad((y * g).sum(), [v for v, _ in values])], values, REFERENCE)
        for a, b in zip(got, self.expected(pad, size, values, g)):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)

    def test_jax_agrees_with_loops_to_1e_5(self, rng, size, border, channels):
        pad, size, values, y, g = self.case(rng, size, border, channels, 'float32')
        got = run([y, *pytensor.grad((y * g).sum(), [v for v, _ in values])], values)
        for a, b in zip(got, self.expected(pad, size, values, g)):
            assert a.dtype == np.float32
            assert abs(a - b).max() <= 1e-5 * abs(b).max()


POOLINGS = [
    (window, stride, border, sides)
    for window, stride in (((2, 2), (2, 2)), ((3, 2), (3, 2)), ((3, 3), (2, 2)), ((2, 3), (1, 4)), ((9, 9), (9, 9)))
    for border in (True, False)
    for sides in ((9, 9), (10, 13), (12, 10))
]


@pytest.mark.parametrize('window, stride, border, sides', POOLINGS)
class TestPooling:
    def test_max_pool_agrees_with_loops(self, rng, window, stride, border, sides):
        # Rounded, so that windows have equal maxima; the first is to get the gradient.
        xv = np.round(rng.normal(size=(2, *sides, 3)), 1)
        for dtype, mode in (('float64', REFERENCE), ('float32', backend.MODE)):
            x = pt.tensor(dtype=dtype, shape=xv.shape)
            y = ops.max_pool(x, window, stride, border)
            expected = reference.pool(xv.astype(dtype), window, stride, border, np.max)
            assert y.type.shape == expected.shape
            g = rng.normal(size=expected.shape).astype(dtype)
            got = run([y, pytensor.grad((y * g).sum(), x)], [(x, xv.astype(dtype))], mode)
            np.testing.assert_array_equal(got[0], expected)
            np.testing.assert_allclose(
                got[1], reference.max_pool_grad(xv.astype(dtype), g, window, stride, border), rtol=1e-6, atol=1e-6
            )

    def test_avg_pool_agrees_with_loops(self, rng, window, stride, border, sides):
        xv = rng.normal(size=(2, *sides, 3))
        for dtype, mode, precision in (('float64', REFERENCE, 1e-12), ('float32', backend.MODE, 1e-6)):
            x = pt.tensor(dtype=dtype, shape=xv.shape)
            y = ops.avg_pool(x, window, stride, border)
            expected = reference.pool(xv, window, stride, border, np.mean)
            assert y.type.shape == expected.shape
            (got,) = run([y], [(x, xv.astype(dtype))], mode)
            np.testing.assert_allclose(got, expected, rtol=precision, atol=precision)

    def test_avg_pool_gradient_is_its_adjoint(self, rng, window, stride, border, sides):
        # The gradient of sum(pool(x) * g) is the transposed pooling of g: <pool(x), g> = <x, dx> for every x.
        x, xv = images(rng, (2, *sides, 3), 'float32')
        y = ops.avg_pool(x, window, stride, border)
        g = rng.normal(size=y.type.shape).astype('float32')
        (dx,) = run([pytensor.grad((y * g).sum(), x)], [(x, xv)])
        for _ in range(5):
            other = rng.normal(size=xv.shape)
            left = (reference.pool(other, window, stride, border, np.mean) * g).sum()
            np.testing.assert_allclose((other * dx).sum(), left, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'make',
    [
        lambda x, W: ops.conv2d(x, W, 'same'),
        lambda x, W: ops.conv2d(x, W, 'valid'),
        lambda x, W: ops.max_pool(ops.conv2d(x, W), 2),
        lambda x, W: ops.max_pool(ops.conv2d(x, W), 3, 2, False),
        lambda x, W: ops.avg_pool(ops.conv2d(x, W), 2),
        lambda x, W: ops.avg_pool(ops.conv2d(x, W), 3, 2, False),
    ],
)
def test_first_and_second_gradient_agree_with_differences_in_float64(rng, make):
    (x, xv), (W, Wv) = images(rng, (2, 5, 6, 2)), images(rng, (3, 3, 2, 2))
    cost = (make(x, W) ** 3).sum()
    first = pytensor.grad(cost, [x, W])
    second = pytensor.grad((first[0] ** 2).sum() + (first[1] ** 2).sum(), [x, W])
    f = pytensor.function([x, W], [cost, *first, *second], mode=REFERENCE)
    _, *gradients = f(xv, Wv)
    for k, (function, values) in enumerate(
        (
            (lambda a, b: f(a, b)[0], gradients[:2]),
            (lambda a, b: sum((v**2).sum() for v in f(a, b)[1:3]), gradients[2:]),
        )
    ):
        tolerance = 1e-6 if k == 0 else 1e-4
        dx = reference.numerical_gradient(lambda v: function(v, Wv), xv.copy())
        dW = reference.numerical_gradient(lambda v: function(xv, v), Wv.copy())
        for got, expected in zip(values, (dx, dW)):
            assert abs(got - expected).max() <= tolerance * abs(expected).max()


@pytest.mark.parametrize(
    'call, message',
    [
        (lambda x: ops.conv2d(x, np.zeros((2, 2, 3, 4), 'float32')), 'odd sides, got 2x2'),
        (
            lambda x: ops.conv2d(x, np.zeros((3, 3, 2, 4), 'float32')),
            '2 input channels cannot be applied to images of 3 channels',
        ),
        (lambda x: ops.conv2d(x, np.zeros((3, 3, 3, 4), 'float32'), 'full'), "'same' or 'valid', got 'full'"),
        (lambda x: ops.conv2d(x, np.zeros((9, 9, 3, 4), 'float32'), 'valid'), '9x9 filters do not fit'),
        (lambda x: ops.max_pool(x, 7), '5x6 pixels are too small for 7x7 pooling'),
        (lambda x: ops.avg_pool(x, (0, 2)), 'window must be an integer >= 1'),
        (lambda x: ops.max_pool(pt.tensor4('x')), 'known height and width'),
    ],
)
def test_wrong_arguments_are_refused_when_the_graph_is_built(call, message):
    with pytest.raises(ValueError, match=message):
        call(pt.tensor(dtype='float32', shape=(2, 5, 6, 3)))


# ------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize(
    'counter, key, expected',
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_known_answers_of_its_authors(counter, key, expected):
    # kat_vectors of the Random123 distribution, threefry2x32 with 20 rounds.
    got = ops.threefry2x32(*([np.array([v], np.uint32) for v in pair] for pair in (key, counter)))
    assert tuple(int(v[0]) for v in got) == expected


def draw(kind, shape, seed=3, counter=5, stream=1, mode=backend.MODE):
    s, c = pytensor.shared(np.uint32(seed)), pytensor.shared(np.uint32(counter))
    x = kind(shape, s, c, stream)
    assert x.type.shape == tuple(shape) and x.dtype == 'float32'
    return np.asarray(pytensor.function([], x, mode=mode)())


@pytest.mark.parametrize('kind', [ops.uniform, ops.normal])
class TestDraws:
    def test_jax_agrees_with_perform(self, kind):
        for shape in ((7,), (3, 5), (2, 3, 4, 5)):
            np.testing.assert_allclose(draw(kind, shape), draw(kind, shape, mode=REFERENCE), rtol=0, atol=2e-6)

    def test_are_a_function_of_seed_stream_and_counter(self, kind):
        base = draw(kind, (50, 20))
        np.testing.assert_array_equal(base, draw(kind, (50, 20)))
        for other in ({'seed': 4}, {'counter': 6}, {'stream': 2}):
            again = draw(kind, (50, 20), **other)
            assert (again != base).mean() > 0.99
            assert abs(np.corrcoef(again.ravel(), base.ravel())[0, 1]) < 0.15  # 4.7 / sqrt(1000)

    def test_distribution(self, kind):
        from scipy import stats

        x = np.concatenate([draw(kind, (100_000,), counter=c).ravel() for c in range(3)]).astype(float)
        cdf = stats.uniform.cdf if kind is ops.uniform else stats.norm.cdf
        assert stats.kstest(x, cdf).pvalue > 1e-4
        if kind is ops.uniform:
            assert x.min() >= 0 and x.max() < 1
        assert np.isfinite(x).all()
        for lag in (1, 2, 64, 50_000):  # 50,000 is where the second words begin
            assert abs(np.corrcoef(x[:-lag], x[lag:])[0, 1]) < 5 / np.sqrt(len(x))


def test_draws_have_no_more_elements_than_numbers():
    seed = pytensor.shared(np.uint32(1))
    assert ops.uniform((1 << 16, 1 << 16), seed, seed).type.shape == (1 << 16, 1 << 16)
    with pytest.raises(ValueError, match=r'4,294,967,296 elements, got 4,295,032,832 of shape \(65537, 65536\)'):
        ops.uniform(((1 << 16) + 1, 1 << 16), seed, seed)


def test_draws_want_uint32_scalars():
    with pytest.raises(ValueError, match='counter of a draw must be a uint32 scalar'):
        ops.uniform((3,), pytensor.shared(np.uint32(1)), pytensor.shared(np.float32(1)))
