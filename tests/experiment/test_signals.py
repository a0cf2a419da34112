"""SIGTERM, Ctrl-C and the user's own handlers."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fault_data import small

import launch
from utils.experiment import signals
from utils.files import models
from utils.training import trainer


def arrays(path):
    return models.load(path)[0]['arrays']


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


def test_sigterm_during_the_test_says_that_training_is_over_and_the_test_is_repeated(tiny_set, monkeypatch):
    def test(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

    with monkeypatch.context() as patch, pytest.raises(signals.Terminated):
        patch.setattr(trainer.Trainer, 'test', test)
        small(tiny_set)
    log = Path('models/m/run-001/log.txt').read_text()
    assert "terminated after training; resume with test(resume='models/m.h5')" in log
    assert launch.test(resume='models/m.h5', verbose=0).errors


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
    assert len(calls) == 1  # the second signal had no effect: the state was already written
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
