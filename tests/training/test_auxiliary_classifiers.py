"""Further logits of a training pass: their costs are added, their parameters trained, and nothing else changes."""

import numpy as np
import pytest
from pytensor.graph.traversal import graph_inputs

import cnn
from utils.layer import Layer, flatten, parameter, parameters
from utils.training.functions import Functions
from utils.training.settings import Settings


def probabilities(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Tapped(Layer):
    """A linear hidden layer with an auxiliary classifier, and the main one after it."""

    def __init__(self, rng):
        self.V, self.A, self.W = (
            parameter(0.1 * rng.normal(size=shape), regularizable=True) for shape in ((16, 5), (5, 3), (5, 3))
        )

    def __call__(self, x, phase):
        hidden = flatten(x).dot(self.V)
        if phase.train:
            phase.add_logits(hidden.dot(self.A), 0.3)
        return hidden.dot(self.W)


def test_a_step_is_that_of_numpy_in_float64(rng):
    net = Tapped(rng)
    x = rng.integers(0, 256, (8, 4, 4), dtype=np.uint8)
    y, weights = rng.integers(0, 3, 8).astype(np.uint8), np.array([1, 1, 1, 0, 1, 1, 0, 1], np.float32)
    before = {name: p.get_value().astype(float) for name, p in parameters(net).items()}
    f = Functions(net, (4, 4), Settings(8, learning_rate=0.5), n_classes=3)
    cost, entropy = f.train(x, y, weights)
    inputs = x.reshape(8, 16) / 255
    hidden, one_hot, w = inputs @ before['V'], np.eye(3)[y], weights[:, None] / weights.sum()
    main, more = probabilities(hidden @ before['W']), probabilities(hidden @ before['A'])
    nll = [-(w[:, 0] * np.log((p * one_hot).sum(axis=1))).sum() for p in (main, more)]
    np.testing.assert_allclose(entropy, nll[0], rtol=1e-5)
    np.testing.assert_allclose(cost, nll[0] + 0.3 * nll[1], rtol=1e-5)
    d_main, d_more = w * (main - one_hot), 0.3 * w * (more - one_hot)
    gradients = {
        'W': hidden.T @ d_main,
        'A': hidden.T @ d_more,
        'V': inputs.T @ (d_main @ before['W'].T + d_more @ before['A'].T),
    }
    for name, p in parameters(net).items():
        np.testing.assert_allclose(p.get_value(), before[name] - 0.5 * gradients[name], rtol=1e-4, atol=1e-6)


def test_logits_of_another_shape_are_refused(rng):
    class Wrong(Tapped):
        def __call__(self, x, phase):
            if phase.train:
                phase.add_logits(flatten(x).dot(self.V), 0.3)
            return flatten(x).dot(self.V).dot(self.W)

    with pytest.raises(ValueError, match='further logits of shape'):
        Functions(Wrong(rng), (4, 4), Settings(8), n_classes=3).check()


def test_googlenet_trains_its_auxiliary_classifiers_and_tests_without_them(rng):
    net = cnn.GoogLeNet((40, 40), 3, width=0.0625, rng=rng)
    f = Functions(net, (40, 40), Settings(4), n_classes=3)
    f.check()  # each of its parameters has a gradient
    used = {p.name for p in graph_inputs(f._training[1]) if p.name}
    assert {'auxiliary0.fc.softmax.W', 'auxiliary1.conv.W', 'fc.softmax.W'} <= used
    assert used >= set(parameters(net))
    tested = {p.name for p in graph_inputs([f._testing[1]]) if p.name}
    assert tested & set(parameters(net)) == {name for name in parameters(net) if not name.startswith('auxiliary')}
