"""Cross-validation: every fold is run once, resumed after an interruption, and pooled."""

import csv
import functools
import json
from pathlib import Path

import numpy as np
import pytest
from people_data import people_set  # noqa: F401
from small import same_models

import launch
import loaders
from utils.results.predictions import read_logits

SMALL = dict(
    network='MLP', n_hidden=[8], batch_size=50, statistics_images=50, anneal_epochs=1, n_epochs=2, report=False
)


class Stop(Exception):
    pass


@pytest.fixture(scope='module')
def whole(people_set, tmp_path_factory):  # noqa: F811
    """Scores and folder of an uninterrupted cross-validation."""
    folder = tmp_path_factory.mktemp('whole')
    return launch.cross_validate(
        3, savename=folder / 'm.h5', dataset=str(people_set), verbose=0, **{**SMALL, 'report': True}
    )


def wilson(p, n, z=1.959963984540054):
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return [100 * (middle - half) / (1 + z**2 / n), 100 * (middle + half) / (1 + z**2 / n)]


def test_every_image_is_tested_once_and_the_figures_are_those_of_all_answers(whole, people_set):  # noqa: F811
    scores, folder = whole
    assert folder.name == 'folds-001'
    labels, seen = {}, []
    with loaders.load(people_set) as data:
        for subset in (data.training, data.test):
            labels |= dict(zip(subset.source.tolist(), subset.y.tolist()))
    errors, recalls, confusion = [], [], np.zeros((3, 3), int)
    for i in range(1, 4):
        answers = read_logits(folder.parent.parent / f'm_fold={i}-3' / 'run-001')
        truth, answer = answers['y'].astype(int), answers['special'].argmax(axis=1)
        assert [labels[s] for s in answers['source'].tolist()] == truth.tolist()
        seen += answers['source'].tolist()
        errors.append(100 * (truth != answer).mean())
        recalls.append(100 * np.mean([(answer[truth == c] == c).mean() for c in range(3)]))
        np.add.at(confusion, (truth, answer), 1)
    assert sorted(seen) == list(range(190))
    entry = scores['special']['whole']
    error = 1 - np.trace(confusion) / 190
    assert entry['images'] == 190 and entry['error'] == pytest.approx(100 * error)
    np.testing.assert_allclose(entry['interval'], wilson(error, 190), rtol=1e-9)
    np.testing.assert_array_equal(entry['confusion'], confusion)
    for c, row in enumerate(entry['per_class'].values()):
        assert row['recall'] == pytest.approx(confusion[c, c] / confusion[c].sum())
    assert [fold['error'] for fold in scores['folds']] == pytest.approx(errors)
    assert [fold['mean_recall'] for fold in scores['folds']] == pytest.approx(recalls)
    assert scores['mean'] == pytest.approx({'error': np.mean(errors), 'mean_recall': np.mean(recalls)})
    assert scores['std'] == pytest.approx({'error': np.std(errors, ddof=1), 'mean_recall': np.std(recalls, ddof=1)})
    result = json.loads((folder / 'result.json').read_text())
    assert result['by'] == 'person' and result['evaluation'] == json.loads(json.dumps(scores))
    assert 'rank' not in scores and set(scores['plain']) == {'whole'}


def test_the_folder_has_table_predictions_figures_and_report(whole):
    scores, folder = whole
    rows = list(csv.reader((folder / 'folds.csv').read_text().splitlines()))
    assert [row[0] for row in rows] == ['fold', '1 of 3', '2 of 3', '3 of 3', 'mean ± std', 'all']
    assert rows[5][4] == f'{scores["special"]["whole"]["error"]:.2f}' and rows[5][1] == '190'
    assert rows[4][4] == f'{scores["mean"]["error"]:.2f} ± {scores["std"]["error"]:.2f}'
    predicted = list(csv.DictReader((folder / 'predictions.csv').read_text().splitlines()))
    assert [int(row['source']) for row in predicted] == list(range(190))
    wrong = sum(row['correct'] == '0' for row in predicted)
    assert 100 * wrong / 190 == pytest.approx(scores['special']['whole']['error'])
    for name in ('curves.png', 'figures/confusion.png', 'figures/calibration.png', 'folds.tex', 'folds.md'):
        assert (folder / name).stat().st_size > 100
    report = (folder / 'report.html').read_text()
    assert 'of all 190 images' in report and 'over 3 folds by person, 8 people' in report
    assert 'competition' not in report and '2 of 3' in report


def test_it_goes_on_where_it_was_broken_off_and_does_nothing_twice(whole, people_set, monkeypatch):  # noqa: F811
    options = dict(savename='m.h5', dataset=str(people_set), verbose=0, **SMALL)
    epochs, test = [], launch.test

    @functools.wraps(test)
    def cut(*args, **kwargs):
        def stop(row):
            epochs.append((row['stage'], row['epoch']))
            if epochs.count(('train', 2)) == 2:  # of the second fold
                raise Stop

        return test(*args, **{**kwargs, 'on_epoch': stop})

    with monkeypatch.context() as patch:
        patch.setattr(launch.CONTEXT, 'test', cut)
        with pytest.raises(Stop):
            launch.cross_validate(3, **options)
    assert len(list(Path('.').rglob('run-*'))) == 2 and not Path('m').exists()
    scores, folder = launch.cross_validate(3, **options)
    runs = {str(path.relative_to('.')) for path in Path('.').rglob('run-*')}
    assert runs == {f'm_fold={i}-3/run-00{k}' for i, k in ((1, 1), (2, 1), (2, 2), (3, 1))}
    assert folder == Path('m/folds-001') and not (folder / 'report.html').exists()
    for i in range(1, 4):
        assert same_models(f'm_fold={i}-3.h5', whole[1].parent.parent / f'm_fold={i}-3.h5')
    assert scores['special'] == whole[0]['special'] and scores['mean'] == whole[0]['mean']
    again, folder = launch.cross_validate(3, **options)
    assert again == scores and folder == Path('m/folds-002')
    assert {str(path.relative_to('.')) for path in Path('.').rglob('run-*')} == runs
    with pytest.raises(ValueError, match='not empty: choose a new or empty folder'):
        launch.cross_validate(3, folder='m/folds-001', **options)


def test_a_fold_that_was_run_alone_is_done_and_the_command_says_so(people_set, capsys):  # noqa: F811
    words = ['--dataset', str(people_set), '--network', 'MLP', '--n_hidden', '8', '--batch_size', '50']
    words += ['--statistics_images', '50', '--anneal_epochs', '0', '--n_epochs', '1', '--no-report', '--verbose', '1']
    assert launch.main(['train', '--fold', '2/2', *words]) == 0
    assert launch.main(['train', '--folds', '2', *words]) == 0
    out = capsys.readouterr().out
    assert 'trial 1 of 2: finished' in out and 'trial 2 of 2: done already' in out
    assert 'of all 190 images' in out and 'over 2 folds by person, 8 people' in out
    assert Path('trained_models/MLP_set2/folds-001/result.json').is_file()


def test_a_set_without_people_is_divided_by_image(tiny_set):
    options = dict(dataset=str(tiny_set), savename='m.h5', verbose=0, val=False, special_test=False, **SMALL)
    scores, folder = launch.cross_validate(2, **{**options, 'anneal_epochs': 0, 'n_epochs': 1})
    assert set(scores) == {'plain', 'folds', 'mean', 'std'}
    assert json.loads((folder / 'result.json').read_text())['by'] == 'image'
    assert [fold['images'] for fold in scores['folds']] == [95, 95]
    assert 0 < scores['plain']['whole']['without_duplicates']['images'] < 190  # copies in the other fold


def test_wrong_arguments_are_refused_before_anything_runs(people_set, capsys):  # noqa: F811
    for words, message in (
        (['--folds', '1'], 'must be a whole number >= 2'),
        (['--folds', '9'], '9 folds need as many people, but there are 8'),
        (['--folds', '3', '--fold', '1/3'], 'cross_validate runs all folds, got fold=[1, 3]: leave out fold'),
        (['--folds', '3', '--resume', 'm.h5'], 'resume is for one run'),
        (['--folds', '3', '--learning_rate', '-1'], 'must be a number > 0'),
    ):
        assert launch.main(['train', '--dataset', str(people_set), '--network', 'MLP', *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count('\n') == 1
    with pytest.raises(ValueError, match='folds must be a whole number >= 2, got 1'):
        launch.cross_validate(1, dataset=str(people_set))
    assert not list(Path('.').iterdir())


def test_a_fold_that_fails_is_named_when_the_others_are_done(people_set):  # noqa: F811
    options = dict(savename='m.h5', dataset=str(people_set), verbose=0, **{**SMALL, 'batch_size': 118, 'val': False})
    with loaders.load(people_set) as data:
        sizes = [len(loaders.Fold(data, i, 8).training) for i in range(1, 9)]
    options['batch_size'] = max(sizes)  # beyond the training images of all folds but one
    with pytest.raises(ValueError, match=r"folds failed, first 'm_fold=\d-8.h5': batch_size must lie between"):
        launch.cross_validate(8, **options)
    assert len(list(Path('.').glob('m_fold=*-8.h5'))) == sizes.count(max(sizes))
