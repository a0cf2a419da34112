"""The pages of the documentation hang together; the site itself is built by ``python -m docs``."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from utils.cli.parser import parser_of
from utils.cli.program import COMMANDS
from utils.experiment import schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
PAGES = [path for path in DOCS.rglob('*.md') if 'results' not in path.relative_to(DOCS).parts[:-1]]
GENERATED = ('reference/api/', 'reference/commands/', 'reference/arguments')  # written when the site is built


@pytest.fixture(scope='module')
def extensions():
    sys.path.insert(0, str(DOCS / 'extensions'))
    import api
    import command_line

    yield api, command_line
    sys.path.remove(str(DOCS / 'extensions'))


def prose(page):
    return re.sub(r'^```(?!\{).*?^```$', '', page.read_text(encoding='utf-8'), flags=re.S | re.M)


def anchors(page):
    """The anchors of the headings of a page, as code hosts and MyST make them."""
    headings = re.findall(r'^#+ (.+)$', re.sub(r'^```.*?^```$', '', page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def test_links_between_pages_lead_to_files_and_headings():
    checked = 0
    for page in [*PAGES, ROOT / 'README.md', ROOT / 'CONTRIBUTING.md']:
        for target in re.findall(r'\]\(([^)\s]+)\)', prose(page)):
            name, _, anchor = target.partition('#')
            if re.match(r'\w+:', target):
                continue
            path = (page.parent / name).resolve() if name else page
            if path.is_relative_to(DOCS) and str(path.relative_to(DOCS)).startswith(GENERATED):
                continue
            assert path.exists(), f'{page.name} leads to {target}'
            assert not anchor or anchor in anchors(path), f'{page.name} leads to {target}'
            checked += 1
    assert checked > 40


def test_every_page_is_in_the_navigation():
    listed = set()
    for page in PAGES:
        for block in re.findall(r'```\{toctree\}\n(.*?)```', page.read_text(), re.S):
            entries = [line for line in block.splitlines() if line and not line.startswith(':')]
            entries = [entry.partition('<')[2].rstrip('>') or entry for entry in entries]
            listed |= {(page.parent / entry).relative_to(DOCS).as_posix() for entry in entries}
    pages = {page.relative_to(DOCS).with_suffix('').as_posix() for page in PAGES} - {'index'}
    assert pages <= listed
    assert {name for name in listed if not name.startswith(GENERATED)} == pages


def test_the_python_reference_has_every_public_name(extensions):
    api, _ = extensions
    known = api.modules()
    shown = {name: page_members(api.page(module, known)) for name, module in known.items()}
    for path in sorted(path for package in api.PACKAGES for path in (ROOT / package).rglob('*.py')):
        name = '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        tree = ast.parse(path.read_text())
        public = {
            node.name
            for node in tree.body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != '_' and ast.get_docstring(node)
        }
        above = [name.rsplit('.', k)[0] for k in range(1, name.count('.') + 1)]
        for one in public:
            if path.stem != '__main__':
                assert one in shown[name] or any(one in shown[package] for package in above), f'{name}.{one}'
    assert {'test', 'predict', 'sweep', 'Result'} <= shown['launch'] and {'A', 'ResNet18'} <= shown['cnn']


def page_members(text):
    found = re.search(r':members: (.+)', text)
    return set(found[1].split(', ')) if found else set()


def test_the_reference_of_the_commands_has_every_option(extensions):
    _, command_line = extensions
    for name in COMMANDS:
        text = command_line.command_page(name)
        for action in parser_of(name)._actions:
            for option in action.option_strings:
                if option not in ('-h', '--help') and not option.startswith('--no-'):
                    written = option.replace('--', '--[no-]') if f'--[no-]{option[2:]}' in text else option
                    assert re.search(re.escape(written) + r'\b', text), f'symfer {name} {option}'
        assert len(re.findall(r'^\.\. option:: \S', text, re.M)) == text.count('.. option::')


def test_the_page_of_the_arguments_has_all_of_them(extensions):
    _, command_line = extensions
    text = command_line.arguments_page()
    assert re.findall(r'^``(\w+)`` :', text, re.M) == [
        name for group in schema.GROUPS for name, row in schema.ARGUMENTS.items() if row.group == group
    ]
    assert '``seed`` : a whole number >= 0 · default ``0`` · fixed' in text


def test_what_is_missing_for_the_site_is_named_with_its_extra(monkeypatch):
    """Run where no library of the extra can be found, whether it is installed or not."""
    code = (
        'import importlib.util as u, runpy, sys\n'
        'sys.argv = ["docs"]\n'
        'real = u.find_spec\n'
        'u.find_spec = lambda name, *rest: None if name in ("furo", "myst_nb") else real(name, *rest)\n'
        'runpy.run_module("docs", run_name="__main__")\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count('\n') == 1
    assert done.stderr.startswith('error: the documentation needs ')
    assert 'furo, myst-nb' in done.stderr and 'pip install -e ".[docs]"' in done.stderr
