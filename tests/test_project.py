"""The project's statements about itself are true."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import setuptools

import utils

ROOT = Path(__file__).parent.parent
DOORS = {Path(__file__).parent.parent / 'loaders' / '__main__.py'}  # an entry point of the command line
PACKAGES = ('cnn', 'loaders', 'mlp', 'utils')


def commands():
    """Return the shell commands of the README, in their order."""
    blocks = re.findall(r'```sh\n(.*?)```', (ROOT / 'README.md').read_text(), re.S)
    return [line for block in blocks for line in block.strip().splitlines()]


def test_the_first_two_commands_of_the_readme_run_the_main_job_and_the_tests():
    main, tests = commands()[:2]
    for command in (main, tests):
        assert command.startswith('python3 -m venv .venv && .venv/bin/pip install -q -e ')
    assert main.endswith('.venv/bin/python launch.py')
    assert tests.endswith('.venv/bin/python -m pytest -n 2 --dist worksteal')


def test_ci_runs_the_test_command_of_the_readme():
    assert commands()[1] in (ROOT / '.ci' / 'run').read_text()


def setup_arguments(monkeypatch):
    arguments = {}
    monkeypatch.setattr(setuptools, 'setup', arguments.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / 'setup.py'))
    return arguments


def test_every_package_is_installed_with_its_data(monkeypatch):
    arguments = setup_arguments(monkeypatch)
    folders = {
        str(p.parent.relative_to(ROOT)).replace('/', '.')
        for name in PACKAGES
        for p in (ROOT / name).rglob('__init__.py')
    }
    assert folders == set(arguments['packages'])
    assert all((p.parent / '__init__.py').is_file() for name in PACKAGES for p in (ROOT / name).rglob('*.py'))
    data = [p for name in PACKAGES for p in (ROOT / name).rglob('*') if p.is_file() and p.suffix not in ('.py', '.pyc')]
    installed = [
        p
        for package, patterns in arguments['package_data'].items()
        for pattern in patterns
        for p in (ROOT / package.replace('.', '/')).glob(pattern)
    ]
    assert sorted(data) == sorted(installed)


def test_there_is_one_version(monkeypatch):
    assert setup_arguments(monkeypatch)['version'] == utils.__version__
    assert utils.__version__ not in (ROOT / 'setup.py').read_text()


def run_beside(folder, statement):
    """Run a statement like a script in that folder, with symfer after the folder in the path."""
    script = folder / 'script.py'
    script.write_text(f'{statement}\nprint("fine")\n')
    return subprocess.run(
        [sys.executable, script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu'},
    )


@pytest.mark.parametrize(
    'statement, hidden',
    [
        ('from launch import test', 'utils'),
        ('from launch import test', 'loaders'),
        ('from launch import test', 'cnn'),
        ('from launch import test', 'mlp'),
        ('import cnn', 'utils'),
        ('import cnn', 'mlp'),
        ('import mlp', 'utils'),
    ],
)
def test_a_module_of_the_user_that_hides_ours_is_named_and_not_run(tmp_path, statement, hidden):
    (tmp_path / f'{hidden}.py').write_text('raise SystemExit("was run")')
    done = run_beside(tmp_path, statement)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: '{tmp_path}/{hidden}.py' hides symfer's package {hidden} ('{ROOT}/{hidden}'): rename it, or "
        'start from another folder'
    )


def test_a_package_of_the_user_that_hides_ours_is_named(tmp_path):
    (tmp_path / 'utils').mkdir()
    (tmp_path / 'utils' / '__init__.py').write_text('')
    done = run_beside(tmp_path, 'import utils\nfrom launch import test')
    assert f"ImportError: '{tmp_path}/utils/__init__.py' hides" in done.stderr


def test_a_folder_of_the_user_that_hides_ours_is_named(tmp_path):
    """An installed symfer is found by the last finder, so that even a folder without __init__.py comes first."""
    (tmp_path / 'utils').mkdir()
    finder = (
        'import importlib.util, sys\n'
        'class Finder:\n'
        '    def find_spec(name, path=None, target=None):\n'
        f'        return importlib.util.spec_from_file_location(name, {str(ROOT / "launch.py")!r}) '
        "if name == 'launch' else None\n"
        'sys.meta_path.append(Finder)\n'
        f'sys.path.remove({str(ROOT)!r})\n'
    )
    done = run_beside(tmp_path, finder + 'from launch import test')
    assert f"ImportError: '{tmp_path}/utils' hides" in done.stderr


def test_files_of_other_names_hide_nothing(tmp_path):
    (tmp_path / 'cnn').symlink_to(ROOT / 'cnn')  # ours by another path
    (tmp_path / 'utilities.py').write_text('')
    done = run_beside(tmp_path, 'import cnn, mlp\nfrom launch import test')
    assert done.stdout == 'fine\n', done.stderr


def test_arrows_point_down_only():
    """Imports follow docs/architecture.md."""
    allowed = {
        'launch': {'cnn', 'mlp', 'loaders', 'utils'},
        'cnn': {'cnn', 'mlp', 'utils'},
        'mlp': {'mlp', 'utils'},
        'loaders': {'loaders'},
        'utils': {'utils'},
    }
    for package, below in allowed.items():
        files = [ROOT / 'launch.py'] if package == 'launch' else set((ROOT / package).rglob('*.py')) - DOORS
        for file in files:
            found = set(re.findall(r'^\s*(?:from|import) (launch|cnn|mlp|loaders|utils)\b', file.read_text(), re.M))
            if ROOT / 'utils' / 'cli' in file.parents:  # a command imports its implementation when it runs
                found = set(re.findall(r'^(?:from|import) (launch|cnn|mlp|loaders|utils)\b', file.read_text(), re.M))
            assert found <= below, f'{file.name} imports {found - below}'


def test_only_the_backend_imports_jax():
    for package in PACKAGES:
        for file in (ROOT / package).rglob('*.py'):
            if ROOT / 'utils' / 'backend' not in file.parents:
                assert not re.search(r'^\s*(from|import) jax\b', file.read_text(), re.M), file.name


# From the top down; a folder of utils imports nothing that is listed before it.
FLOORS = (
    'cli',
    'studies',
    'service',
    'recognition',
    'export',
    'experiment',
    'record',
    'results',
    'training',
    'files',
    'backend',
    'ops',
)


def test_the_floors_of_utils_know_only_what_is_below_them():
    for k, floor in enumerate(FLOORS):
        for file in (ROOT / 'utils' / floor).rglob('*.py'):
            found = set(re.findall(r'^\s*(?:from|import) utils[. ](?:import )?(\w+)', file.read_text(), re.M))
            assert not found & set(FLOORS[:k]), f'{floor}/{file.name} imports {found & set(FLOORS[:k])}'


def test_settings_are_readable():
    with open(ROOT / 'pyproject.toml', 'rb') as file:
        assert 'slow' in tomllib.load(file)['tool']['pytest']['ini_options']['markers'][0]


def test_no_file_of_code_is_over_300_lines():
    files = subprocess.run(['git', 'ls-files', '*.py'], cwd=ROOT, capture_output=True, text=True).stdout.split()
    files = files or [
        path.relative_to(ROOT) for package in (*PACKAGES, 'tests') for path in ROOT.glob(f'{package}/**/*.py')
    ]
    long = {name: n for name in files if (n := len((ROOT / name).read_text(encoding='utf-8').splitlines())) > 300}
    assert len(files) > 200 and not long
