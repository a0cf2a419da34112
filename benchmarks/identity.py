"""Compute digests of histories and parameters of short runs, to check that a change of the code changes no result.

    python -m benchmarks.identity FOLDER                     # writes FOLDER/identity.json
    python -m benchmarks.identity FOLDER --compare OTHER     # and compares it with that of another revision

There are four runs: the sample run (network A at a quarter of its width, short), MLP, and narrow A and C with dropout,
batch norm and augmentation. Run both revisions on the same machine, because another processor rounds differently.
"""

import argparse
import csv
import hashlib
import json
import sys
from pathlib import Path

import h5py

from launch import test

SHORT = dict(batch_size=50, n_epochs=3, anneal_epochs=1, statistics_images=500, report=False, verbose=0, seed=3)
RUNS = {
    'sample': dict(
        network_args={'width': 0.25}, p_dropConv=[0.0, 0.1, 0.1, 0.2], n_hidden=[256], batch_norm=True, p_drop=0.5
    ),
    'mlp': dict(
        network='MLP',
        n_hidden=[32, 16],
        batch_norm=True,
        p_drop=0.5,
        p_dropConv=None,
        gaussian_std=0.1,
        momentum=0.9,
        nesterov=True,
        L2_reg=1e-4,
        learning_rate=0.02,
        rule='error',
    ),
    'a': dict(
        network='A',
        network_args={'width': 1 / 16},
        n_hidden=[32],
        batch_norm=True,
        p_drop=0.5,
        augment={'mirror': 0.5, 'rotation': 10.0, 'shift': 0.1, 'zoom': 0.1, 'crop': 40, 'mixup': 0.2, 'erase': 0.3},
        ema_decay=0.99,
        label_smoothing=0.1,
        optimiser='adam',
        learning_rate=0.01,
        schedule='cosine',
    ),
    'c': dict(
        network='C',
        network_args={'width': 1 / 16},
        n_hidden=[24],
        batch_norm=True,
        p_drop=0.5,
        gaussian_std=0.05,
        augment={'mirror': 0.5, 'brightness': 0.2, 'contrast': 0.2},
        L1_reg=1e-5,
        clip_norm=1.0,
        momentum=0.9,
        weight_decay=1e-4,
        learning_rate=0.05,
        trainShared=False,
        n_epochs=2,
    ),
}


def digests(folder, name, dataset):
    """Run one experiment and return SHA-256 digests of its history (without times) and of every array of its model."""
    model = folder / f'{name}.h5'
    result = test(**{**SHORT, 'dataset': dataset, 'savename': str(model), **RUNS[name]})
    with open(result.folder / 'history.csv', newline='', encoding='utf-8') as file:
        rows = [
            {key: value for key, value in row.items() if key not in ('seconds', 'images_per_second')}
            for row in csv.DictReader(file)
        ]
    out = {
        'history': hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        'test_error': repr(result.test_error),
        'special_test_error': repr(result.special_test_error),
    }
    with h5py.File(model) as file:

        def visit(path, item):
            if isinstance(item, h5py.Dataset) and item.dtype.kind in 'fiu':
                out[path] = hashlib.sha256(item[()].tobytes()).hexdigest()

        file.visititems(visit)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--dataset', help='a set of 48x48 images (default: the sample faces)')
    parser.add_argument('--compare', type=Path, metavar='OTHER', help='folder of another revision')
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    out = {name: digests(args.folder, name, args.dataset) for name in RUNS}
    (args.folder / 'identity.json').write_text(json.dumps(out, indent=1) + '\n', encoding='utf-8')
    if not args.compare:
        return 0
    other = json.loads((args.compare / 'identity.json').read_text(encoding='utf-8'))
    different = [
        f'{name}: {key}'
        for name in out
        for key in sorted({*out[name], *other.get(name, {})})
        if out[name].get(key) != other.get(name, {}).get(key)
    ]
    print('\n'.join(different) if different else f'identical: {", ".join(out)}')
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
