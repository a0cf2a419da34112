"""An experiment on one fold of a set: its training and test images, its other arguments, resuming."""

import json
from pathlib import Path

import numpy as np
import pytest
from people_data import people_set, with_people  # noqa: F401
from small import MEANS, Interrupted, lines_without_times, same_models, small

import launch
import loaders
from utils.files import models
from utils.record.reading import read_run
from utils.results.predictions import read_logits


def test_it_trains_without_the_people_of_the_fold_and_tests_on_them(people_set):  # noqa: F811
    result = small(people_set, fold=(2, 4))
    with loaders.load(people_set) as data, loaders.Fold(data, 2, 4) as fold:
        answers = read_logits(result.folder)
        np.testing.assert_array_equal(answers['source'], fold.test.source)
        np.testing.assert_array_equal(answers['y'], fold.test.y)
        assert result.errors['plain']['whole']['images'] == len(fold.test)
        n = {row['stage']: row['images'] for row in result.history}
        assert n == {'train': len(fold.reduced_training), 'retrain': len(fold.training), 'anneal': len(fold.training)}
        wrong = answers['special'].argmax(axis=1) != fold.test.y
        assert result.special_test_error == pytest.approx(100 * wrong.mean())
        clean = ~fold.test.duplicate
        assert result.errors['plain']['whole']['images_without_duplicates'] == clean.sum()
    run = read_run(result.folder)
    assert run['config']['fold'] == [2, 4] and run['run']['data_name'] == 'set 2 fold 2/4'
    assert not run['run']['is_fer2013'] and 'fold 2/4' in run['run']['name']
    with pytest.raises(ValueError, match=r'trained with fold=\[2, 4\], not \[1, 4\]'):
        launch.test(resume=result.savename, fold=(1, 4), verbose=0)


@pytest.mark.parametrize(
    'options',
    (
        {},
        {'val': False, 'balance': 'sampling'},
        pytest.param({'loss': 'l2svm', 'balance': 'weights'}, marks=pytest.mark.slow),
        pytest.param(
            {**MEANS, 'n_epochs': 2, 'augment': {'mirror': 0.5, 'mixup': 0.4, 'crop': [10, 10]}}, marks=pytest.mark.slow
        ),
    ),
)
def test_streamed_it_is_the_same_to_the_bit_and_so_is_one_that_was_broken_off(people_set, options):  # noqa: F811
    whole = small(people_set, fold='1/3', savename='whole.h5', **options)
    streamed = small(people_set, fold=[1, 3], savename='streamed.h5', trainShared=False, **options)
    assert same_models('whole.h5', 'streamed.h5') and streamed.errors == whole.errors
    epochs = []

    def stop(row):
        epochs.append(row)
        if len(epochs) == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        small(people_set, fold=(1, 3), savename='cut.h5', on_epoch=stop, **options)
    resumed = launch.test(resume='cut.h5', verbose=0)
    assert same_models('whole.h5', 'cut.h5') and resumed.errors == whole.errors
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)


@pytest.mark.slow
def test_a_set_without_views_is_tested_on_those_of_the_augmentation(tiny_originals, tmp_path):
    (path,) = loaders.build(with_people(tiny_originals), (1,), tmp_path, validation=30, info=lambda *line: None)
    assert small(path, fold=(1, 3)).special_test_error is None
    assert small(path, fold=(1, 3), augment={'mirror': 0.5}).special_test_error is not None


def test_a_saved_model_is_evaluated_on_the_fold_that_it_never_saw(people_set, tiny_set, capsys):  # noqa: F811
    result = small(people_set, fold=(2, 4))
    for model in (result.savename, result.folder):
        scores, folder = launch.evaluate(model, people_set, report=False)
        assert scores['plain']['whole']['error'] == pytest.approx(result.test_error)
        assert scores['plain']['whole']['images'] == result.errors['plain']['whole']['images']
        assert 'fold 2 of 4 by person' in capsys.readouterr().out
    whole = small(people_set, savename='whole.h5')  # without a fold: the set's own test images
    scores, _ = launch.evaluate(whole.savename, people_set, report=False)
    assert scores['plain']['whole']['images'] == 60


def test_models_of_before_that_know_no_folds_go_on(tiny_set):
    small(tiny_set, savename='m.h5')
    state, config = models.load('m.h5')
    del config['options']['fold']
    models.save('old.h5', state, config)
    with pytest.raises(ValueError, match='another data set'):
        launch.test(resume='old.h5', fold=(1, 3), n_epochs=3, verbose=0)
    launch.test(resume='old.h5', n_epochs=3, verbose=0)
    small(tiny_set, savename='whole.h5', n_epochs=3)
    assert same_models('old.h5', 'whole.h5')


def test_bad_folds_get_one_line(people_set, tiny_originals, tmp_path, capsys):  # noqa: F811
    (two,) = loaders.build(with_people(tiny_originals, 2), (1,), tmp_path, validation=30, info=lambda *line: None)
    wanted = 'must be a fold i of k with 1 <= i <= k and k >= 2, as 3/10 or (3, 10)'
    for fold, dataset, message in (
        ('4/3', people_set, wanted),
        ('0/3', people_set, wanted),
        ('1/1', people_set, wanted),
        ('3', people_set, wanted),
        ('a/b', people_set, wanted),
        ('1/-2', people_set, wanted),
        ('1/9', people_set, '9 folds need as many people, but there are 8: choose a smaller k'),
        ('1/2', two, 'leaves one person to train on and none to hold out for validation: pass val=False'),
    ):
        assert launch.main(['--fold', fold, '--dataset', str(dataset), '--network', 'MLP']) == 2
        error = capsys.readouterr().err
        assert message in error and error.count('\n') == 1
    for fold in ((1.5, 3), (True, 3), 3, (1, 2, 3), '²/3'):
        with pytest.raises(ValueError, match='fold must be a fold i of k'):
            small(people_set, fold=fold)
    assert not Path('trained_models').exists() and not Path('models').exists()
    assert small(two, fold=(1, 2), val=False).test_error is not None


def test_a_configuration_file_repeats_a_fold(people_set):  # noqa: F811
    result = small(people_set, fold=(3, 3))
    again = launch.test(**{**launch.read_config(result.folder / 'config.yaml'), 'savename': 'again.h5', 'verbose': 0})
    assert same_models(result.savename, 'again.h5') and again.config['options']['fold'] == [3, 3]
    assert json.loads((again.folder / 'run.json').read_text())['content_digest'] == result.config['content_digest']
