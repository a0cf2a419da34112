"""`python -m benchmarks.gpu_compile`: compile networks for GPUs that are not present, and tabulate the results."""

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.gpu_compile import targets
from benchmarks.gpu_compile.cell import ENVIRONMENT
from utils.files.extras import MissingExtra

ROOT = Path(__file__).resolve().parents[2]
PRECISIONS = ('float32', 'tf32', 'bf16')
FUNCTIONS = ('train', 'train_many', 'validate', 'test', 'statistics', 'augment', 'members')


def parser():
    out = argparse.ArgumentParser(
        prog='python -m benchmarks.gpu_compile', description=__doc__.partition(': ')[2], epilog='Needs the extra [aot].'
    )
    out.add_argument('--networks', nargs='*', metavar='NAME', help='default: all of cnn and mlp')
    out.add_argument('--precisions', nargs='*', choices=PRECISIONS, default=list(PRECISIONS))
    out.add_argument('--capabilities', nargs='*', choices=list(targets.CARDS), default=list(targets.CARDS))
    out.add_argument('--devices', nargs='*', type=int, default=[1, 2], help='numbers of GPUs (default: 1 2)')
    out.add_argument('--functions', nargs='*', choices=FUNCTIONS, default=list(FUNCTIONS[:-1]))
    out.add_argument('--batch', type=int, default=100)
    out.add_argument('--width', type=float, help='width of networks that have this argument; give another --out too')
    out.add_argument('--fit', action='store_true', help='also find the largest minibatch for 8, 16, 24 and 80 GB')
    out.add_argument('--again', action='store_true', help='also compile existing cells again')
    out.add_argument('--texts', type=Path, help='folder for the compiled text of XLA')
    out.add_argument('--out', type=Path, default=ROOT / 'docs' / 'bench' / 'gpu_compile.json')
    out.add_argument('--page', type=Path, default=ROOT / 'docs' / 'gpu.md', help='page with the marks of the table')
    return out


def main(arguments=None):
    args = parser().parse_args(arguments)
    try:
        targets.check_extra()
    except MissingExtra as error:
        return str(error)
    os.environ.update(ENVIRONMENT)
    from benchmarks.gpu_compile import matrix
    from benchmarks.gpu_compile.programs import NETWORKS

    unknown = set(args.networks or ()) - set(NETWORKS)
    if unknown or any(n < 1 for n in args.devices):
        wrong = f'networks {", ".join(NETWORKS)}, got {sorted(unknown)}' if unknown else 'numbers of GPUs >= 1'
        return f'python -m benchmarks.gpu_compile: expected {wrong}'
    results = matrix.Results(args.out)
    orders = [
        (network, precision, capability, devices)
        for devices in args.devices
        for capability in args.capabilities
        for network in args.networks or NETWORKS
        for precision in args.precisions
    ]
    for k, (network, precision, capability, devices) in enumerate(orders, start=1):
        name = matrix.cell_name(network, precision, capability, devices)
        missing = (args.functions, args.fit) if args.again else results.missing(name, args.functions, args.fit)
        if not any(missing):
            continue
        print(f'{k}/{len(orders)} {name}', flush=True)
        order = dict(network=network, precision=precision, capability=capability, devices=devices, name=name)
        order |= dict(functions=missing[0], fit=missing[1], batch=args.batch, texts=str(args.texts or ''))
        order['options'] = {'width': args.width} if args.width else {}
        results.put(name, matrix.run_cell(json.loads(json.dumps(order))), missing[0])
    if args.page.exists():
        matrix.write_page(results, args.page)
    failed = [n for n, c in results.cells.items() for f in c['functions'].values() if f and not f['compiles']]
    return f'does not compile: {", ".join(sorted(set(failed)))}' if failed else 0


if __name__ == '__main__':
    sys.exit(main())
