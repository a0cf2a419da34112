"""Validation and test images by person: no person is in two parts."""

import numpy as np
import published_data as sets
import pytest
from loaders_data import originals
from sets_data import quiet

from loaders import DataError, build, load
from loaders.sets.splits import draw_people


def people(n, each, n_classes=3, seed=0):
    """Draw person and class of the images of n people, `each` images per person, in random order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n * each)
    return np.repeat(np.arange(n), each).astype(np.int32)[order], rng.integers(0, n_classes, n * each).astype(np.uint8)


@pytest.mark.parametrize('stratify', (False, True))
@pytest.mark.parametrize('k', (1, 30, 37, 200, 399))
def test_as_many_people_as_make_the_nearest_number_of_images(k, stratify):
    person, labels = people(20, 20)
    rows = draw_people(person, labels, k, 0, stratify)
    chosen = set(person[rows].tolist())
    np.testing.assert_array_equal(rows, np.flatnonzero(np.isin(person, list(chosen))))
    assert len(chosen) in {max(1, min(19, n)) for n in (k // 20, -(-k // 20))}
    assert abs(len(rows) - k) <= 10 or len(chosen) in (1, 19)
    np.testing.assert_array_equal(rows, draw_people(person, labels, k, 0, stratify))


def test_fewer_people_are_a_part_of_more_with_one_seed():
    person, labels = people(20, 5)
    few, more = (set(draw_people(person, labels, k, 3).tolist()) for k in (10, 40))
    assert few < more


def test_a_stratified_choice_keeps_the_classes_in_proportion():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(30), 10).astype(np.int32)
    labels = rng.integers(0, 2, 30).repeat(10).astype(np.uint8)  # each person shows only one class

    def distance(rows):
        return abs(labels[rows].mean() - labels.mean())

    plain, stratified = (
        [distance(draw_people(person, labels, 60, seed, stratify)) for seed in range(20)] for stratify in (False, True)
    )
    assert np.mean(stratified) < 0.1 < np.mean(plain)


def test_a_class_that_one_person_shows_stays_in_training():
    person = np.repeat(np.arange(5), 10).astype(np.int32)
    labels = np.where(np.arange(50) < 10, 1, 0).astype(np.uint8)  # only the first person shows class 1
    for seed in range(10):
        assert 0 not in person[draw_people(person, labels, 10, seed, stratify=True)]


def test_images_of_nobody_known_stay_in_training():
    person, labels = people(6, 10)
    person[::7] = -1
    assert -1 not in person[draw_people(person, labels, 20, 0)]
    with pytest.raises(DataError, match='the images show 0, expected 2 or more'):
        draw_people(np.full(60, -1, np.int32), labels, 20, 0)


@pytest.mark.parametrize('options', ({}, dict(stratify=True), dict(seed=4), dict(validation=0.4)))
def test_nobody_is_in_training_and_validation(tmp_path, options):
    lines = []
    written = sets.jaffe(tmp_path / 'jaffe', people=[a + 'X' for a in 'ABCDEFGHIJ'])
    (path,) = build(tmp_path / 'jaffe', (2,), tmp_path, info=lines.append, **options)
    with load(path) as data:
        parts = [set(s.person.tolist()) for s in (data.reduced_training, data.validation, data.test)]
        assert all(parts) and sum(map(len, parts)) == len(set.union(*parts)) == len(data.people) == 10
        assert len(data.validation) % 14 == 0  # seven images of each person and their mirror images
        assert len(data.validation) == {0.4: 42}.get(options.get('validation'), 14)
        assert data.people == tuple(a + 'X' for a in 'ABCDEFGHIJ')
        for subset in data.subsets():
            for level, view, person, label in zip(
                subset.images()[:, 0, 0], subset.view, subset.person, subset.y, strict=True
            ):
                assert written[int(level)] == (data.classes[label], None, data.people[person]), (level, view)
    n = len(parts[1])
    assert lines[0] == 'recognised: JAFFE: <person>.<expression>.<number>'
    assert f'(by person: {n} of 8 people)' in lines[-1] and not any("FER2013's counts" in line for line in lines)
    assert any('split by person: all 14 images of 2 of 10 people held out for testing' in line for line in lines)


def test_validation_without_duplicates_by_person(tmp_path):
    data = originals(np.array([[20] * 7, [0] * 7, [2] * 7]))
    data.person, data.people = (np.arange(len(data)) % 10).astype(np.int32), tuple('abcdefghij')
    data.images[3] = data.images[14]  # of persons 3 and 4
    (path,) = build(data, (1,), tmp_path, validation=30, no_duplicates=True, info=quiet)
    with load(path) as data:
        assert len(data.validation) == 28 and not {3, 4} & set(data.validation.person.tolist())
        assert not data.validation.duplicate.any()


def test_one_person_in_training_asks_for_no_validation(tmp_path):
    sets.jaffe(tmp_path / 'jaffe', people=('KA', 'KL'))
    with pytest.raises(DataError, match=r'the images show 1, expected 2 or more; hold out none \(validation=0'):
        build(tmp_path / 'jaffe', (2,), tmp_path, info=quiet)
    (path,) = build(tmp_path / 'jaffe', (2,), tmp_path, validation=0, info=quiet)
    with load(path) as data:
        assert data.validation is None
