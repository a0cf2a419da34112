"""Compare the speed of symfer and other frameworks in one run: `python -m benchmarks.train`.

Every engine of a case is a separate long-lived process. The processes take turns, a few steps each, so that other load
on the machine affects all of them equally. The results are medians over the turns and their ratio to the best other
framework (above 1: symfer is faster). Times do not include compilation, which has its own column.

A framework runs under this interpreter if it is installed there, or else in the environment made by
`python -m benchmarks.environments`. Without either it is left out, with a message.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from itertools import groupby
from math import ceil
from pathlib import Path
from statistics import median, quantiles

from benchmarks import environments
from benchmarks.engines import DEFAULTS, ENGINES, LIBRARIES, Case, take_turns
from benchmarks.engines import engine as find

OURS, MANY = 'symfer', 'symfer, many steps a call'
PEERS = [name for name in ENGINES if not name.startswith(OURS) and 'untuned' not in name and name != 'products']
REWRITES = [name for name in ENGINES if name.startswith(OURS)]


def cases(selection, device_precisions):
    """The cases of the given selections, without repetitions, in each precision."""

    def case(network='A', variant='both', side=48, batch=100, train=True, images=1000):
        return Case(network=network, variant=variant, side=side, batch=batch, images=images, train=train)

    lists = {
        'quick': [case()],
        'networks': [
            *(case(variant=v) for v in ('plain', 'dropout', 'bn', 'both')),
            case(side=42),
            case(side=42, variant='plain'),
            *(case(n) for n in ('B', 'C', 'D')),
            case('MLP', variant='dropout'),
        ],
        'defaults': [case(name, variant='default') for name in DEFAULTS],
        'batches': [case(batch=n) for n in (1, 10, 100, 300, 1000)],
        'sizes': [case(side=n) for n in (24, 32, 42, 48, 64, 96)],
        'images': [case(images=n) for n in (1_000, 10_000, 100_000, 400_000)],
        'inference': [
            case(name, batch=n, train=False) for name in ('A', 'B', 'C', 'D', 'MLP') for n in (1, 10, 100, 1000)
        ],
    }
    found = {json.dumps(c): c for name in selection for c in lists[name]}
    return [Case(c, precision=p) for c in found.values() for p in device_precisions]


# ---------------------------------------------------------------------------------- processes


def work(engine, case):
    """Run the process of one engine: prepare, then answer each number of steps on stdin with the seconds per step."""
    function, options = find(engine)
    start = time.perf_counter()
    step, about = function(Case(json.loads(case)), **options)
    step()
    answer(compiled=time.perf_counter() - start, about=about)
    step()
    minibatches = getattr(step, 'minibatches', 1)
    for line in sys.stdin:
        calls = ceil(int(line) / minibatches)
        start = time.perf_counter()
        for _ in range(calls):
            step()
        answer(seconds=(time.perf_counter() - start) / (calls * minibatches), peak=peak())


def answer(**values):
    print(json.dumps(values), flush=True)


def peak():
    """Peak memory of this process in MiB; None if the system does not report it."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10)


class Engine:
    """A running process of one engine on one case."""

    def __init__(self, name, case, python):
        self.name, self.times, self.peak = name, [], None
        self.process = subprocess.Popen(
            [python, '-m', 'benchmarks.train', '--work', name, json.dumps(case)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parent.parent,
        )
        first = self._read()
        self.compiled, self.about = first['compiled'], first['about']

    def _read(self):
        for line in self.process.stdout:
            if line.startswith('{'):
                return json.loads(line)
        raise RuntimeError(f'{self.name} ended with status {self.process.wait()}')

    def steps(self, n):
        """Mean seconds of a step, over `n` steps."""
        print(n, file=self.process.stdin, flush=True)
        values = self._read()
        self.peak = values['peak']
        return values['seconds']

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(case, names, pythons, turns, seconds):
    """Measure all engines on a case: one row per engine, with times and memory."""
    engines = []
    for name in names:
        if case.network in DEFAULTS and ENGINES[name][0] not in (OURS, 'torch'):
            continue
        try:
            engines.append(Engine(name, case, pythons[ENGINES[name][0]]))
        except (RuntimeError, OSError) as error:
            print(f'  {name} is left out: {error}', flush=True)
    take_turns(engines, turns, seconds)
    return [
        {
            'case': dict(case),
            'engine': e.name,
            'ms': 1e3 * median(e.times),
            'least_ms': 1e3 * min(e.times),
            'turns_ms': [1e3 * t for t in e.times],
            'images_per_s': case.batch / median(e.times),
            'first_step_s': e.compiled,
            'peak_MiB': e.peak,
            'about': e.about,
        }
        for e in engines
    ]


# ------------------------------------------------------------------------------------- report


def label(case):
    what = 'training' if case['train'] else 'inference'
    return (
        f'{case["network"]} {case["variant"]}, {case["side"]}x{case["side"]}, batch {case["batch"]}, {what}'
        + ('' if case['images'] == 1000 else f', of {case["images"]:,} images')
        + ('' if case['precision'] == 'float32' else f', {case["precision"]}')
    )


def ratio(rows):
    """Time of the best other framework divided by that of symfer, its name, and the quartiles of the ratio in a turn.

    None if one is missing.
    """
    ours, peers = own(rows), [row for row in rows if row['engine'] in PEERS]
    if not ours or not peers:
        return None
    best = min(peers, key=lambda row: row['ms'])
    turns = [theirs / mine for theirs, mine in zip(best['turns_ms'], ours['turns_ms'])]
    low, _, high = quantiles(turns, method='inclusive') if len(turns) > 1 else 3 * turns
    return best['ms'] / ours['ms'], best['engine'], low, high


def own(rows):
    """The row of symfer as experiments use it: on a GPU with many steps per call, if that was measured."""
    found = {row['engine']: row for row in rows if row['engine'] in (OURS, MANY)}
    on_cpu = any(row['about'].endswith('cpu') for row in found.values())
    return found.get(OURS) if on_cpu or MANY not in found else found[MANY]


def table(rows):
    """Format the results as Markdown: a table of ratios and a table of all engines.

    Tflop/s count the operations of direct convolutions, also if another algorithm was used.
    """
    lines = [
        '| case | engine | ms per step | minimum | images/s | Tflop/s | first step s | peak MiB |',
        '|---|---|--:|--:|--:|--:|--:|--:|',
    ]
    ratios = ['| case | best other framework | speed-up of symfer | quartiles |', '|---|---|--:|--:|']
    for case, group in groupby(rows, key=lambda row: row['case']):
        group = list(group)
        for row in sorted(group, key=lambda row: row['ms']):
            rate = '' if case['network'] in DEFAULTS else f'{Case(case).operations / row["ms"] / 1e9:.3g}'
            lines.append(
                f'| {label(case)} | {row["engine"]} | {row["ms"]:.1f} | {row["least_ms"]:.1f} | '
                f'{row["images_per_s"]:.0f} | {rate} | {row["first_step_s"]:.1f} | {row["peak_MiB"] or 0:.0f} |'
            )
        if found := ratio(group):
            ratios.append(f'| {label(case)} | {found[1]} | {found[0]:.2f} | {found[2]:.2f} to {found[3]:.2f} |')
    versions = sorted({row['about'] for row in rows})
    machine = f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()}'
    head = [f'Measured on {time.strftime("%Y-%m-%d")}: {machine}; ' + '; '.join(versions) + '.', '']
    return '\n'.join([*head, *ratios, '', *lines, ''])


def figure(rows, path):
    """Draw bars of the images per second of each engine, relative to symfer, for each case."""
    from matplotlib.figure import Figure

    cases = [(case, list(group)) for case, group in groupby(rows, key=lambda row: row['case'])]
    names = [name for name in ENGINES if any(row['engine'] == name for row in rows)]
    plot = Figure(figsize=(9, 1 + 0.09 * len(rows)), layout='constrained')
    axes = plot.subplots()
    for i, (_, group) in enumerate(cases):
        ours = own(group)
        for row in group:
            if ours and row['engine'] != 'products':
                k = names.index(row['engine'])
                axes.barh(
                    i + (k + 0.5) / len(names) * 0.8 - 0.4,
                    ours['ms'] / row['ms'],
                    0.8 / len(names),
                    color=f'C{k % 10}',
                    label=row['engine'] if row['engine'] not in axes.get_legend_handles_labels()[1] else None,
                )
    axes.axvline(1, color='0.5', linewidth=1)
    axes.set(
        yticks=range(len(cases)),
        yticklabels=[label(case) for case, _ in cases],
        xlabel='images per second, relative to symfer',
    )
    axes.margins(y=0.01)
    axes.invert_yaxis()
    plot.legend(*axes.get_legend_handles_labels(), loc='outside upper center', ncols=3, fontsize='small')
    plot.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'selection',
        nargs='*',
        default=['networks', 'inference'],
        help='quick, networks, defaults, batches, sizes, images, inference (default: networks inference)',
    )
    parser.add_argument('--only', metavar='TEXT', default='', help='run only the cases whose label contains this')
    parser.add_argument('--python', nargs='*', default=[], metavar='LIBRARY=PYTHON', help='interpreters of frameworks')
    parser.add_argument(
        '--engines',
        nargs='*',
        choices=list(ENGINES),
        default=[OURS, *([MANY] if shutil.which('nvidia-smi') else []), *PEERS, 'products'],
        help='default: symfer, the other frameworks and, as a measure of the device, matrix products; with a '
        'GPU also symfer with many steps per call',
    )
    parser.add_argument('--rewrites', action='store_true', help='also run symfer without each of its rewrites')
    parser.add_argument('--precisions', nargs='*', default=['float32'], choices=['float32', 'tf32', 'bf16'])
    parser.add_argument('--turns', type=int, default=7)
    parser.add_argument('--seconds', type=float, default=2, help='time of one engine in one turn')
    parser.add_argument('-o', '--out', type=Path, help='folder for train.md, train.json and train.png')
    parser.add_argument('--work', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(*args.work)
    names = args.engines + [name for name in REWRITES if args.rewrites and name not in args.engines]
    pythons = {library: environments.interpreter(library) for library in LIBRARIES}
    pythons.update(pair.split('=', 1) for pair in args.python)
    rows = []
    for case in cases(args.selection, args.precisions):
        if args.only not in label(case):
            continue
        print(label(case), flush=True)
        new = measure(case, names, pythons, args.turns, args.seconds)
        for row in new:
            print(f'  {row["ms"]:9.1f} ms  {row["engine"]}', flush=True)
        if ratio(new):
            print(f'  symfer is {ratio(new)[0]:.2f} times as fast as {ratio(new)[1]}', flush=True)
        rows += new
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / 'train.json').write_text(json.dumps(rows, indent=1))
            (args.out / 'train.md').write_text(table(rows))
            figure(rows, args.out / 'train.png')


if __name__ == '__main__':
    main()
