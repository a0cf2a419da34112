"""One training step or prediction in symfer and in other frameworks; `benchmarks.train` runs them in turn.

Each engine is a module with a function ``engine(case, **options) -> (step, about)``. `step` computes one minibatch (or
`step.minibatches` of them) and returns when the computation is finished. `about` gives versions, device and threads. An
engine imports only its own library and runs under the interpreter of that library; they share only NumPy.

`NETWORKS` describes the networks as lists: ``('conv', filters, side, pooled)``, ``('residual', filters, pooled)``.
Every network ends with one hidden layer and the softmax. The order in each layer is that of the thesis: convolution,
pooling, batch norm or bias, rectifier, dropout. The networks in `DEFAULTS` have the default arguments of their classes
in cnn/ (variant 'default'); only symfer and PyTorch have them.
"""

import os
from importlib import import_module

import numpy as np

NETWORKS = {
    'A': [('conv', 64, 3, True), ('conv', 128, 3, True), ('conv', 256, 3, False), ('conv', 256, 3, True)],
    'B': [
        ('conv', 64, 3, True),
        ('conv', 128, 3, True),
        ('conv', 256, 3, False),
        ('conv', 256, 3, True),
        ('conv', 512, 3, False),
        ('conv', 512, 3, True),
    ],
    'C': [
        ('conv', 64, 5, True),
        ('residual', 64, False),
        ('residual', 64, True),
        ('residual', 128, False),
        ('residual', 128, True),
        ('residual', 256, False),
        ('residual', 256, True),
    ],
    'D': [('conv', 64, 3, True), ('conv', 128, 3, True), ('residual', 128, True)],
    'MLP': [],
}
DEFAULTS = ('Sprint', 'VGG', 'VGG11', 'ResNet18', 'ResNet34', 'AlexNet', 'ZFNet', 'GoogLeNet')
N_HIDDEN, N_CLASSES, RATE = 1024, 7, 0.01
DROP_CONV, DROP_HIDDEN = 0.3, 0.5


class Case(dict):
    """A case to measure: network, variant, side, batch, images, train, precision.

    The variant is 'plain', 'dropout', 'bn' or 'both', or 'default' for the networks in `DEFAULTS`.
    """

    __getattr__ = dict.__getitem__

    @property
    def bn(self):
        return self.variant in ('bn', 'both') or self.network in 'CD'

    @property
    def drops(self):
        return (DROP_CONV, DROP_HIDDEN) if self.variant in ('dropout', 'both') else (0.0, 0.0)

    @property
    def layers(self):
        return NETWORKS[self.network]

    @property
    def operations(self):
        """Number of multiplications and additions of the direct convolutions and products of one step.

        In training each forward operation counts three times: itself, the gradient with respect to its weights and,
        except in the first layer, the gradient with respect to its inputs.
        """
        forward, channels, side = [], 1, self.side
        for kind, n_out, *rest in self.layers:
            if kind == 'conv':
                forward.append(2 * side**2 * rest[0] ** 2 * channels * n_out)
            else:
                forward += [2 * side**2 * 9 * n * n_out for n in (channels, n_out)]
            channels, side = n_out, side // 2 if rest[-1] else side
        forward += [2 * channels * side**2 * N_HIDDEN, 2 * N_HIDDEN * N_CLASSES]
        return self.batch * (3 * sum(forward) - forward[0] if self.train else sum(forward))


def data(case):
    """A resident set of noise: images uint8 (n, side, side), labels uint8 (n,)."""
    rng = np.random.default_rng(0)
    n = max(case.images, case.batch)
    return (
        rng.integers(0, 256, (n, case.side, case.side), dtype=np.uint8),
        rng.integers(0, N_CLASSES, n, dtype=np.uint8),
    )


def batches(case):
    """Yield the rows of minibatches without end."""
    rng = np.random.default_rng(1)
    n = len(data(case)[1])
    while True:
        yield rng.permutation(n)[: case.batch].astype(np.int32)


def tune_malloc():
    """Call `utils.process.tune_malloc` in an interpreter without PyTensor, without importing its package."""
    import importlib.util

    path = os.path.join(os.path.dirname(__file__), '..', '..', 'utils', 'process.py')
    spec = importlib.util.spec_from_file_location('process', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.tune_malloc()


# name: library, options of its engine
ENGINES = {
    'symfer': ('symfer', {}),
    'symfer, many steps a call': ('symfer', {'form': 'many'}),
    'symfer, compiled step alone': ('symfer', {'form': 'alone'}),
    'symfer, no rewrites': ('symfer', {'exclude': 'symfer'}),
    **{
        f'symfer, no {name}': ('symfer', {'exclude': name})
        for name in (
            'native_convolutions',
            'native_layers',
            'native_products',
            'centred_sums',
            'small_factors',
            'column_sums',
            'dropout_masks',
        )
    },
    'torch eager NCHW': ('torch', {}),
    'torch eager channels_last': ('torch', {'channels_last': True}),
    'torch eager channels_last, malloc untuned': ('torch', {'channels_last': True, 'malloc': False}),
    'torch compiled NCHW': ('torch', {'compiled': True}),
    'torch compiled channels_last': ('torch', {'compiled': True, 'channels_last': True}),
    'jax': ('jax', {}),
    'keras': ('keras', {}),
    'theano': ('theano', {}),
    'products': ('jax', {'products': True}),
}
LIBRARIES = ('symfer', 'torch', 'jax', 'keras', 'theano')


def engine(name):
    """Function and options of an engine."""
    library, options = ENGINES[name]
    return getattr(import_module(f'benchmarks.engines.{library}_'), library), options


def take_turns(engines, turns, seconds):
    """Time the engines in turn, each for about so many seconds, and end them."""
    counts = [max(1, round(seconds / engine.steps(1))) for engine in engines]
    for turn in range(turns):
        for engine, count in list(zip(engines, counts))[:: 1 if turn % 2 else -1]:
            engine.times.append(engine.steps(count))
    for engine in engines:
        engine.close()
