"""Draws the layers of a network as Graphviz or Mermaid text, or as a picture by Graphviz."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from utils.files.atomic import atomic_write
from utils.results.structure import sides

if TYPE_CHECKING:
    from utils.annotations import StrPath
    from utils.results.structure import Row, Structure

PICTURES, TEXTS = ('.svg', '.png', '.pdf'), ('.dot', '.mmd')
COLOURS = {1: '#dfe9f5', 3: '#e4f1df'}  # by the number of dimensions of the output


def _lines(row: Row) -> list[str]:
    about = f'{row.parameters:,} parameters' if row.parameters else ''
    return [line for line in (row.name, row.kind, sides(row.shape), about) if line]


def _nodes(structure: Structure) -> list[tuple[str, list[str], str]]:
    """Name, lines and colour of each node."""
    image = ('image', ['images', sides((*structure.im_dim, 1))], '#f3f3f3')
    used = [(f'layer{k}', _lines(row), COLOURS.get(len(row.shape), '#f3f3f3')) for k, row in _used(structure)]
    return [image, *used, ('logits', ['logits'], '#f3f3f3')]


def _used(structure):
    return [(k, row) for k, row in enumerate(structure.rows) if row.shape]


def _edges(structure: Structure) -> list[tuple[str, str]]:
    def name(k):
        return f'layer{k}' if k >= 0 else 'image'

    edges = [(name(source), name(k)) for k, row in _used(structure) for source in row.inputs]
    return edges + [(name(source), 'logits') for source in structure.ends]


def as_dot(structure: Structure) -> str:
    """The drawing in Graphviz's language; arrows go from a layer to those that take its output."""

    def text(lines):
        escaped = (line.replace('\\', r'\\').replace('"', r'\"') for line in lines)
        return r'\n'.join(escaped)

    lines = [
        f'digraph "{structure.name}" {{',
        '  node [shape=box style="filled,rounded" fontname="Helvetica" fontsize=10 color="#666666"]',
        '  edge [color="#666666" arrowsize=0.7]',
    ]
    lines += [f'  {name} [label="{text(shown)}" fillcolor="{colour}"]' for name, shown, colour in _nodes(structure)]
    lines += [f'  {a} -> {b}' for a, b in _edges(structure)]
    return '\n'.join([*lines, '}', ''])


def as_mermaid(structure: Structure) -> str:
    """The drawing in Mermaid's language, which code hosts render in Markdown."""
    lines = ['flowchart TD']
    for name, shown, _ in _nodes(structure):
        label = '<br>'.join(line.replace('"', '#quot;') for line in shown)
        lines.append(f'  {name}["{label}"]')
    lines += [f'  {a} --> {b}' for a, b in _edges(structure)]
    return '\n'.join([*lines, ''])


def check_drawing(path: StrPath) -> Path:
    """Check the path of a drawing before it is made.

    Raises
    ------
    ValueError
        If its ending is no known format, or it is a picture and Graphviz is not installed.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in PICTURES + TEXTS:
        raise ValueError(f"drawing must end in {', '.join(PICTURES + TEXTS)}, got '{path}'")
    if ending in PICTURES and shutil.which('dot') is None:
        raise ValueError(
            f"'{path}' needs Graphviz, whose program dot is not installed: apt-get install graphviz, or give a name "
            'that ends in .mmd (text for Mermaid) or .dot (text for Graphviz)'
        )
    return path


def write_drawing(structure: Structure, path: StrPath) -> Path:
    """Write the drawing in the format given by the ending of the path; an existing file is replaced.

    Raises
    ------
    ValueError
        See `check_drawing`; or if Graphviz fails.
    OSError
        If the file cannot be written.
    """
    path = check_drawing(path)
    ending = path.suffix.lower()
    if ending == '.mmd':
        data = as_mermaid(structure).encode()
    else:
        data = as_dot(structure).encode()
        if ending != '.dot':
            done = subprocess.run(['dot', f'-T{ending[1:]}'], input=data, capture_output=True, timeout=120)
            if done.returncode:
                raise ValueError(
                    f"Graphviz could not draw '{path}': {done.stderr.decode(errors='replace').strip()[:300]}"
                )
            data = done.stdout
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(data)
    return path
