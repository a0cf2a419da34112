"""Metrics against NumPy by hand."""

import numpy as np
import pytest

from utils.results import metrics, summary
from utils.results.temperature import LEAST, MOST, fit_temperature

CLASSES = ('a', 'b', 'c')


class Images:
    """The part of a subset that an evaluation reads."""

    def __init__(self, y, usage, duplicate):
        self.y, self.usage, self.duplicate = np.asarray(y, np.uint8), np.asarray(usage), np.asarray(duplicate, bool)

    def __len__(self):
        return len(self.y)


@pytest.fixture
def answers(rng):
    y = rng.integers(0, 3, 200)
    logits = rng.normal(0, 1, (200, 3))
    logits[np.arange(200), y] += 1
    return logits, y


def test_scores_are_those_of_their_definitions(answers):
    logits, y = answers
    got = metrics.scores(logits, y, CLASSES)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answer = p.argmax(axis=1)
    confusion = np.array([[((y == i) & (answer == j)).sum() for j in range(3)] for i in range(3)])
    assert got['confusion'] == confusion.tolist()
    assert got['error'] == pytest.approx(100 * (1 - np.trace(confusion) / 200))
    assert got['cross_entropy'] == pytest.approx(-np.log(p[np.arange(200), y]).mean())
    order = np.argsort(-p, axis=1)[:, :2]
    assert got['top2_error'] == pytest.approx(100 * (order != y[:, None]).all(axis=1).mean())
    f1 = []
    for k, name in enumerate(CLASSES):
        precision, recall = confusion[k, k] / confusion[:, k].sum(), confusion[k, k] / confusion[k].sum()
        f1.append(2 * precision * recall / (precision + recall))
        row = got['per_class'][name]
        assert (row['precision'], row['recall'], row['f1']) == pytest.approx((precision, recall, f1[-1]))
        assert row['images'] == confusion[k].sum()
    assert got['macro_f1'] == pytest.approx(np.mean(f1))


def test_calibration_error_is_the_mean_gap_of_the_bins(answers):
    logits, y = answers
    p = metrics.probabilities(logits)
    got = metrics.calibration(p, y, bins=10)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    gaps = []
    for k in range(10):
        mask = (confidence > k / 10) & (confidence <= (k + 1) / 10)
        if mask.any():
            gaps.append(mask.sum() * abs(right[mask].mean() - confidence[mask].mean()))
    assert got['ece'] == pytest.approx(sum(gaps) / 200)
    assert len(got['images']) == len(gaps) and sum(got['images']) == 200


def test_sure_and_right_is_calibrated():
    assert metrics.calibration(np.eye(3), np.arange(3))['ece'] == 0
    assert metrics.calibration(np.eye(3), np.array([1, 2, 0]))['ece'] == 1


@pytest.mark.parametrize('wrong, n', [(0, 10), (10, 10), (3, 60), (2148, 7178)])
def test_interval_is_wilsons(wrong, n):
    z, p = 1.959963984540054, wrong / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    np.testing.assert_allclose(metrics.interval(wrong, n), [100 * (middle - half), 100 * (middle + half)], atol=1e-10)


def test_halves_and_duplicates_are_told_apart(answers):
    logits, y = answers
    usage, duplicate = np.repeat([1, 2], 100), np.arange(200) % 10 == 0
    got = metrics.evaluate({'plain': logits, 'special': 2 * logits}, Images(y, usage, duplicate), CLASSES)
    wrong = logits.argmax(axis=1) != y
    for half, mask in (('whole', usage > 0), ('public', usage == 1), ('private', usage == 2)):
        entry = got['special'][half]
        assert (entry['images'], entry['error']) == (mask.sum(), pytest.approx(100 * wrong[mask].mean()))
        assert entry['without_duplicates']['error'] == pytest.approx(100 * wrong[mask & ~duplicate].mean())
        low, high = entry['interval']
        assert low < entry['error'] < high
    assert got['plain']['whole']['cross_entropy'] != got['special']['whole']['cross_entropy']
    assert set(got['rank']) == {'whole', 'private'}


def test_a_class_that_does_not_occur_does_not_spoil_the_mean():
    got = metrics.scores(np.eye(3)[[0, 1, 0]] * 9, [0, 1, 0], CLASSES)
    assert got['macro_f1'] == 1 and got['per_class']['c'] == {'precision': 0, 'recall': 0, 'f1': 0, 'images': 0}


def test_without_duplicates_or_halves_they_are_left_out():
    got = metrics.evaluate({'plain': np.eye(3)}, Images([0, 1, 2], [1, 1, 1], [False] * 3), CLASSES)
    assert 'private' not in got['plain'] and 'without_duplicates' not in got['plain']['whole'] and 'special' not in got
    assert set(got['rank']) == {'whole'}
    assert 'macro-F1 1.000' in summary.summary_lines(got)[0]
    assert summary.class_table(got['plain']['whole']).count('\n') == 3


def test_the_temperature_is_that_of_least_cross_entropy(rng):
    y = rng.integers(0, 7, 3000)
    logits = rng.normal(0, 1, (3000, 7))
    logits[np.arange(3000), y] += 1.5
    true = logits / 1  # drawn so that they are about calibrated after scaling
    found = fit_temperature(3.0 * true, y)
    grid = np.exp(np.linspace(-2, 3, 2001))
    costs = [metrics.cross_entropy(metrics.probabilities(3.0 * true / t), y) for t in grid]
    assert abs(np.log(found) - np.log(grid[np.argmin(costs)])) < 0.003
    assert fit_temperature(true, y) == pytest.approx(found / 3, rel=1e-3)
    got = metrics.scores(3.0 * true, y, tuple('abcdefg'), found)
    assert got['scaled']['ece'] < got['ece'] and got['scaled']['cross_entropy'] < got['cross_entropy']
    assert 'scaled' not in metrics.scores(true, y, tuple('abcdefg'))


def test_answers_that_are_all_right_have_a_temperature_within_bounds():
    assert LEAST <= fit_temperature(np.eye(3) * 100, np.arange(3)) <= MOST
    assert LEAST <= fit_temperature(-np.eye(3) * 100, np.arange(3)) <= MOST
