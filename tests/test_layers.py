"""Layers: forward and gradient against NumPy in float64, both phases, names, and being off."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference

from cnn.layers import AvgPool, Conv, GlobalAvgPool, MaxPool, Residual, sides_after
from mlp.layers import FullyConnected, Hidden, Softmax
from utils import backend, rna
from utils.layer import Layer, Phase, flatten, n_features, other_names, output_shape, parameter, parameters, sublayers
from utils.layers import BatchNorm, Bias, Dropout, GaussianNoise
from utils.training import losses


def set_values(layer, values):
    for name, p in parameters(layer).items():
        p.set_value(np.asarray(values[name], p.dtype))


def random_values(layer, rng):
    """Values for all parameters: positive for gamma and var, normal for the others."""
    return {
        name: np.abs(rng.normal(size=p.type.shape)) + 0.5
        if name.endswith(('gamma', 'var'))
        else rng.normal(size=p.type.shape) * 0.5
        for name, p in parameters(layer).items()
    }


def check(layer, x, expected, rng, phase=None, tolerance=1e-5):
    """Compare output and gradients of a layer with a float64 function of (values, x) and its differences.

    The gradient is that of sum(output * g); differences of the reference are taken in random directions.
    """
    values = random_values(layer, rng)
    set_values(layer, values)
    values = {name: np.asarray(p.get_value(), float) for name, p in parameters(layer).items()}
    symbol = pt.tensor(dtype='float32', shape=x.shape)
    phase = phase or Phase()
    y = layer(symbol, phase)
    want = expected(values, x.astype(float))
    assert y.type.shape == want.shape
    assert y.dtype == 'float32'
    g = rng.normal(size=want.shape).astype('float32')
    trainable = parameters(layer, trainable=True)
    gradients = pytensor.grad((y * g).sum(), [symbol, *trainable.values()])
    got, *gradients = (np.asarray(v) for v in backend.function([symbol], [y, *gradients])(x))
    assert abs(got - want).max() <= tolerance * abs(want).max()
    for name, gradient in zip((None, *trainable), gradients):
        point = x.astype(float) if name is None else values[name]
        for _ in range(4):
            direction, step = rng.normal(size=point.shape), 1e-6

            def at(t):
                moved = point + t * direction
                out = expected(values, moved) if name is None else expected({**values, name: moved}, x.astype(float))
                return (out * g).sum()

            slope = (at(step) - at(-step)) / (2 * step)
            scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
            assert abs((gradient * direction).sum() - slope) <= tolerance * scale, name


def relu(a):
    return np.maximum(a, 0)


class TestForwardAndGradientAgreeWithNumpyInFloat64:
    """To 1e-5 relative, as float32 on JAX."""

    @pytest.mark.parametrize(
        'name, function', [('relu', relu), ('tanh', np.tanh), ('sigmoid', lambda a: 1 / (1 + np.exp(-a)))]
    )
    def test_hidden(self, rng, name, function):
        layer = Hidden(6, 5, rna.ACTIVATIONS[name](), rng=rng)
        check(layer, rng.normal(size=(8, 6)).astype('f'), lambda v, x: function(x @ v['W'] + v['norm.b']), rng)

    def test_hidden_with_batch_norm_in_training(self, rng):
        layer = Hidden(6, 5, rna.tanh(), batch_norm=True, rng=rng)
        check(
            layer,
            rng.normal(size=(8, 6)).astype('f'),
            lambda v, x: np.tanh(reference.batch_norm(x @ v['W'], v['norm.gamma'], v['norm.beta'])),
            rng,
            Phase(train=True),
            tolerance=2e-5,
        )

    def test_softmax(self, rng):
        check(Softmax(6, 4, rng=rng), rng.normal(size=(8, 6)).astype('f'), lambda v, x: x @ v['W'] + v['b'], rng)

    @pytest.mark.parametrize('train', [True, False])
    @pytest.mark.parametrize('shape', [(9, 5), (3, 4, 5, 6)])
    def test_batch_norm(self, rng, train, shape):
        def expected(v, x):
            return reference.batch_norm(x, v['gamma'], v['beta'], *(() if train else (v['mean'], v['var'])))

        check(
            BatchNorm(shape[-1]),
            rng.normal(2, 3, size=shape).astype('f'),
            expected,
            rng,
            Phase(train=train),
            tolerance=2e-5,
        )

    @pytest.mark.parametrize('border, pad', [('same', (1, 1)), ('valid', (0, 0))])
    @pytest.mark.parametrize('batch_norm', [True, False])
    @pytest.mark.parametrize('pool', [None, 'max', 'avg'])
    def test_conv(self, rng, border, pad, batch_norm, pool):
        layer = Conv(
            2,
            4,
            border=border,
            pool={'max': MaxPool(2), 'avg': AvgPool(2), None: None}[pool],
            activation=rna.tanh(),
            batch_norm=batch_norm,
            rng=rng,
        )

        def expected(v, x):
            y = reference.conv2d(x, v['W'], pad)
            if pool:
                y = reference.pool(y, (2, 2), (2, 2), True, {'max': np.max, 'avg': np.mean}[pool])
            y = reference.batch_norm(y, v['norm.gamma'], v['norm.beta']) if batch_norm else y + v['norm.b']
            return np.tanh(y)

        check(layer, rng.normal(size=(3, 7, 6, 2)).astype('f'), expected, rng, Phase(train=True), tolerance=2e-5)

    def test_global_avg_pool(self, rng):
        x = rng.normal(size=(2, 5, 6, 3)).astype('f')
        check(GlobalAvgPool(), x, lambda v, x: x.mean(axis=(1, 2)), rng)

    @pytest.mark.parametrize(
        'widths, projection, pool',
        [
            ((3, 3), True, None),
            ((3, 3), False, MaxPool(2)),
            ((2, 4), False, None),
            ((2, 4), False, MaxPool(2)),
            ((4, 2), True, MaxPool(2)),
        ],
    )
    def test_residual(self, rng, widths, projection, pool):
        n_in, n_out = widths
        layer = Residual(n_in, n_out, pool=pool, activation=rna.tanh(), projection=projection, rng=rng)
        assert (layer.projection is None) == (n_in == n_out or not projection)

        def expected(v, x):
            def part(y, name, pad=1):
                y = reference.conv2d(y, v[f'{name}.W'], (pad, pad))
                return reference.batch_norm(y, *(v[f'{name}.norm.{p}'] for p in ('gamma', 'beta', 'mean', 'var')))

            y = part(np.tanh(part(x, 'conv1')), 'conv2')
            y = y + (
                part(x, 'projection', pad=0)
                if layer.projection
                else np.concatenate([x, np.zeros((*x.shape[:3], n_out - n_in))], axis=3)
            )
            return np.tanh(reference.pool(y, (2, 2), (2, 2), True, np.max) if pool else y)

        check(layer, rng.normal(size=(2, 5, 6, n_in)).astype('f'), expected, rng, tolerance=2e-5)

    def test_fully_connected(self, rng):
        layer = FullyConnected(12, 3, [5, 4], activation=rna.tanh(), rng=rng)

        def expected(v, x):
            h = x.reshape(len(x), -1)
            for k in range(2):
                h = np.tanh(h @ v[f'hidden{k}.W'] + v[f'hidden{k}.norm.b'])
            return h @ v['softmax.W'] + v['softmax.b']

        check(layer, rng.normal(size=(4, 2, 3, 2)).astype('f'), expected, rng)

    def test_costs(self, rng):
        a, y = rng.normal(size=(6, 4)) * 3, rng.integers(0, 4, 6).astype('uint8')
        weights = np.array([1, 1, 0, 1, 0, 1], 'float32')
        logits, labels = pt.tensor(dtype='float32', shape=(6, 4)), pt.tensor(dtype='uint8', shape=(6,))
        nll = losses.negative_log_likelihood(logits, labels)
        cost = losses.weighted_mean(nll, weights)
        f = backend.function([logits, labels], [nll, cost, pytensor.grad(cost, logits), losses.errors(logits, labels)])
        got = [np.asarray(v) for v in f(a.astype('f'), y)]
        log_p = reference.log_softmax(a)
        np.testing.assert_allclose(got[0], -log_p[np.arange(6), y], rtol=1e-5)
        np.testing.assert_allclose(got[1], (-log_p[np.arange(6), y] * weights).sum() / 4, rtol=1e-5)
        # d cost / d logits = weight * (softmax - one-hot) / sum of weights
        slope = (np.exp(log_p) - np.eye(4)[y]) * weights[:, None] / 4
        np.testing.assert_allclose(got[2], slope, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(got[3], a.argmax(axis=1) != y)

    def test_l1_and_l2_terms_count_weights_only(self, rng):
        layer = FullyConnected(6, 3, [5], batch_norm=True, rng=rng)
        values = random_values(layer, rng)
        set_values(layer, values)
        weights = [values[name] for name in ('hidden0.W', 'softmax.W')]
        l1, l2 = backend.function([], [losses.l1(layer), losses.l2(layer)])()
        assert float(l1) == pytest.approx(sum(abs(w).sum() for w in weights), rel=1e-5)
        assert float(l2) == pytest.approx(sum((w**2).sum() for w in weights), rel=1e-5)


def symbol(*shape):
    return pt.tensor(dtype='float32', shape=shape)


class TestDropout:
    def test_in_training_drops_with_probability_p_and_keeps_values(self):
        x = symbol(200, 300)
        y = np.asarray(backend.function([x], Dropout(0.3)(x, Phase(train=True)))(np.full((200, 300), 2, 'f')))
        assert set(np.unique(y)) == {0, 2}  # a mask of zeros and ones, no rescaling
        assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / y.size)

    def test_elsewhere_multiplies_by_the_probability_of_keeping(self, rng):
        x, value = symbol(4, 5), rng.normal(size=(4, 5)).astype('f')
        for phase in (Phase(), Phase(share=pt.as_tensor(np.float32(1)))):
            y = np.asarray(backend.function([x], Dropout(0.3)(x, phase))(value))
            np.testing.assert_allclose(y, value * 0.7, rtol=1e-6)

    def test_draws_a_new_mask_at_each_call_and_the_same_for_the_same_counter(self):
        x, phase = symbol(50, 60), Phase(train=True)
        f = backend.function([x], [Dropout(0.5)(x, phase), Dropout(0.5)(x, phase)], updates=phase.updates)
        ones = np.ones((50, 60), 'f')
        first, second = ([np.asarray(v) for v in f(ones)] for _ in range(2))
        phase.counter.set_value(np.uint32(0))
        again = [np.asarray(v) for v in f(ones)]
        for a, b, c in zip(first, second, again):
            np.testing.assert_array_equal(a, c)
            assert 0.4 < (a != b).mean() < 0.6
        assert 0.4 < (first[0] != first[1]).mean() < 0.6  # two places, two streams

    def test_gradient_passes_where_the_mask_does(self):
        x, phase = symbol(40, 50), Phase(train=True)
        y = Dropout(0.5)(x, phase)
        out, slope = backend.function([x], [y, pytensor.grad(y.sum(), x)])(np.ones((40, 50), 'f'))
        np.testing.assert_array_equal(np.asarray(out), np.asarray(slope))

    def test_of_probability_0_is_not_there(self):
        x = symbol(4, 5)
        assert Dropout(0)(x, Phase(train=True)) is x
        assert Dropout(0)(x, Phase()) is x

    @pytest.mark.parametrize('p', [1, -0.1, 1.5, 'much', None, float('nan')])
    def test_refuses_what_is_no_probability(self, p):
        with pytest.raises(ValueError, match=r'in \[0, 1\)'):
            Dropout(p)


class TestGaussianNoise:
    def test_in_training_adds_noise_of_its_deviation(self):
        x = symbol(300, 400)
        y = np.asarray(backend.function([x], GaussianNoise(0.5)(x, Phase(train=True)))(np.ones((300, 400), 'f')))
        assert abs(y.mean() - 1) < 5 * 0.5 / np.sqrt(y.size)
        assert abs(y.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * y.size)

    def test_is_not_there_elsewhere_or_of_deviation_0(self):
        x = symbol(4, 5)
        assert GaussianNoise(0.5)(x, Phase()) is x
        assert GaussianNoise(0)(x, Phase(train=True)) is x

    def test_sits_between_the_linear_output_and_the_activation(self, rng):
        layer = Hidden(3, 4, rna.relu(), gaussian_std=1.0, rng=rng)
        x = symbol(100, 3)
        y = np.asarray(backend.function([x], layer(x, Phase(train=True)))(np.zeros((100, 3), 'f')))
        assert y.min() == 0 and 0.4 < (y == 0).mean() < 0.6  # the rectifier comes after it

    def test_refuses_a_negative_deviation(self):
        with pytest.raises(ValueError, match='standard deviation >= 0, got -1'):
            GaussianNoise(-1)


class TestBatchNormStatistics:
    def test_the_population_pass_averages_the_minibatches(self, rng):
        layer, share = BatchNorm(3), pt.scalar(dtype='float32')
        x, phase = symbol(10, 4, 4, 3), Phase(share=share)
        f = backend.function([x, share], layer(x, phase), updates=phase.updates)
        batches = [rng.normal(k, 1 + k, size=(10, 4, 4, 3)).astype('f') for k in range(4)]
        for k, batch in enumerate(batches, start=1):
            f(batch, np.float32(1 / k))
        m = 160  # Ioffe and Szegedy, Alg. 2, step 10: E[mean], m / (m - 1) * E[var]
        np.testing.assert_allclose(
            layer.mean.get_value(), np.mean([b.mean(axis=(0, 1, 2)) for b in batches], axis=0), rtol=1e-5
        )
        np.testing.assert_allclose(
            layer.var.get_value(), m / (m - 1) * np.mean([b.var(axis=(0, 1, 2)) for b in batches], axis=0), rtol=1e-5
        )

    def test_only_these_passes_change_anything(self):
        x = symbol(10, 3)
        phase = Phase()
        BatchNorm(3)(x, phase)
        assert phase.updates == {}
        phase = Phase(train=True)
        BatchNorm(3)(x, phase)
        assert list(phase.updates) == [phase.counter]

    def test_outside_training_an_image_alone_gives_what_it_gives_among_others(self, rng):
        layer = BatchNorm(3)
        set_values(layer, random_values(layer, rng))
        batch = rng.normal(size=(10, 3)).astype('f')
        many, one = symbol(10, 3), symbol(1, 3)
        all_of_them = np.asarray(backend.function([many], layer(many, Phase()))(batch))
        alone = np.asarray(backend.function([one], layer(one, Phase()))(batch[:1]))
        np.testing.assert_allclose(alone, all_of_them[:1], rtol=1e-6)


class TestInitialisation:
    @pytest.mark.parametrize('activation, gain', [(rna.relu(), 1), (rna.tanh(), 1), (rna.sigmoid(), 4)])
    def test_weights_are_uniform_within_the_limits_of_glorot(self, rng, activation, gain):
        for layer, n_in, n_out in (
            (Hidden(300, 200, activation, rng=rng), 300, 200),
            (Conv(30, 40, 3, activation=activation, rng=rng), 270, 360),
        ):
            W, limit = layer.W.get_value(), gain * np.sqrt(6 / (n_in + n_out))
            assert 0.98 * limit < abs(W).max() <= limit
            assert abs(W.std() - limit / np.sqrt(3)) < 0.02 * limit
            assert not layer.norm.b.get_value().any()

    def test_follows_the_generator(self):
        a, b, c = (Hidden(5, 4, rng=np.random.default_rng(s)).W.get_value() for s in (1, 1, 2))
        np.testing.assert_array_equal(a, b)
        assert (a != c).all()


class TestLayer:
    def test_names_are_paths_of_attributes(self, rng):
        layer = FullyConnected(6, 3, [5, 4], batch_norm=True, rng=rng)
        norm = [f'norm.{p}' for p in ('gamma', 'beta', 'mean', 'var')]
        names = [f'hidden{k}.{p}' for k in (0, 1) for p in ('W', *norm)] + ['softmax.W', 'softmax.b']
        assert list(parameters(layer)) == names
        assert [n for n in names if not n.endswith(('mean', 'var'))] == list(parameters(layer, trainable=True))
        assert list(parameters(layer, regularizable=True)) == ['hidden0.W', 'hidden1.W', 'softmax.W']

    def test_lists_and_dicts_of_any_nesting_are_gone_through(self, rng):
        class Nested(Layer):
            def __init__(self):
                self.parts = {'first': Bias(1), 'rest': [Bias(2), (Bias(3), {'deep': Bias(4), 5: parameter(0.0)})]}
                self.blocks = [[Bias(5)], [Bias(6), Bias(7)]]
                self.settings = {'a/b': 1, 'text': 'b', 'nothing': None}

        names = [
            'parts.first.b',
            'parts.rest0.b',
            'parts.rest1.0.b',
            'parts.rest1.1.deep.b',
            'parts.rest1.1.5',
            'blocks0.0.b',
            'blocks1.0.b',
            'blocks1.1.b',
        ]
        assert list(parameters(Nested())) == names
        assert list(sublayers(Nested(), Bias)) == [name.removesuffix('.b') for name in names if name.endswith('.b')]

    def test_slots_are_attributes(self):
        class Base(Layer):
            __slots__ = ('norm', '__hidden', 'never')

            def __init__(self):
                self.norm, self.__hidden, self.usual = Bias(1), Bias(2), Bias(3)

        class Derived(Base):
            __slots__ = 'more'

            def __init__(self):
                super().__init__()
                self.more = [Bias(4)]

        assert list(parameters(Derived())) == ['norm.b', '_Base__hidden.b', 'more0.b', 'usual.b']

    def test_what_is_reached_in_several_ways_counts_once(self, rng):
        class Shared(Layer):
            def __init__(self):
                self.first = Hidden(4, 3, rng=rng)
                self.again, self.W = self.first, self.first.W
                self.layers = [self.first, self.first.norm]

        net = Shared()
        assert list(parameters(net)) == ['first.W', 'first.norm.b']
        assert list(sublayers(net)) == ['first', 'first.norm', 'first.noise', 'first.dropout']
        assert other_names(net) == {'again': 'first', 'W': 'first.W', 'layers0': 'first', 'layers1': 'first.norm'}
        W = net.first.W.get_value()
        assert float(losses.l1(net).eval()) == pytest.approx(abs(W).sum(), rel=1e-5)
        assert float(losses.l2(net).eval()) == pytest.approx((W**2).sum(), rel=1e-5)

    def test_circles_end(self):
        class Circle(Layer):
            def __init__(self):
                self.me, self.part, self.list, self.table = self, Bias(2), [], {}
                self.part.owner = self
                self.list += [self.list, Bias(3)]
                self.table.update(itself=[self.table], one=Bias(4))

        assert list(parameters(Circle())) == ['part.b', 'list1.b', 'table.one.b']

    def test_two_things_of_one_name_are_refused(self):
        class Twice(Layer):
            def __init__(self):
                self.part, self.part0 = [Bias(2)], Bias(3)

        with pytest.raises(ValueError, match="'part0' names two things of layer Twice: rename"):
            parameters(Twice())

    @pytest.mark.parametrize('key', ['a/b', 'a\nb', '\0'])
    def test_names_that_files_cannot_have_are_refused(self, key):
        class Odd(Layer):
            def __init__(self):
                self.parts = {key: Bias(2)}

        with pytest.raises(ValueError, match='cannot be saved as a name of layer Odd: rename'):
            parameters(Odd())

    def test_shared_variables_that_are_no_parameters_are_refused_by_name(self):
        class Plain(Layer):
            def __init__(self):
                self.part = Bias(2)
                self.part.scales = [pytensor.shared(np.float32(1))]

        with pytest.raises(ValueError, match=r'layer Plain must be made by utils.layer.parameter.*as part.scales0$'):
            parameters(Plain())

    def test_the_output_shape_is_read_from_the_graph(self, rng):
        conv = Conv(1, 6, 5, 'valid', MaxPool(2), rng=rng)
        assert output_shape(conv, (38, 27)) == (17, 11, 6)
        assert output_shape(GlobalAvgPool(), (5, 4), 3) == (3,)
        assert n_features(conv, (38, 27)) == 17 * 11 * 6
        with pytest.raises(ValueError, match='images of 5x4 pixels are too small for network Conv: 5x5 filters'):
            n_features(conv, (5, 4))

    @pytest.mark.filterwarnings('ignore:cnn.layers.sides_after')
    def test_the_size_after_nested_attributes(self, rng):
        class Nested(Layer):
            __slots__ = ('stem',)

            def __init__(self):
                self.stem = Conv(1, 2, 3, 'valid', rng=rng)
                self.stages = {'one': [MaxPool(2), [MaxPool(2)]], 'two': MaxPool(3)}

        assert sides_after(Nested(), (38, 26)) == (3, 2)
        with pytest.raises(ValueError, match='network Nested: images of 2x2 pixels are too small for 3x3 pooling'):
            sides_after(Nested(), (10, 10))

    def test_a_layer_without_call_says_so(self):
        class Empty(Layer):
            pass

        with pytest.raises(NotImplementedError, match='Empty must define __call__'):
            Empty()(symbol(2, 3), Phase())

    def test_flatten_keeps_the_static_shape(self):
        assert flatten(symbol(2, 3, 4, 5)).type.shape == (2, 60)

    def test_a_phase_either_trains_or_measures(self):
        with pytest.raises(ValueError, match='either trains or measures'):
            Phase(train=True, share=pt.scalar())

    @pytest.mark.parametrize(
        'make, message',
        [
            (lambda rng: Hidden(9, 4, rng=rng)(symbol(2, 8), Phase()), 'Hidden layer of 9 inputs applied to'),
            (lambda rng: Conv(1, 4, 4, rng=rng), 'odd, got 4'),
            (lambda rng: Residual(4, 2, rng=rng), 'cannot narrow 4 channels to 2'),
            (lambda rng: FullyConnected(4, 2, [3, 0], rng=rng), 'n_hidden must be a list'),
            (lambda rng: FullyConnected(4, 2, [3, 3], p_drop=[0.5], rng=rng), 'one for each of the 2 hidden layers'),
            (lambda rng: Bias(3)(symbol(2, 4), Phase()), 'shape|dim|broadcast'),
        ],
    )
    def test_wrong_arguments_are_refused(self, rng, make, message):
        with pytest.raises(ValueError, match=message):
            make(rng)
