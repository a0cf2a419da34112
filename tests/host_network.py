"""A tiny network and a tiny set, for tests in several processes."""

import numpy as np

import utils  # noqa: F401  (sets PyTensor up)
from cnn.layers import AvgPool, Conv, MaxPool
from loaders import Originals, build
from mlp.layers import FullyConnected
from utils import rna
from utils.layer import Layer, n_features
from utils.training.augmentation import Augment
from utils.training.members import Members
from utils.training.settings import Settings
from utils.training.trainer import Trainer

AUGMENT = Augment(mirror=0.5, rotation=10, shift=0.1, zoom=0.1)


class Tiny(Layer):
    """A convolution and a hidden layer, with batch norm and dropout."""

    def __init__(self, im_dim, n_classes, *, rng):
        self.conv = Conv(1, 8, size=3, pool=MaxPool(2), batch_norm=True, p_drop=0.2, rng=rng)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, (16,), 0.3, rng=rng)

    def features(self, x, phase):
        return self.conv(x, phase)

    def __call__(self, x, phase):
        return self.fc(self.features(x, phase), phase)


class Smooth(Layer):
    """Network A, narrowed, with average pooling and tanh, so that nothing depends on a maximum or a sign."""

    def __init__(self, im_dim, n_classes, *, rng):
        widths, options = (1, 16, 32, 64, 64), {'batch_norm': True, 'activation': rna.tanh(), 'rng': rng}
        pools = [AvgPool(2), AvgPool(2), None, AvgPool(2)]
        self.convs = [
            Conv(n, m, pool=pool, p_drop=0.2, **options) for n, m, pool in zip(widths, widths[1:], pools, strict=False)
        ]
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, [32], 0.5, **options)

    def features(self, x, phase):
        for conv in self.convs:
            x = conv(x, phase)
        return x

    def __call__(self, x, phase):
        return self.fc(self.features(x, phase), phase)


def apart(a, b):
    """Return the distance of two sets of arrays, relative to the norm of one; the draw counters must be equal."""
    assert a.get('counter') == b.get('counter')
    both = [(np.asarray(a[name], float), np.asarray(b[name], float)) for name in b if name != 'counter']
    return float(np.sqrt(sum(((x - y) ** 2).sum() for x, y in both) / sum((y**2).sum() for _, y in both)))


def data_set(folder, seed=7):
    rng = np.random.default_rng(seed)
    labels = np.arange(190) % 3
    images = rng.normal(110, 40, (190, 12, 12))
    for k, label in enumerate(labels):
        images[k, label * 4 : label * 4 + 4] += 45
    usage = np.repeat([0, 1, 2], [130, 30, 30]).astype(np.uint8)
    images, labels = np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.uint8)
    originals = Originals(images, labels, usage, np.arange(190, dtype=np.int32), ('a', 'b', 'c'))
    return build(originals, sets=(2,), out=folder, validation=30, info=lambda *line: None)[0]


def trained(data, n, k=1, many=False, **settings):
    """Return a trainer of k networks after one epoch on n devices, and its arrays; `many` makes many steps per call."""

    def make(rng):
        nets = [Tiny(data.shape, 3, rng=np.random.default_rng([1, m])) for m in range(k)]
        return nets[0] if k == 1 else Members(nets)

    chosen = {'batch_size': 24, 'learning_rate': 0.02, 'statistics_images': 96, 'augment': AUGMENT, 'seed': 5}
    t = Trainer(make, data, Settings(**{**chosen, **settings, 'devices': n}))
    t.many_steps = many
    t.train(1)
    return t, t.arrays()


def figures(t):
    return [t.history[0][name] for name in ('train_cost', 'validation_error', 'validation_cross_entropy')]
