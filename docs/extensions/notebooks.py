"""Convert tutorials to notebooks: ``python docs/extensions/notebooks.py`` writes examples/notebooks/.

The pages in docs/tutorials/ are the source, in MyST notebook format, so that git holds no outputs.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = {'first_experiment': '1_first_experiment', 'own_network': '2_own_network'}
CODE = re.compile(r'^```\{code-cell\}\n(.*?)^```$\n?', re.S | re.M)


def page_of(name: str) -> Path:
    """Path of the page of a tutorial."""
    return ROOT / 'docs' / 'tutorials' / f'{name}.md'


def path_of(name: str) -> Path:
    """Path of the notebook of a tutorial."""
    return ROOT / 'examples' / 'notebooks' / f'{NOTEBOOKS[name]}.ipynb'


def cells(text: str) -> list[tuple[str, str]]:
    """Split a page into cells, pairs of 'markdown' or 'code' and the text, without the header of the page."""
    body = re.sub(r'\A---\n.*?\n---\n', '', text, flags=re.S)
    parts = CODE.split(body)
    kinds = ['markdown', 'code'] * len(parts)
    return [(kind, part.strip()) for kind, part in zip(kinds, parts) if part.strip()]


def notebook(text: str) -> dict:
    """Make the notebook of a page, without outputs.

    Links lead to the notebooks of other tutorials, or to their pages if they have no notebook.
    """

    def link(found):
        target = found[1]
        if target in NOTEBOOKS:
            return f']({NOTEBOOKS[target]}.ipynb)'
        return f'](../../docs/tutorials/{target}.md)'

    made = []
    for number, (kind, source) in enumerate(cells(text)):
        if kind == 'markdown':
            source = re.sub(r'\]\((\w+)\.md\)', link, source)
        cell = {'cell_type': kind, 'id': f'cell-{number}', 'metadata': {}, 'source': source.splitlines(keepends=True)}
        made.append(cell | ({'execution_count': None, 'outputs': []} if kind == 'code' else {}))
    kernel = {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}
    about = {'kernelspec': kernel, 'language_info': {'name': 'python'}}
    return {'cells': made, 'metadata': about, 'nbformat': 4, 'nbformat_minor': 5}


def as_file(name: str) -> str:
    """Text of the notebook file of a tutorial."""
    return json.dumps(notebook(page_of(name).read_text(encoding='utf-8')), indent=1, ensure_ascii=False) + '\n'


if __name__ == '__main__':
    for name in NOTEBOOKS:
        path_of(name).parent.mkdir(parents=True, exist_ok=True)
        path_of(name).write_text(as_file(name), encoding='utf-8')
