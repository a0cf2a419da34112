"""Measure the time to a target accuracy: `python -m benchmarks.time_to_accuracy SET1.h5 [--target 40]`.

symfer and PyTorch train recipe B-online, from the start of each process to the first epoch with a validation error of
at most the target. Both processes stay alive and take turns of one epoch, so that other load on the machine affects
both equally. The time of each is that of its turns. PyTorch uses its fastest form; the pilot that finds it is not
counted.

    python -m benchmarks.time_to_accuracy SET1.h5 --recipes Sprint A-half --target 35

runs recipes of symfer one after another and compares processor times. The set needs validation images
(`python -m loaders FER2013 --sets 1 --validation 3709`); test images are not used.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import environments
from benchmarks.time_to_accuracy.recipes import RECIPES
from benchmarks.time_to_accuracy.turns import ROOT, Trainer


def arrays(dataset, folder):
    """Write the images of a set to a .npz file for PyTorch; this time is not counted."""
    import loaders

    path = Path(folder) / 'arrays.npz'
    with loaders.load(dataset) as data:
        parts = {'': data.reduced_training, 'validation_': data.validation}
        np.savez(
            path,
            **{f'{name}x': part.images() for name, part in parts.items()},
            **{f'{name}y': part.y for name, part in parts.items()},
        )
    return path


def reached(trainer, target):
    """First row of a trainer with an error of at most the target, or None."""
    return next((row for row in trainer.rows if row['error'] <= target), None)


def in_turn(trainers, target, epochs):
    """Train all trainers in turn until each has reached the target or has trained `epochs` epochs."""
    try:
        for epoch in range(epochs):
            going = [one for one in trainers if not reached(one, target)]
            if not going:
                return
            for one in going[:: 1 if epoch % 2 else -1]:
                row = one.turn()
                print(
                    f'{one.name:28} epoch {row["epoch"]:3}  validation error {row["error"]:6.2f} %  '
                    f'{row["seconds"]:8.1f} s  processor {row["cpu"]:8.1f} s',
                    flush=True,
                )
    finally:
        for one in trainers:
            one.close()


def against_torch(args, python):
    """Compare symfer with PyTorch for each seed; returns the rows of all epochs."""
    with tempfile.TemporaryDirectory() as folder:
        data = arrays(args.dataset, folder)
        peer = [python, '-m', 'benchmarks.time_to_accuracy.torch_', 'B-online', str(data)]
        form = args.form
        if form is None:
            print('PyTorch, forms:', flush=True)
            forms = json.loads(subprocess.run([*peer, '0', 'pilot'], cwd=ROOT, check=True, stdout=-1).stdout)
            form = min(forms, key=forms.get)
        rounds = []
        for seed in range(args.seeds):
            trainers = [ours('B-online', args.dataset, seed), Trainer(f'PyTorch, {form}', [*peer, str(seed), form])]
            in_turn(trainers, args.target, args.epochs or RECIPES['B-online']['n_epochs'])
            rounds.append({one.name: one.rows for one in trainers})
            print(verdict(trainers, args.target), flush=True)
    return rounds


def later(rows):
    """Mean seconds per epoch, without the first, which includes start-up, unless it is the only one."""
    return (rows[-1]['seconds'] - rows[0]['seconds']) / (len(rows) - 1) if rows[1:] else rows[0]['seconds']


def verdict(trainers, target):
    """Summarise in one line when each trainer reached the target."""
    first, peer = (reached(one, target) for one in trainers)
    an_epoch = [later(one.rows) for one in trainers]
    ratio = an_epoch[1] / an_epoch[0]
    line = f'seconds per epoch after the first: {an_epoch[0]:.1f} and {an_epoch[1]:.1f}, {ratio:.2f} times'
    if not first or not peer:
        return line + f'; {target:g} % was not reached by {"either" if not first and not peer else "one of them"}'
    return (
        f'{line}; to {target:g} %: {first["seconds"]:.0f} s ({first["epoch"]} epochs) and {peer["seconds"]:.0f} s '
        f'({peer["epoch"]} epochs), {peer["seconds"] / first["seconds"]:.2f} times'
    )


def ours(name, dataset, seed):
    command = [
        sys.executable,
        '-m',
        'benchmarks.time_to_accuracy.symfer_',
        name,
        str(Path(dataset).resolve()),
        str(seed),
    ]
    return Trainer(f'symfer, {name}', command)


def alone(args):
    """Run recipes of symfer one after another."""
    found = []
    for seed in range(args.seeds):
        for name in args.recipes:
            one = ours(name, args.dataset, seed)
            in_turn([one], args.target, args.epochs or RECIPES[name]['n_epochs'])
            row = reached(one, args.target)
            print(
                f'{name}, seed {seed}: '
                + (f'{row["cpu"] / 60:.1f} minutes of processor time' if row else 'not reached')
            )
            found.append({one.name: one.rows})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', metavar='SET1.h5')
    parser.add_argument('--target', type=float, default=40.0, help='validation error, %% (default: %(default)g)')
    parser.add_argument('--seeds', type=int, default=1)
    parser.add_argument('--epochs', type=int, help='largest number of epochs (default: that of the recipe)')
    parser.add_argument('--recipes', nargs='+', choices=RECIPES, help='run these recipes with symfer only')
    parser.add_argument('--torch', default=str(environments.python('torch')), help='a Python interpreter with PyTorch')
    parser.add_argument('--form', help='form of PyTorch, as "tensors eager channels_last" (default: the fastest)')
    parser.add_argument('--out', help='JSON file for every epoch of every process')
    args = parser.parse_args()
    if not Path(args.dataset).is_file():
        parser.error(f'expected a data set, but {args.dataset} does not exist')
    if not args.recipes and not Path(args.torch).is_file():
        parser.error(f'{args.torch} does not exist: run `python -m benchmarks.environments torch`, or give --torch')
    rounds = alone(args) if args.recipes else against_torch(args, args.torch)
    if args.out:
        about = {'machine': f'{platform.machine()}, {os.cpu_count()} cores', 'target': args.target, 'rounds': rounds}
        Path(args.out).write_text(json.dumps(about, indent=1))


if __name__ == '__main__':
    main()
