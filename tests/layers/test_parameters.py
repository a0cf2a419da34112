"""Layers: names, parameters, sizes, wrong arguments."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from layers_data import symbol

from cnn.layers import Conv, GlobalAvgPool, MaxPool, Residual, sides_after
from mlp.layers import FullyConnected, Hidden
from utils.layer import Layer, Phase, flatten, n_features, other_names, output_shape, parameter, parameters, sublayers
from utils.layers import Bias
from utils.training import losses


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

        with pytest.raises(ValueError, match="'part0' is the name of two parts of layer Twice: rename"):
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

        with pytest.raises(
            ValueError, match=r'layer Plain must be made by utils.layer.parameter.*but these are not: part.scales0$'
        ):
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
            Phase(train=True, weight=pt.scalar())

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
