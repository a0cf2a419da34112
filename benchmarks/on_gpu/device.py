"""Identify the device, the driver and the libraries: ``python -m benchmarks.on_gpu.device FILE``."""

import argparse
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ASKED = 'name,driver_version,memory.total,power.limit'
PACKAGES = ('jax', 'jaxlib', 'pytensor', 'numpy', 'nvidia-cudnn-cu12', 'nvidia-cudnn-cu13', 'torch')


def versions() -> dict[str, str]:
    """Versions of the installed packages, by name."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def driver() -> str:
    """A line of nvidia-smi; '' if it is not available."""
    command = ['nvidia-smi', f'--query-gpu={ASKED}', '--format=csv,noheader']
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ''


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('file', type=Path)
    parser.add_argument('--any', action='store_true', help='accept a CPU')
    args = parser.parse_args(arguments)
    import jax

    from utils import backend

    devices = [d.device_kind for d in jax.devices()]
    found = {'device': backend.device_name(), 'devices': devices, 'nvidia-smi': driver(), 'versions': versions()}
    args.file.write_text(json.dumps(found, indent=1), encoding='utf-8')
    print(json.dumps(found, indent=1))
    if jax.default_backend() == 'cpu' and not args.any:
        return (
            'JAX finds no GPU: expected an NVIDIA driver (nvidia-smi) and pip install -e ".[cuda12,test]"; '
            'without a GPU use --rehearse'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
