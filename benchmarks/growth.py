"""Measure how the time of a training step grows: `python -m benchmarks.growth [-o docs/bench]`.

Network A with dropout and batch norm, by number of resident images, minibatch and image size. The cases of a group are
long-lived processes that take turns, as in `benchmarks.train`. The table gives the time per image (groups `images` and
`batches`) or per pixel (`sizes`) relative to the reference case of the group; 1.00 everywhere would be linear growth.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from benchmarks.engines import take_turns
from benchmarks.train import OURS, Engine, cases

# group: (what grows, the reference, what it should grow with)
GROUPS = {
    'images': ('images', 1_000, lambda case: case.batch),
    'batches': ('batch', 100, lambda case: case.batch),
    'sizes': ('side', 48, lambda case: case.batch * case.side**2),
}


def measure(group, turns, seconds):
    """Measure the cases of a group in turn: one row per case."""
    key, reference, amount = GROUPS[group]
    found = cases([group], ['float32'])
    engines = [Engine(OURS, case, sys.executable) for case in found]
    take_turns(engines, turns, seconds)
    base = next(k for k, case in enumerate(found) if case[key] == reference)
    unit = [[time / amount(case) for time in engine.times] for case, engine in zip(found, engines)]
    return [
        {
            'group': group,
            'case': case[key],
            'ms': 1e3 * median(engine.times),
            'images_per_s': case.batch / median(engine.times),
            # of the times of each turn, because the speed of the machine varies between turns
            'relative': median(a / b for a, b in zip(times, unit[base])),
            'peak_MiB': engine.peak,
        }
        for case, engine, times in zip(found, engines, unit)
    ]


def table(rows):
    """Format the rows as Markdown."""
    names = {'images': 'resident images', 'batches': 'minibatch', 'sizes': 'image side'}
    per = {'images': 'image', 'batches': 'image', 'sizes': 'pixel'}
    lines = ['| case | ms per step | images/s | relative time | peak MiB |', '|---|--:|--:|--:|--:|']
    for row in rows:
        lines.append(
            f'| {names[row["group"]]} {row["case"]:,} | {row["ms"]:.1f} | {row["images_per_s"]:.0f} '
            f'| {row["relative"]:.2f} per {per[row["group"]]} | {row["peak_MiB"] or 0:.0f} |'
        )
    return '\n'.join([*lines, ''])


def figure(rows, path):
    """Draw the relative time against what grows, a panel per group."""
    from matplotlib.figure import Figure

    plot = Figure(figsize=(9, 2.8), layout='constrained')
    groups = [group for group in GROUPS if any(row['group'] == group for row in rows)]
    for axes, group in zip(plot.subplots(1, len(groups), sharey=True, squeeze=False)[0], groups):
        points = [(row['case'], row['relative']) for row in rows if row['group'] == group]
        axes.axhspan(0.9, 1.1, color='0.92')
        axes.semilogx(*zip(*points), 'o-')
        axes.set(xlabel={'images': 'resident images', 'batches': 'images of a minibatch', 'sizes': 'image side'}[group])
        axes.set_title('time per pixel' if group == 'sizes' else 'time per image', fontsize='medium')
        axes.set_xticks([x for x, _ in points], [f'{x:,}' for x, _ in points], fontsize='small')
        axes.minorticks_off()
    plot.savefig(path, dpi=130)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('groups', nargs='*', default=list(GROUPS), help=', '.join(GROUPS) + ' (default: all)')
    parser.add_argument('--turns', type=int, default=7)
    parser.add_argument('--seconds', type=float, default=2, help='time of one case in one turn')
    parser.add_argument('-o', '--out', type=Path, help='folder for growth.json and growth.png')
    args = parser.parse_args()
    unknown = set(args.groups) - set(GROUPS)
    if unknown:
        parser.error(f'expected groups among {", ".join(GROUPS)}, got {", ".join(sorted(unknown))}')
    rows = []
    for group in args.groups:
        rows += measure(group, args.turns, args.seconds)
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / 'growth.json').write_text(json.dumps(rows, indent=1) + '\n')
            figure(rows, args.out / 'growth.png')
    print(table(rows))


if __name__ == '__main__':
    main()
