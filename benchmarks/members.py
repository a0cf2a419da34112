"""Compare training steps of k networks side by side with those of k networks one after another.

    python -m benchmarks.members                    # 1/4 of network A, 4 members, on this device
    python -m benchmarks.members --k 8 --width 1

Both train in turn on random images on the device; the ratio is that of the medians of one run.
"""

from __future__ import annotations

import argparse
import json
import time
from types import SimpleNamespace

import numpy as np

import cnn
from utils import backend
from utils.process import tune_malloc
from utils.training.batches import to_device
from utils.training.functions import Functions
from utils.training.members import MemberFunctions, Members
from utils.training.settings import Settings

SIDE, IMAGES, CLASSES = 48, 1000, 7


def drawn_subset(rng: np.random.Generator) -> SimpleNamespace:
    """Random images and labels, in the form that `to_device` takes."""
    x = rng.integers(256, size=(IMAGES, SIDE, SIDE), dtype=np.uint8)
    return SimpleNamespace(images=lambda: x, y=rng.integers(CLASSES, size=IMAGES, dtype=np.uint8), name='drawn')


def compare(k: int, width: float, batch_size: int, rounds: int, steps: int) -> dict[str, float]:
    """Measure a step of k networks in milliseconds, side by side and one after another, and their ratio."""
    rng = np.random.default_rng(0)
    resident, settings = to_device(drawn_subset(rng)), Settings(batch_size)

    def made(m):
        return cnn.A((SIDE, SIDE), CLASSES, width=width, rng=np.random.default_rng(m))

    kwargs = {'resident': resident, 'n_classes': CLASSES}
    together = MemberFunctions(Members([made(m) for m in range(k)]), (SIDE, SIDE), settings, **kwargs)
    alone = Functions(made(0), (SIDE, SIDE), settings, **kwargs)
    rows = rng.integers(IMAGES, size=(steps, k, batch_size)).astype(np.int32)
    weights = np.ones(rows.shape, np.float32)
    many = backend.device_name() != 'cpu'

    def side_by_side():
        if many:
            return np.asarray(together.train_many(rows, weights)[0])
        return [float(together.train(*given)[0]) for given in zip(rows, weights)]

    def in_turn():
        for m in range(k):
            if many:
                np.asarray(alone.train_many(rows[:, m], weights[:, m])[0])
            else:
                [float(alone.train(*given)[0]) for given in zip(rows[:, m], weights[:, m])]

    seconds = {side_by_side: [], in_turn: []}
    for round_ in range(rounds + 1):
        for run, found in seconds.items():
            start = time.perf_counter()
            run()
            if round_:  # the first compiles
                found.append(time.perf_counter() - start)
    ours, theirs = (1000 * np.median(found) / steps for found in seconds.values())
    return {'side_by_side_ms': round(ours, 1), 'in_turn_ms': round(theirs, 1), 'ratio': round(theirs / ours, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind, default in (
        ('k', int, 4),
        ('width', float, 0.25),
        ('batch-size', int, 100),
        ('rounds', int, 5),
        ('steps', int, 5),
    ):
        parser.add_argument(f'--{name}', type=kind, default=default)
    args = vars(parser.parse_args())
    tune_malloc()
    print(json.dumps({'device': backend.device_name(), **args, **compare(**args)}))


if __name__ == '__main__':
    main()
