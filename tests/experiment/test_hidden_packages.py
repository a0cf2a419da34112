"""A file of the user's that bears the name of one of symfer's packages."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_script(folder, text):
    (folder / 'mine.py').write_text(text)
    return subprocess.run([sys.executable, 'mine.py'], cwd=folder, env={**os.environ, 'PYTHONPATH': str(ROOT)},
                          capture_output=True, text=True)


@pytest.mark.parametrize('name', ['utils', 'cnn', 'mlp', 'loaders'])
@pytest.mark.parametrize('package', [False, True])
def test_a_file_that_hides_a_package_is_named(tmp_path, name, package):
    file = tmp_path / (f'{name}/__init__.py' if package else f'{name}.py')
    file.parent.mkdir(exist_ok=True)
    file.write_text('x = 1\n')
    done = run_script(tmp_path, 'from launch import test')
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith(f"ImportError: symfer needs its own package '{name}'")
    assert str(file) in last and 'rename that' in last


def test_a_folder_of_that_name_without_python_files_hides_nothing(tmp_path):
    (tmp_path / 'loaders').mkdir()
    done = run_script(tmp_path, 'from launch import test; print(test.__name__)')
    assert done.stdout == 'test\n', done.stderr
