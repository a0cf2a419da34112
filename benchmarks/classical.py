"""Classical features and classifiers on a data set: `python -m benchmarks.classical SET.h5`.

The features and classifiers of the time before deep networks are evaluated on the splits and by the protocol of
symfer's networks: settings are chosen on validation images, the classifier is trained on training and validation
images, and the test images are used once. Needs the extra [classical]; landmarks need [faces]. Finished rows are saved
in the file given by --out, and the same command continues with the others.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import warnings
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

import loaders
from benchmarks.baselines import protocol, table
from benchmarks.baselines.data import parts
from utils.files.extras import MissingExtra, need
from utils.results import tables

PACKAGES = ('numpy', 'scikit-learn', 'scikit-image', 'pgmpy', 'hmmlearn', 'lightgbm')


def selected(names):
    """Select rows by their names or by the name of a feature or classifier; all by default."""
    every = protocol.pairs()
    known = {
        key: {name, feature.name, classifier.name} for name, (feature, classifier) in every.items() for key in [name]
    }
    for name in names or []:
        if not any(name in one for one in known.values()):
            words = sorted({word for one in known.values() for word in one if '+' not in word})
            raise ValueError(f"expected names among {', '.join(words)}, or two joined as in hog+rbf-svm, got '{name}'")
    return {key: pair for key, pair in every.items() if not names or known[key] & set(names)}


def check_extras(rows):
    """Raise an error if a library is missing."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', category=FutureWarning, module='pgmpy')  # about its own imports
        for library in {one.library for pair in rows.values() for one in pair if one.library}:
            need(library, 'classical', 'for the classical baselines')


def installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def about(data, images, seed):
    """The common conditions of the rows of a file, with the machine and the versions."""
    model = ''
    if Path('/proc/cpuinfo').is_file():
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
        model = next((line.split(':')[1].strip() for line in lines if line.startswith('model name')), '')
    return {
        'set': data.name,
        'content_digest': data.content_digest,
        'images': images,
        'seed': seed,
        'machine': f'{os.cpu_count()} cores, {model or platform.machine()}',
        'python': platform.python_version(),
        'versions': {name: version for name in PACKAGES if (version := installed(name))},
    }


def run(args):
    rows = selected(args.only)
    if args.list:
        for name, (_, classifier) in rows.items():
            print(f'{name:32} {len(classifier.settings)} settings')
        return
    if args.set is None:
        raise ValueError('expected a data set, as in: python -m benchmarks.classical datasets/set1.h5')
    if args.jobs < 1:
        raise ValueError(f'--jobs must be at least 1, got {args.jobs}')
    check_extras(rows)
    if args.page:
        tables.around(args.page, table.MARK)  # fails early if the page has no marks
    cv2.setNumThreads(args.jobs)
    with loaders.load(args.set) as data, threadpool_limits(args.jobs):
        found = parts(data, args.images, args.seed)
        results = table.Rows(args.out, about(data, args.images, args.seed))
        print(', '.join(f'{len(subset)} {name}' for name, subset in found.items()) + ' images', flush=True)
        features = protocol.Features(found)
        for k, (name, pair) in enumerate(rows.items(), start=1):
            lead = f'{k}/{len(rows)} {name}'
            if results.has(name):
                print(f'{lead}: already finished', flush=True)
                continue
            try:
                row = protocol.run(
                    *pair, features, args.seed, args.jobs, info=lambda line: print(f'{lead}: {line}', flush=True)
                )
            except MissingExtra as error:
                print(f'{lead}: left out: {error}', flush=True)
                continue
            results.add(row)
            took = sum(row['seconds'][what]['cpu'] for what in ('choosing', 'training'))
            print(f'{lead}: test error {row["test_error"]:.2f} %, {took:.0f} CPU s', flush=True)
    if args.page:
        table.write_page(args.page, results.rows)
    print(table.markdown(results.rows), end='')


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.classical', description=__doc__.split('\n\n')[0], allow_abbrev=False
    )
    parser.add_argument('set', nargs='?', help='a data set with validation images')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='features, classifiers or rows from --list')
    parser.add_argument('--list', action='store_true', help='list the rows')
    parser.add_argument('--images', type=int, help='use about this many training images only, for quick trials')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=1, help='number of threads (default: %(default)s)')
    parser.add_argument(
        '--out', type=Path, default=Path('classical.json'), help='JSON file for the rows (default: %(default)s)'
    )
    parser.add_argument('--page', type=Path, help='page with the marks between which the table is written')
    args = parser.parse_args(arguments)
    try:
        run(args)
    except (ValueError, OSError, MissingExtra) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nstopped; the same command continues after the rows in '{args.out}'", file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
