"""Train network A: ``python -m benchmarks.on_gpu.training precision|epoch SET FILE``.

`precision` trains the network from the same initial weights in each precision. It chooses the fastest precision that
learns as well as float32: its minimum of the validation cross-entropy is at most `TOLERANCE` higher, which is the
difference between two seeds. `epoch` trains the network on a set in that precision and times each epoch.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import cnn
import loaders
from benchmarks.on_gpu.steps import PRECISIONS
from utils import backend
from utils.training.settings import Settings
from utils.training.trainer import Trainer

TOLERANCE = 0.03
BATCH, RATE = 100, 0.05


def trained(data, precision, epochs, width, after=lambda row: None):
    """Train and return the history; `after` is called with the row of each epoch and the seconds since the start."""
    start = time.perf_counter()

    def epoch_ended(trainer):
        if trainer.history:
            after({**trainer.history[-1], 'wall': time.perf_counter() - start})

    settings = Settings(min(BATCH, len(data.reduced_training) // 2), learning_rate=RATE, precision=precision)
    with Trainer(
        lambda rng: cnn.A(data.shape, len(data.classes), width=width, rng=rng), data, settings, checkpoint=epoch_ended
    ) as trainer:
        trainer.train(epochs)
        return trainer.history


def speed(rows) -> float:
    """Images per second of the fastest epoch (the first one includes compilation)."""
    return max(row['images'] / row['seconds'] for row in rows)


def chosen(found: dict[str, dict]) -> str | None:
    """Choose the precision for training from figures by precision; None if float32 itself has failed."""
    cross_entropies = {name: f['validation_cross_entropy'] for name, f in found.items() if 'error' not in f}
    if not math.isfinite(cross_entropies.get('float32', math.nan)):
        return None
    good = [name for name, v in cross_entropies.items() if v <= cross_entropies['float32'] + TOLERANCE]
    return max(good, key=lambda name: found[name]['images_per_second'])


def compare_precisions(data, args):
    """Train in each precision and write the figures after each."""
    found = {}
    for precision in PRECISIONS:
        try:
            rows = trained(data, precision, args.epochs or 6, args.width)
            found[precision] = {
                'images_per_second': round(speed(rows), 1),
                'validation_cross_entropy': min(row['validation_cross_entropy'] for row in rows),
                'validation_error': min(row['validation_error'] for row in rows),
            }
        except Exception as error:  # a GPU that lacks a precision is a result
            found[precision] = {'error': f'{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}'}
        write(args.file, {'device': backend.device_name(), 'chosen': chosen(found), 'precisions': found})
    failed = [name for name, f in found.items() if 'error' in f]
    return f'failed in {", ".join(failed)}' if failed else 0


def time_epochs(data, args):
    """Train on a set and write the figures after each epoch."""
    precision = 'float32'
    if args.precision_of and args.precision_of.exists():
        precision = json.loads(args.precision_of.read_text(encoding='utf-8'))['chosen'] or precision
    result = {'device': backend.device_name(), 'precision': precision, 'epochs': []}

    def after(row):
        result['epochs'].append({key: row[key] for key in ('images', 'seconds', 'wall', 'train_cost')})
        result['images_per_second'] = round(speed(result['epochs']), 1)
        result['seconds_of_an_epoch'] = round(min(epoch['seconds'] for epoch in result['epochs']), 2)
        write(args.file, result)

    trained(data, precision, args.epochs or 2, args.width, after)
    return 0


def write(file, figures):
    file.write_text(json.dumps(figures, indent=1), encoding='utf-8')
    print(json.dumps(figures), flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('what', choices=['precision', 'epoch'])
    parser.add_argument('set', type=Path)
    parser.add_argument('file', type=Path, help='JSON file for the figures')
    parser.add_argument('--epochs', type=int)
    parser.add_argument('--width', type=float, default=1.0, help='width of the network')
    parser.add_argument('--precision-of', type=Path, metavar='FILE', help='file with the figures of `precision`')
    args = parser.parse_args(arguments)
    with loaders.load(args.set) as data:
        return {'precision': compare_precisions, 'epoch': time_epochs}[args.what](data, args)


if __name__ == '__main__':
    sys.exit(main())
