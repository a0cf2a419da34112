"""The notebooks are the tutorials of the site, without outputs, and run."""

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'docs' / 'extensions'))
import notebooks  # noqa: E402

TUTORIALS = sorted(path.stem for path in (ROOT / 'docs' / 'tutorials').glob('*.md'))


@pytest.mark.parametrize('name', notebooks.NOTEBOOKS)
def test_a_notebook_is_its_page_without_outputs(name):
    text = notebooks.path_of(name).read_text(encoding='utf-8')
    assert text == notebooks.as_file(name), 'run python docs/extensions/notebooks.py'
    cells = json.loads(text)['cells']
    code = [cell for cell in cells if cell['cell_type'] == 'code']
    assert len(code) >= 4 and all(cell['outputs'] == [] and cell['execution_count'] is None for cell in code)
    for cell in cells:
        for target in notebooks.re.findall(r'\]\(([\w./]+)\)', ''.join(cell['source'])):
            assert (notebooks.path_of(name).parent / target).exists(), target


@pytest.mark.parametrize('name', TUTORIALS)
def test_the_code_of_a_tutorial_compiles(name):
    cells = [text for kind, text in notebooks.cells(notebooks.page_of(name).read_text()) if kind == 'code']
    assert len(cells) >= 4
    for text in cells:
        compile('\n'.join('pass' if line.startswith('!') else line for line in text.splitlines()), name, 'exec')


@pytest.mark.slow
@pytest.mark.parametrize('name', notebooks.NOTEBOOKS)
def test_a_notebook_runs(name, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip('nbformat'), pytest.importorskip('nbclient')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]))
    book = nbformat.read(notebooks.path_of(name), as_version=4)
    nbclient.NotebookClient(book, timeout=600, resources={'metadata': {'path': str(tmp_path)}}).execute()
    printed = ''.join(output.get('text', '') for cell in book.cells for output in cell.get('outputs', ()))
    assert 'entropy point' in printed and (tmp_path / 'set1.h5').exists()


@pytest.mark.slow
def test_the_site_is_built_with_its_tutorials_and_without_a_warning(tmp_path):
    pytest.importorskip('sphinx')
    from docs.__main__ import require

    require()
    import subprocess

    words = [sys.executable, '-m', 'sphinx', '-W', '-q', str(ROOT / 'docs'), str(tmp_path / 'site')]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in TUTORIALS:
        assert 'cell_output' in (tmp_path / 'site' / 'tutorials' / f'{name}.html').read_text()
