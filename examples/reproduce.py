"""Re-run the experiments behind Tables 6-12 of the thesis, and the recipes that aim to improve on them.

    python examples/reproduce.py --list
    python examples/reproduce.py A-drop-set2 --data fer2013.tar.gz --seeds 0 1 2
    python examples/reproduce.py --all --data fer2013.tar.gz --seeds 0 1 2
    python examples/reproduce.py --all --scale 0.02

The same command resumes interrupted runs and skips finished ones. A full run writes its result.json and history.csv to
docs/results/ and the table to docs/results.md. `--scale` rehearses with that fraction of the images and of the epochs
and with narrow networks. The results of a rehearsal mean nothing and stay in the folder of the runs.
"""

import argparse
import sys
from pathlib import Path

from reproduction.data import make_sets
from reproduction.experiments import ENTRIES, EXPERIMENTS, RECIPES
from reproduction.runs import run, run_ensemble
from reproduction.table import write_table

FAILURES = (ValueError, OSError, FloatingPointError)


DOCS = Path(__file__).resolve().parent.parent / 'docs'


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0], allow_abbrev=False)
    parser.add_argument('names', nargs='*', metavar='NAME', help="names from --list, or 'ensemble'")
    parser.add_argument('--all', action='store_true', help='run the experiments, the recipes and their ensemble')
    parser.add_argument('--list', action='store_true', help='list the entries')
    parser.add_argument(
        '--data',
        help='FER2013 in any layout, or a folder with set1.h5, set2.h5, ... (default: drawn faces, for rehearsals)',
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--scale', type=float, default=1.0, help='fraction of images and epochs, for a rehearsal')
    parser.add_argument(
        '--out', default='trained_models/reproduce', help='folder for sets and models (default: %(default)s)'
    )
    args = parser.parse_args(arguments)
    names = [*EXPERIMENTS, *RECIPES, 'ensemble'] if args.all else args.names
    if args.list or not names:
        for name, entry in ENTRIES.items():
            print(
                f'{name:20}  set {entry.set}  {entry.options["n_epochs"]:4d} epochs  {entry.title:58}  '
                f'thesis: {entry.thesis or "-"}'
            )
        return 0
    try:
        _check(names, args)
        kind = 'full' if args.scale == 1 else f'scale-{args.scale:g}'
        folder = Path(args.out) / f'{Path(args.data or "sample").name.split(".")[0]}-{kind}'
        results, page = (
            (DOCS / 'results', DOCS / 'results.md') if args.scale == 1 else (folder / 'results', folder / 'results.md')
        )
        runs = [name for name in names if name != 'ensemble']
        sets = make_sets(sorted({ENTRIES[name].set for name in runs}), args.data, args.scale, folder / 'sets')
        failures = []
        for seed in args.seeds:
            for name in runs:
                try:
                    run(name, seed, sets[ENTRIES[name].set], args.scale, folder, results)
                except FAILURES as error:
                    failures.append(f'{name}, seed {seed}: {error}')
                    print(f'failed: {failures[-1]}')
        if 'ensemble' in names:
            run_ensemble(folder, results)
        write_table(results, page, args.scale)
    except FAILURES as error:
        failures = [error]
    except KeyboardInterrupt:
        return 130
    for failure in failures:
        print(f'error: {failure}', file=sys.stderr)
    return 2 if failures else 0


def _check(names, args):
    unknown = [name for name in names if name not in (*ENTRIES, 'ensemble')]
    if unknown:
        raise ValueError(f"expected names from --list or 'ensemble', got {unknown[0]!r}")
    if not 0 < args.scale <= 1:
        raise ValueError(f'--scale must lie in (0, 1], got {args.scale:g}')
    if args.data is None and args.scale == 1:
        raise ValueError('a full run needs FER2013: give its path with --data, or rehearse with --scale 0.02')
    if args.data is not None and not Path(args.data).exists():
        raise ValueError(f"--data: there is no '{args.data}'")


if __name__ == '__main__':
    sys.exit(main())
