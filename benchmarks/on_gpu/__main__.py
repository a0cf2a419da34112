"""`benchmarks/on_gpu.sh FOLDER`: measure on a GPU for ten minutes and write a report."""

import argparse
import sys
import time
from pathlib import Path

from benchmarks.on_gpu.running import run, write_summary
from benchmarks.on_gpu.steps import environment, steps


def parser():
    out = argparse.ArgumentParser(prog='benchmarks/on_gpu.sh', description=__doc__.partition(': ')[2])
    out.add_argument(
        'folder', type=Path, help='folder for the report: a log and the figures of each step, and a summary'
    )
    out.add_argument(
        '--data', type=Path, help='FER2013 in any layout (default and in a rehearsal: drawn faces, noise for set 4)'
    )
    out.add_argument(
        '--only', nargs='*', metavar='STEP', help='steps to run: ' + ', '.join(step.name for step in steps())
    )
    out.add_argument(
        '--limits', type=float, default=1.0, metavar='FACTOR', help='factor on the time limits of the steps'
    )
    out.add_argument('--rehearse', action='store_true', help='small sizes on the CPU; the figures mean nothing')
    out.add_argument('--from', dest='start', type=Path, default=Path(), help=argparse.SUPPRESS)
    return out


def main(arguments=None):
    args = parser().parse_args(arguments)
    out, data = args.start / args.folder, args.data and args.start / args.data
    names = [step.name for step in steps()]
    wrong = [name for name in args.only or () if name not in names]
    if wrong or args.limits <= 0 or (data and not data.exists()):
        print(
            f"error: --data: there is no '{data}'"
            if data and not data.exists()
            else f'error: --only takes {", ".join(names)}, got {wrong[0]}'
            if wrong
            else f'error: --limits must be above 0, got {args.limits:g}',
            file=sys.stderr,
        )
        return 2
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    outcomes, about = (
        [],
        time.strftime('Started %Y-%m-%d %H:%M') + (', a rehearsal on the CPU' if args.rehearse else ''),
    )
    table = ''
    for step in steps(data and data.resolve(), args.rehearse):
        if args.only and step.name not in args.only:
            continue
        print(f'{step.name}: {step.what}, at most {step.seconds * args.limits:.0f} s', flush=True)
        outcomes.append(run(step, out, environment(args.rehearse), args.limits))
        print(f'  {outcomes[-1].outcome} after {outcomes[-1].seconds:.0f} s: {outcomes[-1].figures}', flush=True)
        table = write_summary(out, outcomes, about)
        if step.name == 'device' and outcomes[-1].outcome != 'passed':
            print((out / 'device.log').read_text(encoding='utf-8').strip().splitlines()[-1], file=sys.stderr)
            return 2
    failed = [outcome.step for outcome in outcomes if outcome.outcome != 'passed']
    print(f"\n{table}\n\nreport: '{out}'" + (f'; not passed: {", ".join(failed)}' if failed else ''))
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
