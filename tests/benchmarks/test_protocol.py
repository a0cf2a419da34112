"""Settings are chosen only on the validation images, and the test images are used last."""

import numpy as np
import pytest

import loaders
from benchmarks.baselines import protocol
from benchmarks.baselines.classifiers import CLASSIFIERS, Classifier
from benchmarks.baselines.data import parts
from benchmarks.baselines.features import FEATURES, Feature


class Recorder:
    """Predicts the first feature plus `shift` as the class, and records the number of training images."""

    learned = []

    def __init__(self, seed, jobs, shift):
        self.shift = shift

    def fit(self, x, y):
        self.learned.append(len(y))
        return self

    def predict(self, x):
        return (x[:, 0].astype(int) + self.shift) % 3


def recorder(shifts, trial_images=None):
    Recorder.learned.clear()
    return Classifier('recorder', '', Recorder, (), {'shift': shifts}, None, trial_images, None)


@pytest.fixture
def small(small_path):
    with loaders.load(small_path) as data:
        yield data


def test_the_setting_of_smallest_validation_error_is_tested_once(small):
    """The feature is the class, except for one image in ten."""
    seen = []

    def tell(images):
        seen.append(len(images))
        y = next(part.y for part in found.values() if len(part) == len(images) and len(seen) == ORDER[len(images)])
        return ((y + (np.arange(len(y)) % 10 == 0)) % 3)[:, None]

    found = parts(small)
    ORDER = {90: 1, 60: 2}
    told = []
    features = protocol.Features({**found, 'test': found['validation'].select('test', np.arange(30))})
    ORDER[30], found['test'] = 3, features.parts['test']
    row = protocol.run(
        Feature('tell', tell, None), recorder((1, 0, 2)), features, info=lambda line: told.append((line, list(seen)))
    )
    assert row['settings'] == {'shift': 0} and row['validation_error'] == pytest.approx(10)
    assert told == [('validation error 10.00 % with shift=0', [90, 60])]  # test images came later
    assert seen == [90, 60, 30] and Recorder.learned == [90, 90, 90, 150]
    assert row['test_error'] == pytest.approx(10) and row['interval'][0] < 10 < row['interval'][1]


def test_of_equal_settings_the_first_is_taken(small):
    x = np.zeros((9, 1))
    y = np.arange(9) % 3
    settings, trials, n = protocol.choose(recorder((2, 0, 1)), x, y, x, y, seed=0, jobs=1)
    assert settings == {'shift': 2} and len({t['validation_error'] for t in trials}) == 1 and n == 9


def test_settings_are_tried_with_a_part_of_each_class_and_the_best_learns_all(small):
    x = np.zeros((90, 1))
    _, _, n = protocol.choose(recorder((0, 1), 30), x, np.arange(90) % 3, x, np.arange(90) % 3, seed=0, jobs=1)
    assert n == 30 and Recorder.learned == [30, 30]


def test_test_labels_choose_nothing(small):
    """Other test labels change the test error, but not the settings and trials."""
    classifier, rows = CLASSIFIERS['naive-bayes'], []
    for poison in (False, True):
        found = parts(small)
        if poison:
            found['test'].y = (found['test'].y + 1) % 3
        rows.append(protocol.run(FEATURES['pixels'], classifier, protocol.Features(found)))
        found['test'].y = (found['test'].y + 2) % 3 if poison else found['test'].y
    clean, poisoned = rows
    for key in ('settings', 'trials', 'validation_error'):
        assert clean[key] == poisoned[key]
    assert clean['test_error'] < 20 < poisoned['test_error']


def test_errors_are_counted_on_halves_and_without_duplicates(small):
    found = parts(small)
    row = protocol.run(FEATURES['pixels'], CLASSIFIERS['naive-bayes'], protocol.Features(found))
    errors = row['errors']['plain']
    assert [errors[half]['images'] for half in ('whole', 'public', 'private')] == [60, 30, 30]
    assert errors['whole']['images_without_duplicates'] == 59
    assert errors['whole']['error'] == pytest.approx((errors['public']['error'] + errors['private']['error']) / 2)
    assert row['test_error'] == errors['whole']['error']
    assert row['images'] == 150 and row['numbers'] == [576]
    assert all(row['seconds'][what]['cpu'] > 0 for what in ('choosing', 'training', 'answering'))


def test_features_are_computed_once(small):
    calls = []
    feature = Feature('count', lambda images: calls.append(len(images)) or np.zeros((len(images), 1)), None)
    features = protocol.Features(parts(small))
    assert features(feature, 'test')[0] is features(feature, 'test')[0] and calls == [60]


def test_a_part_has_equal_parts_of_each_class(small):
    found = parts(small, 75)
    assert [len(found[name]) for name in ('training', 'validation', 'test')] == [45, 30, 30]
    counts = np.bincount(found['test'].y)
    assert counts.tolist() == [10, 10, 10]
    assert np.array_equal(parts(small, 75)['training'].source, found['training'].source)
    assert not set(found['training'].source) & set(found['validation'].source)


@pytest.mark.parametrize('images', [0, 29, 151, -5])
def test_other_numbers_of_images_are_refused(small, images):
    with pytest.raises(ValueError, match=f'expected 30 to 150 images, got {images}'):
        parts(small, images)


def test_a_set_without_validation_images_is_refused(tiny_originals, tmp_path):
    (path,) = loaders.build(tiny_originals, (1,), tmp_path, validation=0, info=lambda line: None)
    with loaders.load(path) as data, pytest.raises(ValueError, match='no validation images.*--validation 3709'):
        parts(data)
