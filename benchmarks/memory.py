"""Measure memory: `python -m benchmarks.memory`.

1. Long run: a small network is trained for 2,000 epochs, and the memory of the process is read every 50 epochs.
2. Many runs: ten experiments run one after another in one process. Measured are the memory and the arrays left on the
   device after each.
3. Large set: the set is larger than the memory available to the process. With `trainShared=False` training works; with
   `trainShared=True` the error says what to do.
"""

import argparse
import csv
import gc
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault('JAX_PLATFORMS', 'cpu')

import h5py
import numpy as np

SMALL = dict(n_hidden=[16], batch_size=50, statistics_images=100, report=False, verbose=0)


def memory(what='VmRSS'):
    """Memory of this process in MiB: resident (VmRSS), or the part of it that no file backs (RssAnon)."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(f'{what}:'):
            return int(line.split()[1]) / 1024


def small_set(folder):
    import loaders
    from loaders.synthetic.sample import write_csv

    return loaders.build(
        write_csv(Path(folder) / 'small.csv', 400, 30, 30), (1,), folder, validation=100, info=lambda line: None
    )[0]


def long_run(epochs, every, info=print, path=None):
    """Memory by epoch of one long run with checkpoints, record and histograms, as a list of (epoch, MiB)."""
    import launch
    import mlp

    seen = []

    def on_epoch(row):
        if row['stage'] == 'train' and (row['epoch'] % every == 0 or row['epoch'] == 1):
            gc.collect()
            seen.append((row['epoch'], memory()))
            info(f'epoch {seen[-1][0]:5}  {seen[-1][1]:8.1f} MiB')

    with tempfile.TemporaryDirectory() as folder:
        launch.test(
            network=mlp.MLP,
            dataset=small_set(folder),
            savename=Path(folder) / 'm.h5',
            n_epochs=epochs,
            anneal_epochs=0,
            retrain=False,
            on_epoch=on_epoch,
            **SMALL,
        )
    if path:
        with open(path, 'w', newline='') as file:
            csv.writer(file).writerows([('epoch', 'MiB'), *seen])
    return seen


def many_runs(runs, info=print):
    """Run experiments in this process; for each, return (MiB of the process, arrays on the device, their KiB)."""
    import jax

    import cnn
    import launch

    seen = []
    with tempfile.TemporaryDirectory() as folder:
        data = small_set(folder)
        for k in range(runs):
            launch.test(
                network=cnn.A,
                network_args={'width': 0.25},
                dataset=data,
                savename=Path(folder) / f'{k}.h5',
                n_epochs=1,
                anneal_epochs=1,
                seed=k,
                **SMALL,
            )
            gc.collect()
            arrays = jax.live_arrays()
            seen.append((memory(), len(arrays), sum(a.nbytes for a in arrays) / 1024))
            info('run {:3}  {:8.1f} MiB, {:3} arrays of {:.1f} KiB on the device'.format(k + 1, *seen[-1]))
    return seen


def large_set(path, n):
    """Write a sparse set of n grey training images of 48x48, which takes no disk space, and 60 test images."""
    from loaders.sets import hdf5

    classes = ('a', 'b', 'c')
    with h5py.File(path, 'w', libver=hdf5.CHECKSUMMED) as file:
        texts = dict(format=hdf5.FORMAT, name='large', classes=classes, fingerprint='0' * 64, layout='made up')
        file.attrs.update({name: hdf5.encode(text) for name, text in texts.items()}, version=hdf5.VERSION, number=0)
        for name, m in (('training', n), ('test', 60)):
            group = file.create_group(name)
            group.attrs['transforms'] = hdf5.encode(('identity',))
            for column, dtype in hdf5.COLUMNS.items():
                values = (
                    np.arange(m) % 3
                    if column == 'y'
                    else np.arange(m)
                    if column == 'source'
                    else np.full(m, (name == 'test') * 1 if column == 'usage' else 0)
                )
                group[column] = values.astype(dtype)
            x = group.create_dataset('x', (m, 48, 48), np.uint8)
            x[m - 1] = 128  # gives the file its full length with a single block
    return path


def one_epoch(path, shared, limit):
    """Train one epoch with at most `limit` MiB in addition to the libraries; runs in a separate process."""
    import jax
    import jax.numpy as jnp

    import launch
    import mlp

    jax.block_until_ready(jnp.zeros(3) + 1)
    before = memory('RssAnon')
    used = int(memory('VmData') * 2**20)
    resource.setrlimit(resource.RLIMIT_DATA, (used + limit * 2**20, -1))
    try:
        launch.test(
            network=mlp.MLP,
            dataset=path,
            savename=Path(path).with_name(f'{shared}.h5'),
            val=False,
            n_epochs=1,
            anneal_epochs=0,
            trainShared=shared,
            batch_norm=False,
            p_drop=0.0,
            **{**SMALL, 'batch_size': 500},
        )
        print(f'trained; anonymous memory {before:.0f} -> {memory("RssAnon"):.0f} MiB')
    except MemoryError as error:
        print(f'MemoryError: {error}')


def larger_than_memory(images, limit, info=print):
    """Train on a set that is larger than memory; return the last line of output for each value of `trainShared`."""
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        path = large_set(Path(folder) / 'large.h5', images)
        info(f'set of {images * 2304 / 2**20:.0f} MiB, memory limit {limit} MiB')
        for shared in (False, True):
            command = [sys.executable, '-m', 'benchmarks.memory', '--epoch', str(path), str(shared), str(limit)]
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd=Path(__file__).parent.parent,
                env={**os.environ, 'SYMFER_MALLOC': '0'},
            )
            out[shared] = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
            info(f'trainShared={shared}: {out[shared]}')
    return out


def main():
    parser = argparse.ArgumentParser(prog='python -m benchmarks.memory', description=__doc__.split('\n')[0])
    parser.add_argument('--epochs', type=int, default=2000)
    parser.add_argument('--runs', type=int, default=10)
    parser.add_argument('--images', type=int, default=700_000, help='images of the large set, 2,304 bytes each')
    parser.add_argument('--limit', type=int, default=700, help='memory limit for it, MiB')
    parser.add_argument('--csv', help='file for the memory by epoch')
    parser.add_argument('--epoch', nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.epoch:
        return one_epoch(args.epoch[0], args.epoch[1] == 'True', int(args.epoch[2]))
    seen = long_run(args.epochs, max(1, args.epochs // 40), path=args.csv)
    tail = seen[len(seen) // 4 :]
    print(
        f'{args.epochs} epochs: {tail[0][1]:.1f} MiB at epoch {tail[0][0]}, {tail[-1][1]:.1f} MiB at epoch '
        f'{tail[-1][0]}, at most {max(m for _, m in seen):.1f} MiB'
    )
    many_runs(args.runs)
    larger_than_memory(args.images, args.limit)


if __name__ == '__main__':
    sys.exit(main())
