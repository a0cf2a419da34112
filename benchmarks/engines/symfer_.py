"""symfer."""

import numpy as np

from benchmarks.engines import N_CLASSES, N_HIDDEN, NETWORKS, RATE, batches, data


class _Stored:
    """A subset in the form that `utils.training.batches.to_device` takes."""

    def __init__(self, images, labels):
        self.y, self.base, self.name, self._images = labels, self, 'benchmark', images

    def images(self):
        return self._images


MANY = 50


def network(case):
    """The network of a case."""
    import cnn
    import mlp

    cls = mlp.MLP if case.network == 'MLP' else getattr(cnn, case.network)
    options = {'rng': np.random.default_rng(0)}
    if case.network in NETWORKS:
        conv, hidden = case.drops
        n_convolutions = sum({'conv': 1, 'residual': 2}[layer[0]] for layer in case.layers)
        options |= {'n_hidden': (N_HIDDEN,), 'batch_norm': case.bn, 'p_drop': hidden}
        options |= {'p_dropConv': (conv,) * n_convolutions}
    return cls((case.side, case.side), N_CLASSES, **options)


def symfer(case, exclude='', form='each'):
    """One call per step; `exclude` names rewrites to leave out.

    With `form` 'many', one call trains `MANY` minibatches, as in experiments on a GPU. With 'alone', the compiled XLA
    function is called without symfer and PyTensor, always on the same rows; the difference to 'each' is the overhead
    of the library.
    """
    from utils.process import keep_compiled, tune_malloc

    tune_malloc()
    keep_compiled()
    import jax

    from utils import backend
    from utils.backend import compilation
    from utils.training.batches import to_device
    from utils.training.functions import Functions
    from utils.training.settings import Settings

    compilation.MODE = compilation.MODE.excluding(*filter(None, exclude.split(',')))
    stored = _Stored(*data(case))
    f = Functions(
        network(case),
        (case.side, case.side),
        Settings(case.batch, learning_rate=RATE, precision=case.precision),
        resident=to_device(stored),
    )
    rows, weights = batches(case), np.ones(case.batch, 'float32')

    def train():
        float(f.train(next(rows), weights)[0])

    def train_many():
        float(f.train_many(np.stack([next(rows) for _ in range(MANY)]), np.stack([weights] * MANY))[0][-1])

    train_many.minibatches = MANY

    def alone():
        fgraph, given = f.train.maker.fgraph, [jax.numpy.asarray(v) for v in (next(rows), weights)]
        values = given + [jax.numpy.asarray(s[0]) for s in f.train.vm.inputs[len(given) :]]
        results = [k for k in range(len(fgraph.outputs)) if k not in fgraph.update_mapping]

        def step():
            outputs = f.train.vm.jit_fn(*values)
            for k_out, k_in in fgraph.update_mapping.items():
                values[k_in] = outputs[k_out]
            float(outputs[results[0]])

        return step

    def predict():
        np.asarray(f.test(stored.images()[next(rows)]))

    step = {'each': lambda: train, 'many': lambda: train_many, 'alone': alone}[form]() if case.train else predict
    return step, f'symfer, JAX {jax.__version__}, {backend.device_name()}'
