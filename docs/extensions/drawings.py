"""Drawings for the pages, made from the code and from histories of runs: ``python docs/extensions/drawings.py``.

They are stored in docs/images, so that the site can be built without Graphviz. A test compares them with the code.
"""

import ast
import csv
import functools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES, RESULTS = ROOT / 'docs' / 'images', ROOT / 'docs' / 'results'
PACKAGES = ('launch', 'cnn', 'mlp', 'loaders')
STYLE = [
    'graph [bgcolor=white rankdir=TB nodesep=0.25 ranksep=0.45 fontname="Helvetica" fontsize=11 pad=0.2]',
    'node [shape=box style="filled,rounded" fillcolor="#dfe9f5" color="#5b6b7b" fontname="Helvetica" fontsize=11]',
    'edge [color="#5b6b7b" arrowsize=0.7 fontname="Helvetica" fontsize=9]',
]


def place_of(module: str) -> str | None:
    """Box of a module in the drawing: a package or a folder of utils; the top-level modules of utils share one box."""
    first, _, rest = module.partition('.')
    if first in PACKAGES:
        return first
    if first != 'utils':
        return None
    folder = rest.partition('.')[0]
    return f'utils/{folder}' if (ROOT / 'utils' / folder).is_dir() and folder else 'utils'


def _imported(tree):
    """Yield the modules that a file imports, except for type hints, and whether the import is at the top level."""
    hints = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING'
        for inner in ast.walk(node)
    }
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in hints:
            continue
        if isinstance(node, ast.Import):
            yield from ((name.name, id(node) in top) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f'{node.module}.{name.name}' for name in node.names] if node.module == 'utils' else [node.module]
            yield from ((name, id(node) in top) for name in names)


@functools.cache
def imports() -> set[tuple[str, str]]:
    """Pairs of boxes of which the first imports the second; imports inside commands are left out."""
    found = set()
    files = [ROOT / 'launch.py', *(f for p in ('cnn', 'mlp', 'loaders', 'utils') for f in (ROOT / p).rglob('*.py'))]
    for file in files:
        module = '.'.join(file.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        own = place_of(module)
        for name, at_the_top in _imported(ast.parse(file.read_text(encoding='utf-8'))):
            other = place_of(name)
            late = not at_the_top and own in ('utils/cli', 'launch', 'loaders')
            if other and other != own and not late:
                found.add((own, other))
    return found


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Remove the edges that are implied by a longer path."""
    below: dict[str, set[str]] = {}
    for a, b in edges:
        below.setdefault(a, set()).add(b)

    def reaches(a, b, but):
        seen, waiting = set(), [n for n in below.get(a, ()) if n != but]
        while waiting:
            node = waiting.pop()
            if node == b:
                return True
            if node not in seen:
                seen.add(node)
                waiting += below.get(node, ())
        return False

    return {(a, b) for a, b in edges if not reaches(a, b, b)}


def architecture() -> str:
    """Graphviz source of the folders and their imports."""
    edges = reduced(imports())
    places = sorted({place for edge in edges for place in edge})
    labels = {'launch': 'launch.py', 'utils': 'utils/layer.py, layers.py, rna.py, ...'}
    lines = ['digraph architecture {', *STYLE]
    lines += [
        f'"{place}" [label="{labels.get(place, place + "/")}"'
        + ('' if place.startswith('utils') else ' fillcolor="#f5e6cf"')
        + ']'
        for place in places
    ]
    return '\n'.join([*lines, *(f'"{a}" -> "{b}"' for a, b in sorted(edges)), '}'])


def rewrites() -> str:
    """Graphviz source of the passes from `function` to the device, with symfer's rewrites in the order of the code."""
    found: list[tuple[float, ast.FunctionDef]] = []
    for module in ('rewrites', 'native', 'native_layers', 'native_products'):
        for node in ast.parse((ROOT / 'utils' / 'backend' / f'{module}.py').read_text(encoding='utf-8')).body:
            for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                if isinstance(call, ast.Call) and ast.unparse(call.func) in ('register', 'rewrites.register'):
                    given = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
                    found.append((given.get('position', len(found)), node))
    own = [node for _, node in sorted(found, key=lambda item: item[0])]
    steps = [
        ('built', ['the network called once,', 'its cost, gradients, updates'], '#f3f3f3'),
        ('canonical', ['PyTensor: canonicalise, stabilise'], '#f5e6cf'),
        *((node.name, [node.name, ast.get_docstring(node).partition('\n')[0]], '#dfe9f5') for node in own),
        ('inplace', ['PyTensor: the rest, without its own fusion'], '#f5e6cf'),
        ('jax', ['utils/backend: every Op as JAX'], '#dfe9f5'),
        ('xla', ['XLA: fusion, code for the device'], '#e4f1df'),
    ]
    lines = ['digraph rewrites {', *STYLE, 'node [width=4.5]']
    for name, text, colour in steps:
        shown = r'\n'.join(_wrapped(line.replace('"', "'").replace('`', '')) for line in text)
        lines.append(f'{name} [label="{shown}" fillcolor="{colour}"]')
    names = [name for name, *_ in steps]
    return '\n'.join([*lines, *(f'{a} -> {b}' for a, b in zip(names, names[1:])), '}'])


def _wrapped(text, width=62):
    lines = ['']
    for word in text.split():
        lines[-1:] = [f'{lines[-1]} {word}'.strip()] if len(lines[-1]) + len(word) < width else [lines[-1], word]
    return r'\n'.join(lines)


def history(run: str) -> list[dict]:
    """The rows of history.csv, one per epoch, of a run in docs/results."""
    with open(RESULTS / run / 'history.csv', encoding='utf-8', newline='') as file:
        return [
            {k: v if k == 'stage' else float(v) if v else None for k, v in row.items()} for row in csv.DictReader(file)
        ]


def draw_network() -> None:
    """Draw network D with the code of ``symfer summary``."""
    import launch

    launch.summary('D', drawing=IMAGES / 'network_D.svg')


def draw_curves() -> None:
    """Draw Figure 18 of the thesis for the runs in docs/results."""
    from PIL import Image

    from utils.results.plots.curves import plot_curves
    from utils.training.rules import RULES

    titles = {
        'A-set1/seed-0': 'Network A on set 1, without dropout',
        'B-online/shipped': 'Network B, dropout, batch norm, online augmentation',
    }
    for run, title in titles.items():
        rows = [{**row, 'epoch': int(row['epoch'])} for row in history(run)]
        best = RULES['entropy'].best([row for row in rows if row['stage'] == 'train'])
        figure = plot_curves(rows, best, title)
        path = IMAGES / f'curves_{run.partition("/")[0]}.png'
        figure.savefig(path, dpi=100)
        Image.open(path).convert('RGB').quantize(64).save(path, optimize=True)


def draw_views() -> None:
    """Draw Figures 15 to 17 of the thesis with a synthetic face: the views of sets 2, 3 and 4."""
    import cv2
    import numpy as np

    from loaders.sets.recipes import thesis_set
    from loaders.sets.transforms import views
    from loaders.synthetic.sample import draw_face

    face = draw_face(3, np.random.default_rng(11))[None]
    rows = []
    for number in (2, 3, 4):
        recipe = thesis_set(number, face.shape[1:])
        made = views(face, recipe.views, recipe.size or face.shape[1:])[0]
        large = [
            cv2.copyMakeBorder(cv2.resize(v, (84, 84), interpolation=cv2.INTER_NEAREST), *[3] * 4, 0, value=255)
            for v in made
        ]
        while len(large) % 14:
            large.append(np.full_like(large[0], 255))
        rows += [np.concatenate(large[k : k + 14], axis=1) for k in range(0, len(large), 14)]
    cv2.imwrite(str(IMAGES / 'views.png'), np.concatenate(rows))


def main() -> None:
    """Write all drawings."""
    sys.path.insert(0, str(ROOT))
    for make in (architecture, rewrites):
        data = subprocess.run(['dot', '-Tsvg'], input=make().encode(), capture_output=True, check=True).stdout
        (IMAGES / f'{make.__name__}.svg').write_bytes(data)
    draw_network()
    draw_curves()
    draw_views()


if __name__ == '__main__':
    main()
