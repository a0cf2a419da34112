"""Only the launcher makes process-wide settings, and they can be turned off."""

import os
import platform
import subprocess
import sys

import pytest


def say(code, **environment):
    ours = {
        key: value
        for key, value in os.environ.items()
        if key not in ('JAX_COMPILATION_CACHE_DIR', 'SYMFER_CACHE', 'SYMFER_MALLOC')
    }
    return subprocess.run(
        [sys.executable, '-c', code], env={**ours, **environment}, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='malloc of glibc')
def test_malloc_takes_the_settings_unless_told_not_to():
    code = 'from utils.process import tune_malloc; print(tune_malloc())'
    assert say(code) == 'True'
    assert say(code, SYMFER_MALLOC='0') == 'False'


def test_other_systems_are_left_alone(monkeypatch):
    from utils import process

    monkeypatch.delenv('SYMFER_MALLOC', raising=False)
    monkeypatch.setattr(process.sys, 'platform', 'darwin')
    assert process.tune_malloc() is False


def test_the_launcher_makes_them_before_jax_is_loaded():
    code = (
        'import sys; from utils import process\n'
        'process.tune_malloc = process.keep_compiled = lambda: print("jax" in sys.modules)\n'
        'import launch'
    )
    assert say(code).split() == ['False', 'False']


FOLDER = 'from utils.process import keep_compiled; print(keep_compiled())'


def test_compiled_functions_are_kept_in_the_cache_folder(tmp_path):
    environment = {'XDG_CACHE_HOME': str(tmp_path), 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
    folder = say(FOLDER, **environment)
    assert folder.startswith(str(tmp_path / 'symfer'))
    code = (
        FOLDER + '; import numpy as np, pytensor, pytensor.tensor as pt; from utils import backend\n'
        'x = pt.matrix("x", dtype="float32")\n'
        'f = backend.function([x], pt.tanh(pt.dot(x, x)))\n'
        'print(np.asarray(f(np.arange(9, dtype="float32").reshape(3, 3) / 9)).tobytes().hex())'
    )
    first = say(code, **environment)
    kept = {path.name for path in tmp_path.rglob('*') if path.is_file()}
    assert kept
    assert say(code, **environment) == first  # bit-identical from the cached code
    assert {path.name for path in tmp_path.rglob('*-cache')} == {name for name in kept if name.endswith('-cache')}


def test_the_cache_can_be_turned_off_and_need_not_be_writable(tmp_path):
    assert say(FOLDER, SYMFER_CACHE='0') == 'None'
    blocked = tmp_path / 'file'
    blocked.write_text('')
    assert say(FOLDER, XDG_CACHE_HOME=str(blocked)) == 'None'
