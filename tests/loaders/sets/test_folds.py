"""Folds of a set: people stay together, every image is tested once, folds are balanced, bad arguments are refused."""

import h5py
import numpy as np
import pytest
from loaders_data import originals
from sets_data import built
from sklearn.model_selection import StratifiedGroupKFold

from loaders import DataError, Fold, load
from loaders.sets.grouping import divide, divide_groups


def with_people(n_people=11, unknown=0, counts=((14,) * 7, (3,) * 7, (3,) * 7)):
    """Make originals of people with different numbers of images, including images of unknown people."""
    data = originals(np.array(counts), size=(12, 12))
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.full(n_people, 3.0))
    data.people = tuple(f'p{k}' for k in range(n_people))
    data.person = rng.choice(n_people, len(data), p=shares).astype(np.int32)
    data.person[:n_people] = np.arange(n_people)
    data.person[len(data) - unknown :] = -1
    return data


@pytest.mark.parametrize('seed', range(8))
def test_groups_are_divided_as_scikit_learn_does(seed):
    rng = np.random.default_rng(seed)
    n_groups, k, n = int(rng.integers(8, 40)), int(rng.integers(2, 8)), 500
    groups, labels = rng.choice(n_groups, n, p=rng.dirichlet(np.ones(n_groups))), rng.integers(0, 5, n)
    names, place = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), 5), int)
    np.add.at(counts, (place, labels), 1)
    mine = divide(counts, k)[place]
    theirs = np.empty(n, int)
    for fold, (_, tested) in enumerate(StratifiedGroupKFold(k).split(labels, labels, groups)):
        theirs[tested] = fold
    np.testing.assert_array_equal(mine, theirs)


def test_groups_alike_are_divided_evenly_and_stay_whole():
    rng = np.random.default_rng(0)
    groups, labels = rng.integers(0, 60, 3000), rng.integers(0, 7, 3000)
    folds = divide_groups(groups, labels, 5)
    counts = np.array([np.bincount(labels[folds == fold], minlength=7) for fold in range(5)])
    assert np.ptp(counts.sum(axis=1)) <= 40 and np.ptp(counts, axis=0).max() <= 25
    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(60))


@pytest.mark.parametrize('number', (1, 2, 3))
@pytest.mark.parametrize('unknown', (0, 9))
def test_no_person_is_in_two_folds_and_every_image_is_tested_once(tmp_path, number, unknown):
    source, k = with_people(unknown=unknown), 4
    data = built(tmp_path, source, number, validation=12)
    path, n_views = data.path, len(data.transforms)
    everything = data.special_test or data.test
    stored = {
        (int(s), int(v)): image
        for part in (data.training, everything)
        for s, v, image in zip(part.source, part.view, part.images())
    }
    tested, sizes = [], []
    for i in range(1, k + 1):
        with Fold(load(path), i, k) as fold:
            training, test = set(fold.training.source), set(fold.test.source)
            assert not training & test and training | test == set(range(len(source)))
            assert len(fold.training) == n_views * len(training) and len(fold.test) == len(test)
            who = [set(source.person[list(images)]) - {-1} for images in (training, test)]
            assert not who[0] & who[1] and who[1]
            reduced, held_out = fold.reduced_training, fold.validation
            assert len(reduced) + len(held_out) == len(fold.training)
            assert not set(reduced.source) & set(held_out.source)
            assert not (set(reduced.person) & set(held_out.person)) - {-1}
            assert 0.02 < len(held_out) / len(fold.training) < 0.3  # of people, one at least
            assert (fold.special_test is None) == (n_views == 1)
            for subset in fold.subsets():
                for name, values in (('y', source.labels), ('person', source.person)):
                    np.testing.assert_array_equal(getattr(subset, name), values[subset.source])
                expected = [stored[s, v] for s, v in zip(subset.source, subset.view)]
                np.testing.assert_array_equal(subset.images(), expected)
                np.testing.assert_array_equal(subset.images(np.array([3, 0, 3])), [expected[j] for j in (3, 0, 3)])
                np.testing.assert_array_equal(subset.images(slice(1, 4)), expected[1:4])
            for part in (reduced, held_out):
                np.testing.assert_array_equal(fold.training.images(part.rows), part.images())
                assert part.base is fold.training
            if n_views > 1:
                np.testing.assert_array_equal(fold.special_test.source, np.repeat(fold.test.source, n_views))
            assert (fold.training.usage == 0).all() and (fold.test.usage == 2).all()
            assert fold.counts.sum() == len(source) and not fold.is_fer2013 and fold.verify()
            tested += [*fold.test.source]
            sizes.append(len(fold.test))
    assert sorted(tested) == list(range(len(source)))
    assert max(sizes) < 2 * min(sizes)


def test_folds_are_the_same_for_all_sets_of_one_source_and_have_digests_of_their_own(tmp_path):
    source = with_people()
    one, two = (built(tmp_path, source, number, validation=12) for number in (1, 2))
    sources = [[Fold(data, i, 3).test.source.tolist() for i in (1, 2, 3)] for data in (one, two)]
    assert sources[0] == sources[1]
    digests = [one.content_digest, two.content_digest]
    digests += [Fold(data, i, k).content_digest for data in (one, two) for i, k in ((1, 3), (2, 3), (1, 2))]
    assert len(set(digests)) == 8 and Fold(one, 2, 3).content_digest in digests
    fold = Fold(two, 2, 3)
    assert (fold.name, fold.fold, fold.fingerprint) == ('set 2 fold 2/3', (2, 3), two.fingerprint)
    assert 'fold 2 of 3 by person' in fold.about and f'tested on {len(fold.test)} images of' in fold.about


def test_without_people_the_classes_are_dealt_out(tmp_path):
    source = originals(np.array([[20, 31, 7], [3, 2, 5], [4, 4, 1]]), size=(12, 12))
    source.classes = ('a', 'b', 'c')
    with built(tmp_path, source, 2, validation=0.2) as data:
        folds = [Fold(data, i, 5) for i in range(1, 6)]
        counts = np.array([np.bincount(fold.test.y, minlength=3) for fold in folds])
        assert np.ptp(counts, axis=0).max() <= 1 and np.ptp(counts.sum(axis=1)) <= 1
        np.testing.assert_array_equal(np.sort(np.concatenate([fold.test.source for fold in folds])), np.arange(77))
        for fold in folds:
            n = len(fold.training) // 2
            assert len(fold.validation) == 2 * round(n * len(data.validation) / len(data.training))
            wanted = np.bincount(fold.training.y) * len(fold.validation) / len(fold.training)
            assert abs(np.bincount(fold.validation.y, minlength=3) - wanted).max() <= 2
            assert 'by image (the set knows no people)' in fold.about


def test_exact_duplicates_are_found_anew(tmp_path):
    source = originals(np.array([[20, 20], [5, 5], [5, 5]]), size=(12, 12))
    source.classes = ('a', 'b')
    for copy, image in ((1, 0), (45, 44), (50, 3)):
        source.images[copy] = source.images[image]
    pairs = {0: 1, 1: 0, 44: 45, 45: 44, 3: 50, 50: 3}
    with built(tmp_path, source, 2, validation=8) as data:
        across = 0
        for i in range(1, 4):
            fold = Fold(data, i, 3)
            training = set(fold.training.source)
            for subset in fold.subsets():
                np.testing.assert_array_equal(subset.duplicate, [pairs.get(s) in training for s in subset.source])
            across += fold.test.duplicate.sum()
        assert across > 0


def test_a_set_without_validation_images_and_one_person_that_trains(tmp_path):
    with built(tmp_path, with_people(), 1, validation=0) as data:
        assert Fold(data, 1, 3).validation is None and Fold(data, 1, 3).reduced_training is None
    with built(tmp_path / '2', with_people(2), 1, validation=12) as data:
        assert Fold(data, 1, 2).validation is None


@pytest.mark.parametrize('i, k', ((0, 3), (4, 3), (1, 1), (-1, 2)))
def test_folds_out_of_range_are_refused(tmp_path, i, k):
    with built(tmp_path, with_people(), 1) as data, pytest.raises(DataError, match=f'got fold {i} of {k}'):
        Fold(data, i, k)


def test_more_folds_than_people_or_images_are_refused(tmp_path):
    with built(tmp_path, with_people(4), 1) as data, pytest.raises(DataError, match='6 folds need as many people, but'):
        Fold(data, 2, 6)
    few = originals(np.full((3, 7), 1), size=(12, 12))
    with built(tmp_path / 'few', few, 1) as data, pytest.raises(DataError, match='as many images, but there are 21'):
        Fold(data, 1, 22)


def test_a_set_without_the_views_of_its_test_images_is_refused(tmp_path):
    with built(tmp_path, with_people(), 2) as data:
        path = data.path
    with h5py.File(path, 'r+') as file:
        del file['special_test']
    with load(path) as data, pytest.raises(DataError, match='2 views of each training image but not of each test'):
        Fold(data, 1, 3)


def test_a_closed_fold_reads_no_images(tmp_path):
    with Fold(built(tmp_path, with_people(), 2, validation=12), 1, 3) as fold:
        pass
    for subset in fold.subsets():
        with pytest.raises(ValueError, match='closed'):
            subset.images()
