"""Run a sweep on two Ray nodes and kill one of them: every trial must finish exactly once.

``python benchmarks/ray_nodes.py`` starts both nodes on this machine, with one core each, and a sweep on drawn faces. It
kills the second node once both have saved an epoch. Needs ``pip install -e ".[ray]"``. The exit status is 1 if a trial
is missing.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from utils.record import table  # noqa: E402

ENVIRONMENT = {**os.environ, 'RAY_USAGE_STATS_ENABLED': '0', 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return int(s.getsockname()[1])


def node(folder: Path, name: str, *words: str) -> subprocess.Popen:
    """Start a Ray node with one core in a separate process."""
    command = [str(Path(sys.executable).parent / 'ray'), 'start', *words, '--block', '--num-cpus=1']
    command += ['--object-store-memory=100000000', '--disable-usage-stats']
    with open(folder / f'{name}.txt', 'wb') as out:
        return subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=ENVIRONMENT, start_new_session=True
        )


def rows(folder: Path) -> list[dict[str, str]]:
    path = folder / 'models' / 'experiments.csv'
    return table.read_table(path) if path.exists() else []


def saving(folder: Path) -> list[dict[str, str]]:
    """Rows of running trials that have saved an epoch."""
    return [
        row
        for row in rows(folder)
        if row['status'] == 'running' and (folder / f'{Path(row["run"]).parent}.h5').exists()
    ]


def sweep(folder: Path, address: str, epochs: int) -> subprocess.Popen:
    words = ['sweep', 'learning_rate=0.05,0.1', '--seeds', '0', '1', '--network', 'MLP', '--n_hidden', '32']
    words += ['--n_epochs', str(epochs), '--anneal_epochs', '1', '--batch_size', '50', '--no-report']
    words += ['--workers', 'ray', '--address', address, '--savename', 'models/s.h5']
    with open(folder / 'sweep.txt', 'wb') as out:
        return subprocess.Popen(
            [sys.executable, '-u', str(ROOT / 'launch.py'), *words],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--epochs', type=int, default=300, help='epochs of each trial, long enough to be interrupted')
    parser.add_argument('--seconds', type=int, default=600, help='time limit')
    options = parser.parse_args()
    end, killed, running = time.monotonic() + options.seconds, 0.0, []
    with tempfile.TemporaryDirectory(prefix='symfer-ray-') as name:
        folder, address = Path(name), f'127.0.0.1:{free_port()}'
        port = address.rpartition(':')[2]
        nodes = [node(folder, 'head', '--head', f'--port={port}', '--include-dashboard=false', f'--temp-dir={name}/r')]
        try:
            time.sleep(10)
            nodes.append(node(folder, 'second', f'--address={address}'))
            time.sleep(8)
            start = time.monotonic()
            work = sweep(folder, address, options.epochs)
            while work.poll() is None and time.monotonic() < end:
                if not killed and len(saving(folder)) == 2:
                    running, killed = saving(folder), time.monotonic() - start
                    os.killpg(nodes[1].pid, signal.SIGKILL)
                time.sleep(0.2)
            seconds = time.monotonic() - start
            if work.poll() is None:
                work.kill()
            print((folder / 'sweep.txt').read_text(errors='replace'))
            for row in rows(folder):
                print(f'{row["run"]}: {row["status"]}, {row["seconds"] or "-"} s')
            finished = {Path(row['run']).parent for row in rows(folder) if row['status'] == 'finished'}
            work_then = f'{len(running)} trials were running; sweep ended after {seconds:.0f} s'
            print(f'second node killed after {killed:.0f} s, {work_then}')
            whole = bool(killed) and work.returncode == 0 and len(finished) == 4
            return 0 if whole else 1
        finally:
            for one in nodes:
                one.terminate()
            for one in nodes:
                try:
                    one.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(one.pid, signal.SIGKILL)


if __name__ == '__main__':
    sys.exit(main())
