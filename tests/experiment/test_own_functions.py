"""Optimisers, schedules and averages, including the user's own."""

from pathlib import Path

import numpy as np
import pytest
from small import MEANS, Interrupted, small

import launch
from utils.files import models


def test_optimiser_schedule_and_average_are_saved_and_kept(tiny_set):
    def stop(row):
        if row['stage'] == 'retrain':
            raise Interrupted

    with pytest.raises(Interrupted):
        small(tiny_set, savename='cut.h5', on_epoch=stop, **MEANS)
    state, config = models.load('cut.h5')
    assert {key: config['options'][key] for key in MEANS} == MEANS
    assert {path.split('/')[1].split('.')[0] for path in state['arrays'] if path.startswith('optimiser/')} == {
        'step',
        'mean',
        'square',
        'averaged',
        'trained',
    }
    with pytest.raises(ValueError, match="was trained with optimiser='adamw', not 'adam'"):
        launch.test(resume='cut.h5', optimiser='adam')
    with pytest.raises(ValueError, match='n_epochs=5 the schedule'):
        launch.test(resume='cut.h5', n_epochs=5, verbose=0)
    assert len(list(Path('cut').glob('run-*'))) == 1


def signs(gradients, parameters, rate, scale=1.0):
    """An optimiser whose steps are the signs of the gradient."""
    return {p: p - scale * rate * (gradients[name] > 0) for name, p in parameters.items()}, {}


def halves(epoch, n_epochs, figures):
    return 0.5**epoch


def test_an_optimiser_and_a_schedule_of_the_users_own(tiny_set):
    result = small(tiny_set, optimiser=signs, optimiser_args={'scale': 0.5}, schedule=halves)
    assert result.config['options']['optimiser'] == 'signs' and result.config['options']['schedule'] == 'halves'
    assert [row['rate'] for row in result.history[:2]] == [0.1, 0.05]
    with pytest.raises(ValueError, match='a function from a script as optimiser, signs: pass it as optimiser='):
        launch.test(resume='models/m.h5')
    again = launch.test(resume='models/m.h5', optimiser=signs, schedule=halves, verbose=0)
    assert again.test_error == result.test_error


@pytest.mark.parametrize(
    'options, message',
    [
        (
            {'optimiser': 'sdg'},
            'optimiser must be one of sgd, rmsprop, adam, adamw, muon or script.py:function.*mean sgd',
        ),
        ({'optimiser': None}, 'optimiser must be a function or one of sgd, .*, got None'),
        ({'optimiser': 'adam', 'momentum': 0.9}, "need optimiser 'sgd', got 'adam'"),
        (
            {'optimiser': 'adam', 'optimiser_args': {'beta': 0.9}},
            "does not take 'beta' of optimiser_args; it takes beta1",
        ),
        (
            {'optimiser_args': {'beta1': 0.9}},
            "optimiser 'sgd' does not take 'beta1' of optimiser_args; it takes nothing",
        ),
        ({'optimiser_args': 0.9}, 'optimiser_args must be a dict, got 0.9'),
        (
            {'optimiser': 'adam', 'optimiser_args': {'beta1': 1.0}},
            r'beta1 of an optimiser must be a number in \[0, 1\)',
        ),
        ({'schedule': 'cosin'}, 'did you mean cosine'),
        ({'schedule': 'step', 'schedule_args': {'patience': 2}}, "schedule 'step' does not take 'patience'"),
        ({'schedule': 'plateau', 'val': False}, "'plateau' needs the validation images: val must be True, got False"),
        ({'weight_decay': -1}, 'weight_decay must be a number >= 0, got -1'),
        ({'clip_norm': float('nan')}, 'clip_norm must be a number >= 0'),
        ({'ema_decay': 1}, r'ema_decay must be a number in \[0, 1\), got 1'),
        ({'label_smoothing': 1.0}, r'label_smoothing must be a number in \[0, 1\), got 1.0'),
    ],
)
def test_wrong_optimisers_and_schedules_are_refused(tiny_set, options, message):
    with pytest.raises(ValueError, match=message):
        small(tiny_set, **options)
    assert not Path('models/m').exists()


def test_the_former_name_of_ema_decay_is_taken_with_a_warning(tiny_set, capsys):
    with pytest.warns(FutureWarning, match='average is now ema_decay'):
        result = small(tiny_set, average=0.5)
    assert result.config['options']['ema_decay'] == 0.5
    path = Path(result.folder) / 'config.yaml'
    path.write_text(path.read_text().replace('ema_decay:', 'average:'))
    assert launch.read_config(path)['ema_decay'] == 0.5
    state, config = models.load(result.savename)
    config['options']['average'] = config['options'].pop('ema_decay')
    models.save('older.h5', state, config)
    assert launch.open_model('older.h5')[1]['options']['ema_decay'] == 0.5


@pytest.mark.parametrize(
    'options, message',
    [
        ({'schedule': lambda epoch, n_epochs, figures: 'x'}, "factors >= 0 on the learning rate, got 'x'"),
        ({'schedule': lambda epoch, n_epochs, figures: None}, 'factors >= 0 on the learning rate, got None'),
        ({'schedule': lambda epoch, n_epochs, figures: np.ones(3)}, 'factors >= 0 on the learning rate, got array'),
        ({'schedule': lambda epoch, n_epochs, figures: float('nan')}, 'factors >= 0 on the learning rate, got nan'),
        ({'optimiser': lambda g, p, rate: None}, r'must return \(updates, state\), .* got None'),
        ({'optimiser': lambda g, p, rate: ([], {})}, r'must return \(updates, state\)'),
        ({'optimiser': lambda g, p, rate: ({}, {})}, 'returns no update of .*fc.softmax.W'),
        ({'activation': lambda a: None}, 'must return an expression of 2 dimensions'),
        ({'activation': lambda a: a.sum()}, 'must return an expression of 2 dimensions'),
    ],
)
def test_functions_that_give_something_else_get_one_error(tiny_set, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        small(tiny_set, **options)
    assert not list(tmp_path.glob('models/*.h5'))
