"""Measure the overhead of symfer and PyTensor around the compiled step: `python -m benchmarks.overhead`.

Two functions run in turn, in one process and on the same images. One is `utils.training.steps.train_each` as an
experiment calls it, with its minibatches, checks and reporter. The other is the compiled XLA function alone, on the
same arrays. Each pair of turns gives a ratio. The output is their median with a 95 % bootstrap interval (percentiles of
10,000 medians of pairs drawn with replacement; Efron 1979). If the interval excludes 1, the overhead is significant.
"""

import argparse
import json
import time
from types import SimpleNamespace

import numpy as np

N_IMAGES = 1000


def interval(ratios, draws=10_000, seed=0):
    """Median of ratios and its 95 % bootstrap interval: (median, lower bound, upper bound)."""
    ratios = np.asarray(ratios, float)
    drawn = np.random.default_rng(seed).integers(len(ratios), size=(draws, len(ratios)))
    return float(np.median(ratios)), *map(float, np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5]))


class Stored(SimpleNamespace):
    """A subset of random images."""

    def __init__(self, side, n_classes=7):
        rng = np.random.default_rng(0)
        self.x = rng.integers(256, size=(N_IMAGES, side, side), dtype=np.uint8)
        self.y, self.rows = rng.integers(n_classes, size=N_IMAGES, dtype=np.uint8), np.arange(N_IMAGES)
        self.name, self.base = 'drawn', self

    def __len__(self):
        return N_IMAGES

    def images(self, rows=None):
        return self.x if rows is None else self.x[rows]


def both(network, width, batch, side):
    """Return two functions that run n steps: with the library, and with the compiled step alone."""
    import jax

    import cnn
    import mlp
    from utils.training import steps
    from utils.training.batches import to_device
    from utils.training.functions import Functions
    from utils.training.reporter import NullReporter
    from utils.training.settings import Settings

    options = {'rng': np.random.default_rng(0)}
    if network == 'MLP':
        made = mlp.MLP((side, side), 7, [512, 512], **options)
    else:
        made = getattr(cnn, network)((side, side), 7, width=width, **options)
    subset, rng = Stored(side), np.random.default_rng(1)
    f = Functions(made, (side, side), Settings(batch, learning_rate=1e-4), resident=to_device(subset), n_classes=7)

    def library(n):
        steps.train_each(f, subset, rng.integers(N_IMAGES, size=n * batch), NullReporter())

    library(1)
    fgraph, vm = f.train.maker.fgraph, f.train.vm
    given = [jax.numpy.asarray(rng.integers(N_IMAGES, size=batch).astype('int32')), jax.numpy.ones(batch, 'float32')]
    values = given + [jax.numpy.array(cell[0]) for cell in vm.inputs[len(given) :]]
    cost = next(k for k in range(len(fgraph.outputs)) if k not in fgraph.update_mapping)

    def alone(n):
        for _ in range(n):
            outputs = vm.jit_fn(*values)
            for k_out, k_in in fgraph.update_mapping.items():
                values[k_in] = outputs[k_out]
            float(outputs[cost])

    alone(1)
    return library, alone


def timed(run, n):
    start = time.perf_counter()
    run(n)
    return (time.perf_counter() - start) / n


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--network', default='A', help='a network of cnn/, or MLP (default: A)')
    parser.add_argument('--width', type=float, default=1.0)
    parser.add_argument('--batch', type=int, default=100)
    parser.add_argument('--side', type=int, default=48)
    parser.add_argument('--pairs', type=int, default=60)
    parser.add_argument('--steps', type=int, default=3, help='steps per turn (default: 3)')
    args = parser.parse_args()
    from utils.process import tune_malloc

    tune_malloc()
    runs, ratios, milliseconds = both(args.network, args.width, args.batch, args.side), [], []
    for pair in range(args.pairs):
        order = (0, 1) if pair % 2 else (1, 0)
        took = {k: timed(runs[k], args.steps) for k in order}
        ratios.append(took[0] / took[1])
        milliseconds.append(1000 * took[1])
    middle, low, high = interval(ratios)
    print(
        json.dumps(
            {
                **vars(args),
                'ms_of_the_compiled_step': round(float(np.median(milliseconds)), 2),
                'ratio': round(middle, 4),
                'interval': [round(low, 4), round(high, 4)],
            }
        )
    )


if __name__ == '__main__':
    main()
