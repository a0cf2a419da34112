"""Compare networks and techniques at equal processor time, on set 1 of FER2013.

    python examples/techniques.py --list
    python examples/techniques.py --data fer2013.tar.gz                 # all unfinished entries, one after another
    python examples/techniques.py Sprint Sprint-cutmix --data fer2013.tar.gz --budget 12

The budget is the processor time (of all cores together) of so many epochs of network Sprint. Before each run, steps of
the entry and of Sprint are timed in turn. Stage train then has as many epochs as fit into the budget, rounded, at least
one, and the learning-rate schedule has the same length. As always, the best epoch is chosen on the validation images
and the test images are used once; nothing is retrained. The same command resumes interrupted runs. After each entry the
table is written to docs/results.md. Its rows with the same budget are kept until their entries are run again.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from reproduction.comparison import NAMES, finished, run_for, write_comparison
from reproduction.data import make_sets

from utils.results.tables import around

DOCS = Path(__file__).resolve().parent.parent / 'docs'


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0], allow_abbrev=False)
    parser.add_argument('names', nargs='*', metavar='NAME', help='names from --list (default: all)')
    parser.add_argument('--list', action='store_true', help='list the entries')
    parser.add_argument('--data', help='FER2013 in any layout, or a folder with set1.h5')
    parser.add_argument(
        '--budget', type=float, default=6.0, help='cost per entry in epochs of Sprint (default: %(default)g)'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', default='trained_models/techniques', help='folder for models (default: %(default)s)')
    parser.add_argument('--one', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.list:
        for name, entry in NAMES.items():
            print(f'{name:24}  {entry.title}')
        return 0
    folder = Path(args.out) / f'{Path(args.data or "").name.split(".")[0]}-budget-{args.budget:g}'
    try:
        _check(args)
        path = make_sets([1], args.data, 1, folder / 'sets')[1]
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if args.one:
        (name,) = args.names
        run_for(name, args.budget, args.seed, path, folder)
        return 0
    failed = []
    for name in args.names or NAMES:  # each in a separate process, to measure its processor time
        if (folder / name / f'seed-{args.seed}.json').is_file():
            continue
        command = [sys.executable, __file__, name, '--one', '--data', args.data, '--out', args.out]
        command += ['--budget', str(args.budget), '--seed', str(args.seed)]
        status = subprocess.run(command).returncode
        if status in (130, 143):
            return status
        failed += [name] if status else []
        write_comparison(finished(folder), DOCS / 'results.md', DOCS / 'results' / 'techniques.json')
    for name in failed:
        print(f'error: {name} failed', file=sys.stderr)
    return 2 if failed else 0


def _check(args):
    unknown = [name for name in args.names if name not in NAMES]
    if unknown:
        raise ValueError(f'expected names from --list, got {unknown[0]!r}')
    if args.data is None:
        raise ValueError('--data must be the path of FER2013, in any layout')
    if not Path(args.data).exists():
        raise ValueError(f"--data: there is no '{args.data}'")
    if not 0 < args.budget < 1e5:
        raise ValueError(f'--budget must be a number > 0, got {args.budget:g}')
    around(DOCS / 'results.md', 'techniques')  # before hours of training


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
