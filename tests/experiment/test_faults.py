"""Errors in the user's network, full disks, costs that are not finite, two runs that write one model."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from fault_data import ROOT, small

import mlp
from loaders import DataError, build, load
from loaders.sets import hdf5
from utils.files import locks, models
from utils.training import reporter, trainer
from utils.training.settings import Settings


def python(code, **kwargs):
    return subprocess.Popen(
        [sys.executable, '-c', code],
        cwd=os.getcwd(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        **kwargs,
    )


def test_an_error_in_the_users_network_reaches_the_user_and_the_epochs_before_are_saved(tiny_set):
    class Bad(mlp.MLP):
        made = 0

        def __init__(self, *args, **kwargs):
            Bad.made += 1
            if Bad.made == 2:  # when stage retrain starts again
                raise ZeroDivisionError('mine')
            super().__init__(*args, **kwargs)

    with pytest.raises(ZeroDivisionError, match='mine'):
        small(tiny_set, network=Bad, save_every=100)
    state = models.load('models/m.h5')[0]
    assert (state['stage'], len(state['history'])) == ('retrain', 3)
    log = Path('models/m/run-001/log.txt').read_text()
    assert "ended by ZeroDivisionError after 0 epochs of stage retrain; resume with test(resume='models/m.h5')" in log


def test_nothing_is_written_where_no_epoch_was_over(tiny_set, monkeypatch):
    small(tiny_set, n_epochs=1, retrain=False)
    first = Path('models/m.h5').read_bytes()

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(trainer.Trainer, '_train_each', fail)
    with pytest.raises(ZeroDivisionError):
        small(tiny_set, seed=1)
    assert Path('models/m.h5').read_bytes() == first and not Path('models/m.1.h5').exists()


def test_a_full_disk_is_one_clear_error_and_the_file_before_stays(tiny_set, monkeypatch):
    original, seen = Path.write_bytes, []

    def write_bytes(self, content):
        if self.suffix == '.part' and '.m.h5.' in self.name:
            seen.append(self.name)
            if len(seen) > 2:
                original(self, bytes(content)[:1000])
                raise OSError(28, 'No space left on device')
        return original(self, content)

    monkeypatch.setattr(Path, 'write_bytes', write_bytes)
    with pytest.raises(
        OSError, match=r"^'models/m.h5' cannot be written \(No space left on device\); an existing file"
    ):
        small(tiny_set)
    assert len(models.load('models/m.h5')[0]['history']) == 2
    assert not list(Path('models').glob('.*.part'))


@pytest.mark.skipif(os.geteuid() == 0, reason='nothing is read-only for root')
def test_a_read_only_folder_is_told_before_training(tiny_set):
    Path('models').mkdir(mode=0o555)
    with pytest.raises(OSError, match="savename: the folder 'models' cannot be written"):
        small(tiny_set)


def divergent(data, reporter=None, **settings):
    make = lambda rng: mlp.MLP((12, 12), 3, n_hidden=[8], batch_norm=False, p_drop=0.0, rng=rng)  # noqa: E731
    return trainer.Trainer(
        make, data, Settings(**{'batch_size': 10, 'learning_rate': 1e30, **settings}), reporter=reporter
    )


def test_an_infinite_cost_ends_the_epoch_within_a_few_minibatches(tiny_set):
    class Report(reporter.NullReporter):
        n = 0

        def minibatch(self, count, cost):
            self.n += 1

    with load(tiny_set) as data:
        report = Report()
        with pytest.raises(
            FloatingPointError,
            match=r'not finite since minibatch (\d) of epoch 1 of stage train: try a '
            r'learning_rate below 1e\+30, or batch_norm=True',
        ):
            divergent(data, reporter=report).train(3)
        assert report.n < 10  # of 20


def test_infinite_parameters_and_validation_are_noticed_before_they_are_kept(tiny_set):
    with load(tiny_set) as data:
        trainer = divergent(data, learning_rate=0.1)
        trainer.train(1)
        good = trainer.last
        W = trainer.functions.parameters['fc.softmax.W']
        trainer._train_each = lambda subset, order: (
            W.set_value(np.full_like(W.get_value(), np.inf)),
            (np.ones((20, 2)), [10] * 20),
        )[1]
        trainer.stage = 'train'
        with pytest.raises(FloatingPointError, match='fc.softmax.W is not finite since minibatch 20 of epoch'):
            trainer._epoch(data.reduced_training, 0.1, 2)
        assert trainer.last is good


def test_a_second_run_on_a_model_gets_a_clear_error(tiny_set):
    process = python(
        "from utils.files import locks\nwith locks.try_model_lock('models/m.h5') as mine:\n"
        '    print(mine, flush=True)\n    input()',
        stdin=subprocess.PIPE,
    )
    assert process.stdout.readline() == 'True\n'
    try:
        with pytest.raises(
            BlockingIOError, match=rf"'models/m.h5' is being written by another run \(process {process.pid} on"
        ):
            small(tiny_set)
    finally:
        process.communicate('\n')
    assert not list(Path('models').glob('*.h5'))


def test_claims_of_one_thread_are_nested_and_those_of_two_exclude_each_other():
    with locks.try_model_lock('m.h5') as mine, locks.try_model_lock('m.h5') as again:
        assert mine and again
        seen = []

        def other():
            with locks.try_model_lock('m.h5') as theirs:
                seen.append(theirs)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen == [False]


def test_what_killed_runs_left_of_a_model_is_cleared():
    Path('.m.h5.abc.part').touch()
    Path('.mm.h5.abc.part').touch()
    with locks.model_lock('m.h5'):
        pass
    assert [p.name for p in Path('.').glob('*.part')] == ['.mm.h5.abc.part']


def test_a_set_that_is_being_made_is_made_once(tiny_originals):
    with hdf5.new_file('set2.h5') as file:
        file['x'] = 1
        with pytest.raises(DataError, match='set2.h5: another process is making this data set'):
            build(tiny_originals, (2,), '.', info=lambda line: None)
    assert not list(Path('.').glob('.*'))
    Path('.set2.h5.tmp').write_bytes(b'left by a process that was killed' * 100_000)
    (path,) = build(tiny_originals, (2,), '.', info=lambda line: None)
    load(path).close()
    assert not list(Path('.').glob('.*'))


def test_two_processes_that_make_one_set_leave_a_whole_one(tiny_originals, tmp_path):
    code = (
        'import numpy as np, sys, loaders\nrng = np.random.default_rng(0)\nn = 3000\nimages = rng.integers(0, 255, '
        "(n, 12, 12), np.uint8)\no = loaders.Originals(images, (np.arange(n) % 3).astype('u1'), (np.arange(n) % 4 == 3)"
        ".astype('u1'), np.arange(n, dtype='i4'), ('a', 'b', 'c'))\nprint(flush=True)\ninput()\n"
        "try:\n    loaders.build(o, (2, 4), '.', info=lambda line: None)\nexcept loaders.DataError as e:\n"
        '    print(e)\n    sys.exit(2)'
    )
    processes = [python(code, stdin=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write('\n')
        process.stdin.flush()
    outs = [process.communicate(timeout=60)[0] for process in processes]
    assert 0 in [process.returncode for process in processes]
    for process, out in zip(processes, outs):
        assert process.returncode == 0 or 'another process is making this data set' in out, out
    for name in ('set2.h5', 'set4.h5'):
        with load(name) as data:
            assert data.verify()
