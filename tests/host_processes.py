"""Several hosts as processes on this machine that communicate over loopback, for tests."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_port():
    """Return a port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Hosts:
    """A program, run by n processes.

    Parameters
    ----------
    n : int
    command : callable
        ``command(k, address)`` returns the command of host k.
    folder : path
        Folder for the output of the hosts, ``out-0``, ``out-1``, ...
    devices : int
        Number of devices of each host.
    """

    def __init__(self, n, command, folder, devices=1):
        self.folder, address = Path(folder), f'127.0.0.1:{free_port()}'
        flags = f'--xla_force_host_platform_device_count={devices}'
        environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': flags, 'PYTHONPATH': str(ROOT)}
        self.processes = []
        for k in range(n):
            with open(self.folder / f'out-{k}', 'wb') as out:
                words = [sys.executable, *command(k, address)]
                self.processes.append(
                    subprocess.Popen(words, cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=environment)
                )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def printed(self, k):
        """Return the output of host k."""
        return (self.folder / f'out-{k}').read_text(errors='replace')

    def until(self, condition, timeout=100):
        """Wait until a condition is true while all hosts run."""
        end = time.monotonic() + timeout
        while not condition():
            ended = [k for k, process in enumerate(self.processes) if process.poll() is not None]
            assert not ended, self.printed(ended[0])[-3000:]
            assert time.monotonic() < end, [self.printed(k)[-1000:] for k in range(len(self.processes))]
            time.sleep(0.05)

    def ended(self, timeout=500):
        """Wait for all hosts to end and return their exit statuses."""
        end = time.monotonic() + timeout
        return [process.wait(max(1, end - time.monotonic())) for process in self.processes]


def training(n, folder, *words, devices=1, own=None):
    """Return `Hosts` that run ``symfer train``; `own` has additional arguments of single hosts, by their numbers."""

    def command(k, address):
        hosts = ['--hosts', address, '--host-index', str(k), '--n-hosts', str(n)]
        return [str(ROOT / 'launch.py'), 'train', *hosts, *map(str, words), *map(str, (own or {}).get(k, ()))]

    return Hosts(n, command, folder, devices)
