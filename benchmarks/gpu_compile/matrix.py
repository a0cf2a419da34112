"""Cells of networks, precisions and GPUs: run one after another, saved in a file and shown in a table."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.gpu_compile.batches import MOST
from benchmarks.gpu_compile.cell import ENVIRONMENT
from utils.files.atomic import atomic_write
from utils.results.tables import as_markdown, put_into_page

ROOT = Path(__file__).resolve().parents[2]
SHOWN = {'train': 'step', 'train_many': 'many', 'validate': 'validation', 'test': 'test'}
HEAD = (
    *('network, precision, GPU', 'functions that compile', 'peak MiB: step / many / validation / test', 'in place MiB'),
    *('cuDNN forward / input / filter gradient', 'operands', 'further kernels: step / many', 'model µs: step / many'),
    *('copied KiB: step / many', 'host transfers'),
)
FIT_HEAD = ('network, precision, GPU', '8 GB', '16 GB', '24 GB', '80 GB')


def cell_name(network, precision, capability, devices):
    return f'{network} {precision} {capability}' + (f' x{devices}' if devices > 1 else '')


def run_cell(order, info=print):
    """Compute the figures of a cell, including errors, in a separate process."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'benchmarks.gpu_compile.cell', json.dumps(order)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**{k: v for k, v in os.environ.items() if k != 'JAX_COMPILATION_CACHE_DIR'}, **ENVIRONMENT},
    )
    found, left = {'functions': {}}, list(order['functions'])
    for line in process.stdout:
        if not line.startswith('{'):
            continue
        answer = json.loads(line)
        if 'fit' in answer:
            found['fit'] = answer['fit']
            continue
        left.remove(answer['function'])
        if answer['figures']:
            found['functions'][answer['function']] = answer['figures']
            info(f'  {answer["function"]}: {in_words(answer["figures"])}')
    errors = process.stderr.read()
    if process.wait():
        last = ([line for line in errors.splitlines() if line.strip()] or [''])[-1]
        for name in left:
            found['functions'][name] = {'compiles': False, 'error': f'status {process.returncode}: {last[:300]}'}
    return found


def in_words(figures):
    if not figures['compiles']:
        return figures['error']
    return f'compiles in {figures["seconds"]} s, peak {figures["peak"] / 2**20:.1f} MiB'


class Results:
    """The file of the figures; figures of another version of JAX are discarded."""

    def __init__(self, path):
        self.path = Path(path)
        self.about = {'jax': metadata.version('jax'), 'cuda plugin': metadata.version('jax-cuda12-plugin')}
        self.cells = {}
        if self.path.exists():
            before = json.loads(self.path.read_text(encoding='utf-8'))
            if before['about'] == self.about:
                self.cells = before['cells']

    def missing(self, name, functions, fit):
        """Functions of a cell that are not compiled yet, and whether its largest minibatches are missing."""
        cell = self.cells.get(name, {'functions': {}})
        return [f for f in functions if f not in cell['functions']], fit and 'fit' not in cell

    def put(self, name, found, functions):
        cell = self.cells.setdefault(name, {'functions': {}})
        # A function that the network does not have is saved as null, so that it is not tried again.
        cell['functions'].update({f: found['functions'].get(f) for f in functions})
        if 'fit' in found:
            cell['fit'] = found['fit']
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps({'about': self.about, 'cells': self.cells}, indent=1), encoding='utf-8')


def of_functions(functions, names, tell):
    """Join the texts of `tell` for functions with slashes; '-' for a missing function."""
    return ' / '.join(tell(functions[name]) if functions.get(name) else '-' for name in names)


def rows(cells):
    """Rows of the first table, one for each network, precision and GPU."""
    lines = []
    for name, cell in cells.items():
        every = {function: f for function, f in cell['functions'].items() if f}
        good = {function: f for function, f in every.items() if f['compiles']}
        failed = [f'{function} does not: {f["error"]}' for function, f in every.items() if not f['compiles']]
        step = good.get('train') or next(iter(good.values()), None)
        if not step:
            lines.append([name, '; '.join(failed), *[''] * (len(HEAD) - 2)])
            continue
        calls = [step['convolutions'].get(k, 0) for k in ('forward', 'input gradient', 'filter gradient')]
        both = ('train', 'train_many')
        lines.append(
            [
                name,
                '; '.join([f'{len(good)} of {len(every)}', *failed]),
                of_functions(good, SHOWN, lambda f: f'{f["peak"] / 2**20:.0f}'),
                of_functions(good, ['train'], lambda f: f'{f["in_place"] / 2**20:.1f}'),
                ' / '.join(map(str, calls)),
                ', '.join(sorted(step['operands'])) or 'none',
                of_functions(good, both, lambda f: str(f['kernels'])),
                of_functions(good, both, lambda f: '-' if f['model_us'] is None else f'{f["model_us"]:.0f}'),
                of_functions(good, both, lambda f: f'{f["copied"] / 2**10:.0f}'),
                str(sum(f['transfers'] for f in good.values())),
            ]
        )
    return lines


def fit_rows(cells):
    """Rows of the table of the largest minibatches."""
    found = {name: cell['fit'] for name, cell in cells.items() if cell.get('fit') and 'error' not in cell['fit']}
    words = {None: 'none', MOST: f'{MOST:,} or more'}
    return [[name, *(words.get(n) or f'{n:,}' for n in fit.values())] for name, fit in found.items()]


def in_order(cells):
    """Sort cells by the number of GPUs, the GPU and the network; networks keep the order of their first cell."""
    networks = list(dict.fromkeys(name.split()[0] for name in cells))

    def place(name):
        network, precision, card, *count = name.split()
        return count, len(card), card, networks.index(network), list(cells).index(name)

    return {name: cells[name] for name in sorted(cells, key=place)}


def page_text(results):
    """Both tables as Markdown, with the versions of JAX."""
    cells = in_order(results.cells)
    versions = ', '.join(f'{name} {version}' for name, version in results.about.items())
    text = f'\nCompiled with {versions}, {len(cells)} cells.\n\n' + as_markdown(HEAD, rows(cells))
    if fits := fit_rows(cells):
        text += '\n' + as_markdown(FIT_HEAD, fits)
    return text + '\n'


def write_page(results, page):
    put_into_page(Path(page), 'compiled', page_text(results))
