"""Experiments that are interrupted, resumed, given more epochs."""

from pathlib import Path

import pytest
from small import MEANS, Interrupted, lines_without_times, same_models, small

import launch
import loaders
import mlp
from utils.experiment.console import Console
from utils.files import models


@pytest.mark.parametrize(
    'suffix, error, after',
    [
        pytest.param(suffix, error, after, marks=[pytest.mark.slow] * (suffix != ('.pkl' if k == 1 else '.h5')))
        for k, after in enumerate((1, 3, 5))
        for suffix, error in zip(('.h5', '.pkl'), (KeyboardInterrupt, Interrupted)[:: -1 if k % 2 else 1])
    ],
)
def test_an_interrupted_experiment_goes_on_exactly(tiny_set, suffix, error, after):
    options = dict(n_epochs=3, anneal_epochs=2, momentum=0.9, learning_rate=0.02, save_every=100)
    if suffix == '.h5':
        options = {**MEANS, 'anneal_epochs': 2, 'save_every': 100}
    whole = small(tiny_set, savename=f'whole{suffix}', **options)
    assert len(whole.history) > after
    epochs = []

    def stop(row):
        epochs.append(row)
        if len(epochs) == after:
            raise error

    with pytest.raises(error):
        small(tiny_set, savename=f'cut{suffix}', on_epoch=stop, **options)
    assert len(models.load(f'cut{suffix}')[0]['history']) == after
    resumed = launch.test(resume=f'cut{suffix}', verbose=0)
    assert same_models(f'whole{suffix}', f'cut{suffix}')
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert resumed.errors == whole.errors


def test_an_error_in_the_middle_of_an_epoch_loses_that_epoch_only(tiny_set, monkeypatch):
    whole = small(tiny_set, savename='whole.h5', n_epochs=3)
    calls = []
    original = Console.minibatch

    def minibatch(self, *args):
        calls.append(1)
        if len(calls) == 6:  # the second minibatch of the second epoch
            raise KeyboardInterrupt
        original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Console, 'minibatch', minibatch)
        with pytest.raises(KeyboardInterrupt):
            small(tiny_set, savename='cut.h5', n_epochs=3)
    assert len(models.load('cut.h5')[0]['history']) == 1
    launch.test(resume='cut.h5', dataset=tiny_set, verbose=0)
    assert same_models('whole.h5', 'cut.h5')
    assert whole.epoch


def test_a_finished_experiment_is_given_more_epochs(tiny_set):
    small(tiny_set, savename='long.h5', n_epochs=4)
    small(tiny_set, savename='short.h5', n_epochs=2)
    launch.test(resume='short.h5', n_epochs=4, savename='longer.h5', verbose=0)
    assert same_models('long.h5', 'longer.h5')
    assert len([r for r in models.load('short.h5')[0]['history'] if r['stage'] == 'train']) == 2
    launch.test(resume='long.h5', savename='copy.h5', verbose=0)
    assert same_models('long.h5', 'copy.h5')


@pytest.mark.parametrize(
    'stop_after, changes, message',
    [
        (2, {'n_epochs': 1}, 'n_epochs must be at least 2, the number of completed epochs, got 1'),
        (None, {'n_epochs': 2}, 'n_epochs must be at least 3, the number of completed epochs, got 2'),
        (None, {'anneal_epochs': 1}, 'anneal_epochs must be at least 2, the number of completed epochs, got 1'),
        (None, {'n_epochs': 1, 'anneal_epochs': 0}, 'n_epochs must be at least 3'),
    ],
)
def test_fewer_epochs_than_are_done_are_refused_on_resuming(tiny_set, stop_after, changes, message):
    def stop(row):
        if (row['stage'], row['epoch']) == ('train', stop_after):
            raise Interrupted

    try:
        small(tiny_set, n_epochs=3, anneal_epochs=2, on_epoch=stop)
    except Interrupted:
        pass
    before, runs = Path('models/m.h5').read_bytes(), len(list(Path('models/m').iterdir()))
    with pytest.raises(ValueError, match=message):
        launch.test(resume='models/m.h5', verbose=0, **changes)
    assert Path('models/m.h5').read_bytes() == before and len(list(Path('models/m').iterdir())) == runs


def test_a_model_that_says_fewer_epochs_than_it_had_goes_on_and_says_what_is_true(tiny_set):
    small(tiny_set, n_epochs=3)
    state, config = models.load('models/m.h5')
    models.save('models/m.h5', state, {**config, 'options': {**config['options'], 'n_epochs': 1, 'anneal_epochs': 0}})
    assert launch.test(resume='models/m.h5', verbose=0).config['options']['n_epochs'] == 3
    again = launch.test(resume='models/m.h5', anneal_epochs=2, verbose=0)
    assert [row['stage'] for row in again.history].count('train') == 3
    assert models.load('models/m.h5')[1]['options']['n_epochs'] == 3


def test_more_epochs_of_stage_train_may_come_with_fewer_of_stage_anneal(tiny_set):
    small(tiny_set, savename='long.h5', n_epochs=3, anneal_epochs=1)
    small(tiny_set, n_epochs=2, anneal_epochs=2)
    launch.test(resume='models/m.h5', n_epochs=3, anneal_epochs=1, verbose=0)
    assert same_models('long.h5', 'models/m.h5')


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'learning_rate': 0.5}, 'trained with learning_rate=0.1, not 0.5'),
        ({'network': 'A'}, "trained with network='MLP', not 'A'"),
        ({'n_hidden': [9], 'seed': 3}, r'n_hidden=\[8\], not \[9\]; seed=0, not 3'),
    ],
)
def test_what_decides_the_result_cannot_be_changed_on_resuming(tiny_set, changes, message):
    small(tiny_set)
    with pytest.raises(ValueError, match=message):
        launch.test(resume='models/m.h5', **changes)


def test_resuming_another_architecture_lists_the_names(tiny_set):
    class MLP(mlp.MLP):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.body = self.fc
            del self.fc

        def __call__(self, x, phase):
            return self.body(x, phase)

    small(tiny_set)
    before = Path('models/m.h5').read_bytes()
    with pytest.raises(
        ValueError, match='missing: parameters/body.hidden0.W, .*; unexpected: .*parameters/fc.hidden0.W'
    ):
        launch.test(resume='models/m.h5', network=MLP, verbose=0)
    assert Path('models/m.h5').read_bytes() == before


def test_resuming_on_another_data_set_is_refused(tiny_set, tiny_originals, tmp_path):
    small(tiny_set)
    tiny_originals.images[0, 0, 0] ^= 1
    (other,) = loaders.build(tiny_originals, sets=(2,), out=tmp_path / 'other', validation=30, info=lambda *line: None)
    tiny_originals.images[0, 0, 0] ^= 1
    with pytest.raises(ValueError, match='was trained on another data set'):
        launch.test(resume='models/m.h5', dataset=other, verbose=0)


def test_a_model_that_was_there_is_kept_under_a_number(tiny_set, capsys):
    small(tiny_set)
    first = Path('models/m.h5').read_bytes()
    small(tiny_set, seed=1, verbose=1)
    assert Path('models/m.1.h5').read_bytes() == first
    assert "'models/m.h5' already existed; it was renamed to 'models/m.1.h5'" in capsys.readouterr().out
