"""Networks defined in a test, with their functions and trainer."""

import numpy as np

from mlp.layers import Hidden, Softmax
from utils.layer import Layer, flatten
from utils.training.functions import Functions
from utils.training.settings import Settings
from utils.training.trainer import Trainer

SIDE = (12, 12)


def network(init, call):
    """Make a network class from ``init(network, rng)`` and ``call(network, images (n, 144), phase)``."""

    class Mine(Layer):
        __slots__ = ('slot',)

        def __init__(self, rng):
            init(self, rng)

        def __call__(self, x, phase):
            return call(self, flatten(x), phase)

    return Mine


def nested(self, rng):
    self.layers = {'hidden': [[Hidden(144, 5, rng=rng)]]}
    self.slot = Softmax(5, 3, rng=rng)


def linear(self, rng):
    self.out = Softmax(144, 3, rng=rng)


def straight(self, x, phase):
    return self.out(x, phase)


def functions(init, call):
    return Functions(network(init, call)(np.random.default_rng(0)), SIDE, Settings(6), n_classes=3)


def trainer(data, init, call, reporter=None, **settings):
    return Trainer(
        network(init, call),
        data,
        Settings(**{'batch_size': 20, 'statistics_images': 40, 'seed': 5, **settings}),
        reporter=reporter,
    )
