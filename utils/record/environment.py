"""The environment of a run: versions, device, code revision."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from utils import __version__, backend


def _git(*arguments):
    try:
        done = subprocess.run(
            ['git', '-C', str(Path(__file__).parent), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment(devices: int = 1) -> dict[str, Any]:
    """Describe what a run on this number of devices depends on, other than its arguments.

    Returns
    -------
    dict
        Versions, device, system, process and code revision.
    """
    revision = _git('rev-parse', 'HEAD')
    if revision and _git('status', '--porcelain', '--untracked-files=no'):
        revision += ' with changes'
    driver = Path('/proc/driver/nvidia/version')
    versions = {name: importlib.metadata.version(name) for name in ('pytensor', 'jax', 'jaxlib', 'numpy')}
    return {
        'symfer': __version__,
        'python': platform.python_version(),
        **versions,
        'device': backend.device_name(),
        'devices': devices,
        'driver': driver.read_text().splitlines()[0] if driver.is_file() else None,
        'system': platform.platform(),
        'cpus': os.cpu_count(),
        'host': socket.gethostname(),
        'pid': os.getpid(),
        'command': sys.argv,
        'folder': os.getcwd(),
        'git': revision,
    }
