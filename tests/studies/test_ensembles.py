"""Ensembles: averages, the choice of members on validation, evaluation."""

import json

import numpy as np
import pytest

import launch
from utils.record import reading
from utils.results import metrics, predictions
from utils.studies import ensembles


def softmax(a):
    e = np.exp(a)
    return e / e.sum(axis=-1, keepdims=True)


def test_averages(rng):
    logits = rng.normal(0, 2, (3, 10, 4))
    np.testing.assert_allclose(softmax(ensembles.combine(logits)), softmax(logits).mean(axis=0))
    np.testing.assert_allclose(ensembles.combine(logits, 'logits'), logits.mean(axis=0))
    with pytest.warns(FutureWarning, match="average='linear' is now average='logits'"):
        np.testing.assert_array_equal(ensembles.combine(logits, 'linear'), ensembles.combine(logits, 'logits'))
    with pytest.raises(ValueError, match="average must be one of 'probabilities', 'logits', got 'median'"):
        ensembles.combine(logits, 'median')


@pytest.mark.parametrize('average', ensembles.AVERAGES)
def test_members_are_chosen_while_the_cross_entropy_falls(rng, average):
    y = rng.integers(0, 3, 300)
    good = [3 * np.eye(3)[np.where(rng.random(300) < 0.6, y, rng.integers(0, 3, 300))] for _ in range(2)]
    candidates = [-3 * np.eye(3)[y], good[0], good[1], good[0].copy()]
    taken = ensembles.choose(candidates, y, average)

    def cross_entropy(members):
        p = softmax(np.array(members)).mean(axis=0) if average == 'probabilities' else softmax(np.mean(members, axis=0))
        return -np.log(p[np.arange(300), y]).mean()

    assert set(taken) <= {1, 2, 3} and len(taken) >= 2 and 0 not in taken
    path = [cross_entropy([candidates[k] for k in taken[:n]]) for n in range(1, len(taken) + 1)]
    assert path == sorted(path, reverse=True)
    assert all(
        cross_entropy([candidates[k] for k in [*taken, more]]) >= path[-1] for more in range(4) if more not in taken
    )


def test_members_are_chosen_by_the_rule():
    y = np.array([0, 0, 0, 1])
    sure_but_one = np.array([[9.0, 0], [9, 0], [0, 0.1], [0, 9]])  # small cross-entropy, one wrong
    right = np.array([[0.1, 0], [0.1, 0], [0.1, 0], [0, 0.1]])  # none wrong, never sure
    assert ensembles.choose([sure_but_one, right], y)[0] == 0
    assert ensembles.choose([sure_but_one, right], y, rule='error') == [1]


def test_an_ensemble_is_evaluated_like_a_model(tiny_runs, tmp_path, capsys):
    scores, members = ensembles.ensemble(tiny_runs, chosen=False, folder=tmp_path / 'e')
    assert members == tiny_runs
    arrays = [predictions.read_logits(folder) for folder in tiny_runs]
    p = np.mean([softmax(a['special'].astype(float)) for a in arrays], axis=0)
    wrong = p.argmax(axis=1) != arrays[0]['y']
    assert scores['special']['whole']['error'] == pytest.approx(100 * wrong.mean())
    # the scores of a model except those computed with its temperature, which an ensemble does not have
    of_model = reading.read_run(tiny_runs[0])['result']['evaluation']['special']['public']
    assert scores['special']['public'].keys() == of_model.keys() - {'scaled'}
    assert sorted(path.name for path in (tmp_path / 'e').iterdir()) == [
        'confusion.csv',
        'evaluation.json',
        'logits.npz',
        'predictions.csv',
    ]
    capsys.readouterr()
    assert launch.main(['ensemble', *map(str, tiny_runs), '--average', 'linear', '--folder', str(tmp_path / 'f')]) == 0
    out, err = capsys.readouterr()
    assert 'chosen on 30 validation images' in out and 'ensemble of' in out
    assert err == 'warning: --average linear is now --average logits\n'
    assert json.loads((tmp_path / 'f/evaluation.json').read_text())['average'] == 'logits'


def test_the_validation_outputs_are_of_the_parameters_that_never_saw_the_images(tiny_runs):
    run, arrays = reading.read_run(tiny_runs[0]), predictions.read_logits(tiny_runs[0])
    assert len(arrays['validation_source']) == 30
    p = metrics.probabilities(arrays['validation'])
    # The two views of an image are averaged here, but counted separately in the history: close, not equal.
    entropy = -np.log(p[np.arange(30), arrays['validation_y']]).mean()
    assert entropy == pytest.approx(run['result']['validation_cross_entropy'], rel=0.15)


def test_what_cannot_be_combined_gets_one_line(tiny_runs, tmp_path, capsys):
    assert launch.main(['ensemble', str(tiny_runs[0])]) == 2
    assert capsys.readouterr().err == 'error: an ensemble needs at least two different runs, got 1\n'
    assert launch.main(['ensemble', str(tiny_runs[0]), str(tiny_runs[0])]) == 2
    assert 'at least two different runs, got 1' in capsys.readouterr().err
    import shutil

    other = tmp_path / 'm/run-001'
    shutil.copytree(tiny_runs[1], other)
    arrays = predictions.read_logits(other)
    without = {key: value for key, value in arrays.items() if not key.startswith('validation')}
    np.savez(other / 'logits.npz', **without)
    with pytest.raises(predictions.RunError, match=r'without validation \(val=False\)'):
        ensembles.ensemble([tiny_runs[0], other], info=lambda line: None)
    np.savez(other / 'logits.npz', **{**arrays, 'validation_source': arrays['validation_source'] + 1})
    with pytest.raises(predictions.RunError, match='held out different validation images'):
        ensembles.ensemble([tiny_runs[0], other], info=lambda line: None)
