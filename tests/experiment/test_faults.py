"""What ends a run from outside, and what is left of it: signals, errors, a full disk, another run, used-up memory."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

import launch
import mlp
from loaders import DataError, build, load
from loaders.sets import hdf5
from utils.experiment import memory, signals
from utils.files import locks, models
from utils.training import engine, reporter, trainer
from utils.training.functions import Functions
from utils.training.settings import Settings

ROOT = Path(__file__).parents[2]
SMALL = dict(
    network=mlp.MLP,
    n_hidden=[8],
    batch_size=50,
    statistics_images=50,
    anneal_epochs=1,
    n_epochs=3,
    verbose=0,
    report=False,
    savename='models/m.h5',
)


def small(tiny_set, **options):
    return launch.test(**{**SMALL, 'dataset': tiny_set, **options})


def arrays(path):
    return models.load(path)[0]['arrays']


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


# ---------------------------------------------------------------------------------------- signals


def test_sigterm_saves_the_last_epoch_and_ends_with_143_and_the_run_goes_on_exactly(tiny_set):
    small(tiny_set, savename='whole.h5', n_epochs=2)
    before = [signal.getsignal(number) for number in signals.NUMBERS]
    with pytest.raises(signals.Terminated) as stop:
        small(tiny_set, n_epochs=2, save_every=100, on_epoch=lambda row: os.kill(os.getpid(), signal.SIGTERM))
    assert stop.value.code == 143
    assert [signal.getsignal(number) for number in signals.NUMBERS] == before
    assert len(models.load('models/m.h5')[0]['history']) == 1
    assert json.loads(Path('models/m/run-001/result.json').read_text())['status'] == 'interrupted'
    launch.test(resume='models/m.h5', verbose=0)
    assert all(np.array_equal(value, arrays('models/m.h5')[name]) for name, value in arrays('whole.h5').items())


def test_ctrl_c_again_while_saving_leaves_a_whole_file(tiny_set, monkeypatch):
    original, calls = models.save, []

    def save(*args):
        calls.append(1)
        os.kill(os.getpid(), signal.SIGINT)
        original(*args)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(models, 'save', save)
    with pytest.raises(KeyboardInterrupt):
        small(tiny_set)
    assert len(calls) == 1  # the second signal changed nothing, the state was written already
    assert len(models.load('models/m.h5')[0]['history']) == 1
    assert not list(Path('models').glob('.*.part'))


def test_a_signal_waits_while_something_is_saved():
    stops, seen = signals.SignalHandler(), []
    with pytest.raises(signals.Terminated), stops:
        with stops.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            seen.append('saved')
        seen.append('not reached')
    assert seen == ['saved']


def test_a_signal_whose_exception_is_swallowed_is_raised_again():
    stops = signals.SignalHandler()
    with pytest.raises(KeyboardInterrupt), stops:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        except KeyboardInterrupt:
            pass
        stops.check()


def test_only_the_third_signal_breaks_off_the_saving_at_the_end(capfd):
    stops = signals.SignalHandler()
    with pytest.raises(KeyboardInterrupt), stops:
        stops.end()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        assert capfd.readouterr().err.count('one moment') == 2
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


def test_handlers_of_the_user_and_other_threads_are_left_alone():
    mine = lambda *_: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with signals.SignalHandler():
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(signals.SignalHandler().__enter__().before))
    thread.start()
    thread.join()
    assert seen == [{}]


# ----------------------------------------------------------------------------------------- errors


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
    assert (
        "ended by ZeroDivisionError in stage retrain after 0 epochs of it; go on with test(resume='models/m.h5')" in log
    )


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
        OSError, match=r"^'models/m.h5' cannot be written \(No space left on device\); what was there stays"
    ):
        small(tiny_set)
    assert len(models.load('models/m.h5')[0]['history']) == 2
    assert not list(Path('models').glob('.*.part'))


@pytest.mark.skipif(os.geteuid() == 0, reason='nothing is read-only for root')
def test_a_read_only_folder_is_told_before_training(tiny_set):
    Path('models').mkdir(mode=0o555)
    with pytest.raises(OSError, match="savename: the folder 'models' cannot be written"):
        small(tiny_set)


# --------------------------------------------------------------------------------------- divergence


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


# -------------------------------------------------------------------------------------- two at once


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
            build(tiny_originals, (2,), '.', log=lambda line: None)
    assert not list(Path('.').glob('.*'))
    Path('.set2.h5.tmp').write_bytes(b'left by a process that was killed' * 100_000)
    (path,) = build(tiny_originals, (2,), '.', log=lambda line: None)
    load(path).close()
    assert not list(Path('.').glob('.*'))


def test_two_processes_that_make_one_set_leave_a_whole_one(tiny_originals, tmp_path):
    code = (
        'import numpy as np, sys, loaders\nrng = np.random.default_rng(0)\nn = 3000\nimages = rng.integers(0, 255, '
        "(n, 12, 12), np.uint8)\no = loaders.Originals(images, (np.arange(n) % 3).astype('u1'), (np.arange(n) % 4 == 3)"
        ".astype('u1'), np.arange(n, dtype='i4'), ('a', 'b', 'c'))\nprint(flush=True)\ninput()\n"
        "try:\n    loaders.build(o, (2, 4), '.', log=lambda line: None)\nexcept loaders.DataError as e:\n"
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


# ------------------------------------------------------------------------------------------ memory


class JaxRuntimeError(RuntimeError):
    pass


@pytest.mark.parametrize(
    'error', [JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nx'), MemoryError()]
)
def test_used_up_memory_is_told_with_what_needs_less(error):
    with pytest.raises(
        MemoryError,
        match=r'the memory of NVIDIA H200 is used up: pass trainShared=False, .* or a batch_size '
        'below 100',
    ) as told:
        with (
            memory.explain_out_of_memory('NVIDIA H200', 100, True),
            memory.explain_out_of_memory('NVIDIA H200', 100, True),
        ):
            raise error
    assert told.value.__cause__ is error
    with pytest.raises(MemoryError, match='^the memory of cpu is used up: pass a batch_size below 7'):
        with memory.explain_out_of_memory('cpu', 7, False):
            raise error


def test_used_up_memory_of_a_saved_model_asks_for_a_smaller_minibatch(tiny_set, monkeypatch):
    launch.test(**{**SMALL, 'n_epochs': 1}, dataset=tiny_set)

    def used_up(functions):
        raise JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory')

    monkeypatch.setattr(Functions, 'test', property(used_up))
    for use in (
        lambda: launch.predict('models/m.h5', np.zeros((40, 12, 12), np.uint8)),
        lambda: launch.evaluate('models/m.h5', tiny_set, batch_size=40, say=print),
    ):
        with pytest.raises(MemoryError, match=r'is used up: pass a batch_size below 40 \(RESOURCE'):
            use()


def test_other_errors_are_left_as_they_are():
    for error in (JaxRuntimeError('INVALID_ARGUMENT: x'), ValueError('out of memory')):
        with pytest.raises(type(error), match=str(error)), memory.explain_out_of_memory('cpu', 7, True):
            raise error


def test_an_experiment_leaves_nothing_on_the_device(tiny_set, monkeypatch):
    import jax

    made = []
    original = engine.Functions.__init__

    def init(self, *args, **kwargs):
        made.append(weakref.ref(self))
        original(self, *args, **kwargs)

    monkeypatch.setattr(engine.Functions, '__init__', init)
    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays())
    result = small(tiny_set, n_epochs=1)
    with pytest.raises(ZeroDivisionError):
        small(tiny_set, n_epochs=1, savename='failed.h5', on_epoch=lambda row: 1 / 0)
    gc.collect()
    assert sum(array.nbytes for array in jax.live_arrays()) <= before
    assert len(made) == 2 and made[0]() is None
    assert result.test_error is not None


@pytest.mark.slow
def test_a_set_larger_than_memory_trains_from_its_file():
    sys.path.insert(0, str(ROOT))
    from benchmarks import memory

    out = memory.larger_than_memory(300_000, 400, say=lambda line: None)
    assert out[False].startswith('trained')
    assert 'pass trainShared=False' in out[True]


@pytest.mark.slow
def test_memory_is_flat_over_many_epochs():
    sys.path.insert(0, str(ROOT))
    from benchmarks import memory

    seen = memory.long_run(400, 20, say=lambda line: None)
    assert seen[-1][1] - seen[len(seen) // 4][1] < 20
