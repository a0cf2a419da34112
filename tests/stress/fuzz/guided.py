"""Mutations chosen by atheris by the lines that they reach."""

# ruff: noqa: E402
import importlib
import os
import sys
import tempfile
from pathlib import Path

from tests.stress.fuzz.kinds import Csv, ModelPickle
from tests.stress.fuzz.runs import WAIT, Watch


def coverage(kind, n_files, seed):
    """Run atheris's own mutations, guided by the lines of the reader that they reach. Ends the process."""
    import atheris

    with atheris.instrument_imports(include=['utils.files', 'loaders']):
        for name in list(sys.modules):
            if name.startswith('utils.files') or name.partition('.')[0] == 'loaders':
                del sys.modules[name]
        fresh, fresh_models = importlib.import_module('loaders'), importlib.import_module('utils.files.models')
    folder = Path(tempfile.mkdtemp(dir='/dev/shm' if os.path.isdir('/dev/shm') else None))
    seeds = folder / 'seeds'
    seeds.mkdir()
    case = {'csv': Csv, 'pkl': ModelPickle}[kind](folder)
    for k, content in enumerate(case.seeds):
        (seeds / str(k)).write_bytes(content)
    errors = fresh.DataError if kind == 'csv' else fresh_models.ModelError
    watch = Watch()

    def one(data):
        case.path.write_bytes(data)
        watch.on = True
        try:
            if kind == 'csv':
                fresh.read(case.path, size=(8, 8), skip_bad=len(data) % 2 == 0)
            else:
                fresh_models.load(case.path)
        except errors:
            pass
        finally:
            watch.on = False
        if watch.seen:
            raise RuntimeError(f'reached out: {watch.seen[:3]}')

    atheris.Setup(
        [
            sys.argv[0],
            f'-atheris_runs={n_files}',
            f'-seed={seed + 1}',
            f'-timeout={WAIT}',
            '-rss_limit_mb=1500',
            '-max_len=40000',
            '-print_final_stats=1',
            f'-artifact_prefix={folder}/',
            str(seeds),
        ],
        one,
    )
    atheris.Fuzz()
