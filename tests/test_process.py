"""Process-wide settings are made by the launcher only, and can be turned off."""
import os
import platform
import subprocess
import sys

import pytest


def say(code, **environment):
    return subprocess.run([sys.executable, '-c', code], env={**os.environ, **environment}, capture_output=True,
                          text=True, check=True).stdout.strip()


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
    code = ('import sys; from utils import process\n'
            'process.tune_malloc = lambda: print("jax" in sys.modules)\n'
            'import launch')
    assert say(code) == 'False'
