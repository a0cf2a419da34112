"""Held-out images: by seed, by class, without duplicates."""

from itertools import combinations

import numpy as np
import pytest
from loaders_data import fer2013_sized, originals
from sets_data import built, quiet

from loaders import DataError, build
from loaders.audit.duplicates import duplicates_in_training
from loaders.fer2013 import COUNTS
from loaders.sets.splits import shares


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(stratify=True),
        dict(no_duplicates=True),
        dict(seed=5),
        dict(validation=0.3),
        dict(validation=9, stratify=True),
    ],
)
def test_no_view_of_a_validation_image_is_in_the_reduced_training_set(tmp_path, options):
    data = built(tmp_path, originals(np.full((3, 7), 10)), 3, **options)
    assert not set(data.validation.source) & set(data.reduced_training.source)
    rows = np.concatenate([data.validation.rows, data.reduced_training.rows])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(data.training)))
    k = {0.3: 21, 9: 9}.get(options.get('validation'), 7)  # 3000/28709 of 70
    assert len(data.validation) == k * 10


def test_selected_subsets_show_the_rows_of_their_base(four):
    data = four[1][1]
    for subset in (data.validation, data.reduced_training):
        assert subset.base is data.training and data.training.base is data.training
        for column in ('y', 'source', 'usage', 'view', 'duplicate'):
            np.testing.assert_array_equal(getattr(subset, column), getattr(data.training, column)[subset.rows])
        rows = [5, 0, -1, 5]
        np.testing.assert_array_equal(subset.images(rows), data.training.images()[subset.rows[rows]])


def test_validation_follows_the_seed_only(tmp_path):
    source = originals(np.full((3, 7), 10))
    chosen = [built(tmp_path, source, 2, seed=seed).validation.rows for seed in (0, 0, 1)]
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert set(chosen[0]) != set(chosen[2])


def test_the_smaller_validation_set_is_part_of_the_larger(four):
    held_out = [set(data.validation.source) for data in four[1][1:]]
    assert held_out[2] < held_out[1] < held_out[0]


def test_validation_of_set_1_on_request_and_none_in_set_2(tmp_path):
    data = built(tmp_path, originals(np.full((3, 7), 10)), 1, validation=0.2)
    assert (len(data.validation), len(data.reduced_training)) == (14, 56)
    data = built(tmp_path, originals(), 2, validation=0)
    assert data.validation is None and data.reduced_training is None


def test_stratified_validation_has_the_proportions_of_the_classes(tmp_path):
    data = built(tmp_path, fer2013_sized((4, 4)), 1, validation=2871, stratify=True)
    counts = np.bincount(data.validation.y)
    assert counts.sum() == 2871
    assert (abs(counts - COUNTS[0] * 2871 / 28709) < 1).all()


@pytest.mark.parametrize('k', [0, 1, 7, 99, 100])
def test_shares_add_up(k):
    counts = np.array([50, 30, 13, 7])
    whole = shares(counts, k)
    assert whole.sum() == k and (abs(whole - k * counts / 100) < 1).all()


@pytest.mark.parametrize('validation', [-1, 14, 99, 1.0, 1.5, 0.99, float('nan'), 'many'])
def test_validation_out_of_range(tmp_path, validation):
    with pytest.raises(DataError, match='expected a number of images from 0 to 13 or a fraction'):
        build(originals(), (1,), tmp_path, validation=validation, info=quiet)
    assert not list(tmp_path.iterdir())


def with_duplicates():
    """Make data in which many images, also of different usages, have the same pixels."""
    data = originals(np.full((3, 7), 8))
    rng = np.random.default_rng(2)
    data.images[rng.permutation(len(data))[:90]] = data.images[:45].repeat(2, axis=0)
    return data


def test_duplicate_flags_equal_a_search_of_all_pairs():
    data = with_duplicates()
    expected = np.zeros(len(data), bool)
    for a, b in combinations(range(len(data)), 2):
        if (data.images[a] == data.images[b]).all():
            expected[a] |= data.usage[b] == 0
            expected[b] |= data.usage[a] == 0
    np.testing.assert_array_equal(duplicates_in_training(data.images, data.usage), expected)
    assert 0 < expected[data.usage > 0].sum() < (data.usage > 0).sum()


def test_duplicate_flags_are_in_every_row(tmp_path):
    source = with_duplicates()
    expected = duplicates_in_training(source.images, source.usage)
    for subset in built(tmp_path, source, 3).subsets():
        np.testing.assert_array_equal(subset.duplicate, expected[subset.source], subset.name)


def test_validation_without_duplicates_has_none_in_reduced_training(tmp_path):
    data = built(tmp_path, with_duplicates(), 1, validation=9, no_duplicates=True)
    assert len(data.validation) == 9
    rest = {image.tobytes() for image in data.reduced_training.images()}
    assert not any(image.tobytes() in rest for image in data.validation.images())
    with pytest.raises(DataError, match='cannot hold out 55 training images without an exact duplicate'):
        build(with_duplicates(), (1,), tmp_path, validation=55, no_duplicates=True, info=quiet)
