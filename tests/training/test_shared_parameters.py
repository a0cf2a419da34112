"""Networks with one parameter or layer under several names, and models saved with them."""

import numpy as np
from own_network import SIDE, functions, linear, straight, trainer

from mlp import MLP
from mlp.layers import FullyConnected, Hidden
from utils.files import models
from utils.layer import Layer, parameters
from utils.layers import Bias
from utils.training import optimisers
from utils.training.state import without_aliases


class TestModelsWithAParameterUnderTwoNames:
    """Models from the time when a layer in two attributes was saved twice."""

    def test_are_still_restored(self, data):
        def tied(self, rng):
            self.first = Hidden(144, 144, rng=rng)
            self.again = self.first
            self.fc = FullyConnected(144, 3, [], rng=rng)

        def twice(self, x, phase):
            return self.fc(self.again(self.first(x, phase), phase), phase)

        def make():
            return trainer(data, tied, twice, optimiser=optimisers.momentum)

        with make() as t:
            t.train(1)
            state = t.state()
        old = {
            **state,
            **{
                group: state[group] | {path.replace('first', 'again'): value for path, value in state[group].items()}
                for group in ('arrays', 'kept', 'trained')
            },
        }
        with make() as t:
            t.restore(old)
            assert {path: value.tobytes() for path, value in t.arrays().items()} == {
                path: value.tobytes() for path, value in state['arrays'].items()
            }

    def test_that_differ_are_not_taken_for_one(self, rng):
        class Net(Layer):
            def __init__(self):
                self.a = self.b = Bias(2)

        shapes = {name: p.type.shape for name, p in parameters(Net()).items()}
        one, two = np.zeros(2, 'f'), np.ones(2, 'f')
        assert list(without_aliases({'a.b': one, 'b.b': one, 'x.b': one}, shapes, Net())) == ['a.b', 'x.b']
        assert list(without_aliases({'a.b': one, 'b.b': two}, shapes, Net())) == ['a.b', 'b.b']


def test_a_layer_of_two_attributes_is_regularised_and_optimised_once(data):
    def tied(self, rng):
        linear(self, rng)
        self.again = [self.out]

    states = []
    for init in (linear, tied):
        with trainer(
            data, init, straight, L1_reg=0.01, L2_reg=0.02, optimiser=optimisers.clipped(optimisers.sgd, 0.1)
        ) as t:
            t.train(2)
            states.append(t.state())
    assert [row['train_cost'] for row in states[0]['history']] == [row['train_cost'] for row in states[1]['history']]
    for path, value in states[0]['arrays'].items():
        np.testing.assert_array_equal(states[1]['arrays'][path], value)


def test_the_network_itself_as_its_attribute(rng):
    def init(self, rng):
        linear(self, rng)
        self.me = self

    f = functions(init, straight)
    f.check()
    assert list(f.parameters) == ['out.W', 'out.b']


def test_a_model_saved_with_a_parameter_under_two_names_is_still_opened(tiny_set, tmp_path, monkeypatch):
    import launch

    class Tied(MLP):
        def __init__(self, im_dim, n_classes, *, rng):
            super().__init__(im_dim, n_classes, n_hidden=[5], rng=rng)
            self.layers = [self.fc]

    monkeypatch.chdir(tmp_path)
    launch.test(
        network=Tied,
        dataset=tiny_set,
        n_epochs=1,
        anneal_epochs=1,
        batch_size=50,
        report=False,
        verbose=0,
        savename='m.h5',
    )
    state, config = models.load('m.h5')
    assert all('fc' in path for path in state['arrays'] if path != 'counter')
    old = {
        **state,
        **{
            group: state[group]
            | {path.replace('fc', 'layers0'): value for path, value in state[group].items() if 'fc' in path}
            for group in ('arrays', 'kept', 'trained')
        },
    }
    models.save('old.h5', old, config)
    images = np.arange(3 * 144, dtype=np.uint8).reshape(3, *SIDE)
    np.testing.assert_array_equal(
        launch.predict('old.h5', images, network=Tied), launch.predict('m.h5', images, network=Tied)
    )
    again = launch.test(resume='old.h5', network=Tied, n_epochs=2, verbose=0)
    assert len(again.history) == 2 + again.epoch + 1
