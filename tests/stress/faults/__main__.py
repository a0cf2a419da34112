"""The command line, see `tests.stress.faults`."""

import argparse
import sys

import numpy as np

from tests.stress.faults.runs import run


def main():
    parser = argparse.ArgumentParser(
        prog='python -m tests.stress.faults',
        description='Processes killed at random moments, and what is left of their work.',
    )
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--folder', help="where to work (default: the system's folder for temporary files)")
    parser.add_argument('--suffixes', nargs='+', choices=('.h5', '.pkl'), default=['.h5', '.pkl'], help='of the models')
    args = parser.parse_args()
    faults = run(args.kills, args.seed, args.folder, suffixes=args.suffixes)
    print(faults.table())
    print(f'{faults.seconds:.0f} s, seed {args.seed}, NumPy {np.__version__}')
    return bool(faults.problems)


if __name__ == '__main__':
    sys.exit(main())
