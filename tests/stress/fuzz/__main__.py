"""The command line, see `tests.stress.fuzz`."""

# ruff: noqa: E402
import argparse
import sys
from pathlib import Path

from tests.stress.fuzz.guided import coverage
from tests.stress.fuzz.kinds import KINDS
from tests.stress.fuzz.runs import again, fuzz


def main():
    parser = argparse.ArgumentParser(
        prog='python -m tests.stress.fuzz', description='Damaged and hostile files for every reader.'
    )
    parser.add_argument('kinds', nargs='*', metavar='KIND', default=list(KINDS))
    parser.add_argument('--files', type=int, default=1000, help='of each kind (default: 1000)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', type=int, metavar='N', help='make and read file N of a kind, with all that it says')
    parser.add_argument('--findings', type=Path, default=Path('fuzz-findings'), help='where files are kept that broke')
    args = parser.parse_args()
    unknown = set(args.kinds) - {*KINDS, 'coverage.csv', 'coverage.pkl'}
    if unknown:
        parser.error(f'unknown kind {min(unknown)}: expected {", ".join(KINDS)}, coverage.csv or coverage.pkl')
    if args.only is not None:
        return again(args.kinds[0], args.only, args.seed)
    print(f'{"kind":10} {"files":>8} {"loaded":>8} {"refused":>8} {"problems":>8} {"slowest s":>9} {"MiB":>6} {"s":>7}')
    bad = 0
    for kind in args.kinds:
        if kind.startswith('coverage.'):
            coverage(kind[9:], args.files, args.seed)
        out = fuzz(kind, args.files, args.seed, args.findings)
        bad += out['problems']
        print(
            f'{kind:10} {out["files"]:8} {out["loaded"]:8} {out["refused"]:8} {out["problems"]:8} '
            f'{out["slowest"]:9.2f} {out["memory"]:6.0f} {out["seconds"]:7.0f}',
            flush=True,
        )
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
