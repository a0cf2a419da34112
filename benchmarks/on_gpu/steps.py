"""The steps with their commands and time limits."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

PRECISIONS = ('float32', 'tf32', 'bf16')
MOST_WORKERS = 4  # each test process holds a part of the GPU's memory
OURS, ON_CPU = 'symfer, many steps a call', 'symfer'  # the forms in which experiments run
PEERS = ('torch eager channels_last', 'torch compiled channels_last')
OPS = ('tests/ops', 'tests/layers', 'tests/backend')
NETWORKS = ('tests/cnn/test_float64.py',)
SUITE = ('tests/cnn', 'tests/training', 'tests/experiment/test_launch.py', 'tests/experiment/test_resuming.py')
# For a rehearsal: a quick file of each.
FEW = {OPS: ('tests/ops/test_ops.py',), NETWORKS: NETWORKS, SUITE: ('tests/training/test_optimisers.py',)}


class Step(NamedTuple):
    """A command with its time limit in `seconds`; `figures` is the file that it writes to the folder of the report."""

    name: str
    what: str
    seconds: int
    command: list[str]
    figures: str


def tests(name, what, seconds, paths, rehearse, *options):
    """Step that runs a selection of the test suite in several processes."""
    workers = 1 if rehearse else max(1, min(MOST_WORKERS, os.cpu_count() or 1))
    spread = ['-n', str(workers), '--dist', 'worksteal'] if workers > 1 else ['-n', '0']
    plugin = ['-p', 'benchmarks.on_gpu.outcomes', '--outcomes', f'{{out}}/{name}.jsonl']
    paths = FEW[paths] if rehearse else paths
    command = ['-m', 'pytest', *paths, '-q', *plugin, *spread, *(() if rehearse else options)]
    return Step(name, what, seconds, command, f'{name}.jsonl')


def steps(data: Path | None = None, rehearse: bool = False) -> list[Step]:
    """All steps in order; ``{out}`` in a command stands for the folder of the report.

    Parameters
    ----------
    data : path, optional
        FER2013 in any layout. By default, drawn faces are used, and noise for set 4.
    rehearse : bool
        Use small sizes, for a machine without a GPU.
    """
    small = ['--width', '0.0625', '--epochs', '1'] if rehearse else []
    turns = ['--turns', '1', '--seconds', '0.1'] if rehearse else ['--turns', '3', '--seconds', '0.5']
    made = [*(['--data', str(data)] if data else []), *(['--small'] if rehearse else [])]
    module = 'benchmarks.on_gpu'
    return [
        Step(
            *('device', 'GPU, driver and libraries', 30),
            ['-m', f'{module}.device', '{out}/device.json', *(['--any'] if rehearse else [])],
            'device.json',
        ),
        tests('ops', 'every Op, layer and rewrite against references', 90, OPS, rehearse),
        tests(*('networks', 'every network against float64', 80, NETWORKS, rehearse), *('-m', 'slow or not slow')),
        Step(
            *('sets', 'data sets 2 and 4', 40),
            ['-m', f'{module}.sets', '{out}/sets', '{out}/sets.json', *made],
            'sets.json',
        ),
        Step(
            *('speed', 'steps of network A compared with PyTorch', 180),
            [
                *('-m', 'benchmarks.train', 'quick', *turns),
                *('--precisions', *(PRECISIONS[:1] if rehearse else PRECISIONS)),
                *('--engines', *([ON_CPU] if rehearse else [OURS, *PEERS]), '-o', '{out}/speed'),
            ],
            'speed/train.json',
        ),
        Step(
            *('precision', 'choice of the precision for training', 60),
            ['-m', f'{module}.training', 'precision', '{out}/sets/set2.h5', '{out}/precision.json', *small],
            'precision.json',
        ),
        Step(
            *('epoch', 'an epoch of network A on set 4, the largest set of the thesis', 50),
            [
                *('-m', f'{module}.training', 'epoch', '{out}/sets/set4.h5', '{out}/epoch.json'),
                *('--precision-of', '{out}/precision.json', *small),
            ],
            'epoch.json',
        ),
        tests('suite', 'the test suite in a short form', 70, SUITE, rehearse),
    ]


def environment(rehearse: bool = False) -> dict[str, str]:
    """Environment variables of the steps: processes share the GPU memory; a rehearsal uses the GPU form on a CPU."""
    found = {**os.environ, 'XLA_PYTHON_CLIENT_PREALLOCATE': 'false', 'PYTHONUNBUFFERED': '1'}
    if rehearse:
        return {**found, 'JAX_PLATFORMS': 'cpu', 'SYMFER_PLATFORM': 'gpu'}
    return {k: v for k, v in found.items() if k != 'SYMFER_PLATFORM'}


def arguments(step: Step, out: Path) -> list[str]:
    """Command line of a step."""
    return [sys.executable, *(part.replace('{out}', str(out)) for part in step.command)]
