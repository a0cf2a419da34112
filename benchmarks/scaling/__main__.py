"""`python -m benchmarks.scaling`: count operations and exchanges of networks, estimate the speed of many GPUs."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ROOT / 'docs' / 'bench' / 'gpu_compile.json'


def kernels(name: str, compiled: Path = COMPILED) -> int:
    """Number of kernels, library calls and copies of a network's training step compiled for an H100."""
    cell = json.loads(compiled.read_text(encoding='utf-8'))['cells'].get(f'{name} float32 sm_90')
    if not cell or not cell['functions'].get('train', {}).get('kinds'):
        raise ValueError(
            f"'{compiled}' lacks the cell '{name} float32 sm_90': python -m benchmarks.gpu_compile --networks {name} "
            '--precisions float32 --capabilities sm_90 --devices 1'
        )
    return sum(cell['functions']['train']['kinds'].values())


def counted(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the figures of networks one after another, computed in a separate process."""
    from benchmarks.scaling.counting import ENVIRONMENT
    from benchmarks.scaling.tables import LARGE, LARGE_SIDE

    orders = [f'{name}:48,{LARGE_SIDE}' if name == LARGE else name for name in names]
    process = subprocess.Popen(
        [sys.executable, '-m', 'benchmarks.scaling.counting', *orders],
        text=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
    )
    for line in process.stdout or ():
        if line.startswith('{'):
            yield json.loads(line)
    if process.wait():
        raise RuntimeError(f'counting ended with status {process.returncode}')


def write(networks: dict[str, Any], path: Path) -> None:
    """Write the file of the figures, one line per network."""
    from benchmarks.scaling.machine import Machine
    from utils.files.atomic import atomic_write

    lines = ',\n'.join(f'{json.dumps(name)}: {json.dumps(figures)}' for name, figures in networks.items())
    with atomic_write(path) as temporary:
        machine = json.dumps(Machine().described())
        temporary.write_text(f'{{"machine": {machine},\n"networks": {{\n{lines}}}}}\n', encoding='utf-8')


def main(arguments: Sequence[str] | None = None) -> int | str:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.scaling', description=__doc__.partition(': ')[2])
    parser.add_argument('--networks', nargs='*', metavar='NAME', help='default: all of cnn and mlp')
    parser.add_argument('--again', action='store_true', help='count existing networks again')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'bench' / 'scaling.json')
    parser.add_argument(
        '--page', type=Path, default=ROOT / 'docs' / 'scaling.md', help='page with the marks of the tables'
    )
    args = parser.parse_args(arguments)
    import cnn
    import mlp
    from benchmarks.scaling import tables

    every = [*cnn.__all__, *mlp.__all__]
    if unknown := set(args.networks or ()) - set(every):
        return f'python -m benchmarks.scaling: expected networks {", ".join(every)}, got {sorted(unknown)}'
    before = json.loads(args.out.read_text(encoding='utf-8'))['networks'] if args.out.exists() else {}
    todo = [name for name in args.networks or every if args.again or name not in before]
    for found in counted(todo) if todo else ():
        print(*found, flush=True)
        before |= {name: {**figures, 'kernels': kernels(name)} for name, figures in found.items()}
        write({name: before[name] for name in every if name in before}, args.out)
    if set(every) <= set(before) and args.page.exists():
        tables.write_page({name: before[name] for name in every}, args.page)
    return 0


if __name__ == '__main__':
    sys.exit(main())
