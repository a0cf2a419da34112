"""People and votes of a source: written, selected, read back, and refused if they are damaged."""

import h5py
import numpy as np
import pytest
from loaders_data import originals
from sets_data import built, quiet

from loaders import DataError, build, load, read


@pytest.fixture
def known():
    """Make originals with people, two images of unknown people, and votes that mostly agree with the label."""
    data = originals(np.full((3, 7), 6))
    rng = np.random.default_rng(3)
    data.people = ('Änne', 'B', 'C', 'D', 'E')
    data.person = rng.integers(0, 5, len(data)).astype(np.int32)
    data.person[0], data.person[[3, 90]] = 0, -1
    data.votes = rng.integers(0, 3, (len(data), 7)).astype(np.uint8)
    data.votes[np.arange(len(data)), data.labels] += 5
    return data


@pytest.mark.parametrize('number', (1, 2, 3))
def test_every_view_has_the_person_and_the_votes_of_its_original(tmp_path, known, number):
    with built(tmp_path, known, number, validation=20) as data:
        assert data.people == known.people
        for subset in data.subsets():
            assert subset.person.dtype == np.int32 and subset.votes.dtype == np.uint8
            np.testing.assert_array_equal(subset.person, known.person[subset.source])
            np.testing.assert_array_equal(subset.votes, known.votes[subset.source])
            votes = known.votes[subset.source].astype(float)
            assert subset.soft_labels.dtype == np.float32 and subset.soft_labels.shape == (len(subset), 7)
            np.testing.assert_allclose(subset.soft_labels, votes / votes.sum(1)[:, None], rtol=1e-6)
            np.testing.assert_allclose(subset.soft_labels.sum(axis=1), 1, atol=1e-6)
        assert data.verify()


def test_a_set_without_them_has_none(tmp_path):
    with built(tmp_path, originals(), 1) as data:
        assert data.people == () and 'people' not in h5py.File(data.path)
        for subset in data.subsets():
            assert subset.person is None and subset.votes is None and subset.soft_labels is None


def test_float_votes_and_a_set_as_source(tmp_path, known):
    known.votes = known.votes.astype(np.float32) / 3
    with built(tmp_path, known, 2) as data:
        again = read(data.path)
    assert again.people == known.people and again.votes.dtype == np.float32
    np.testing.assert_array_equal(again.person, known.person)
    np.testing.assert_array_equal(again.votes, known.votes)


def test_the_digest_tells_sets_with_other_people_or_votes_apart(tmp_path, known):
    digests = []
    for change in ('nothing', 'person', 'votes'):
        known.person[5] = change == 'person'
        known.votes[5, 0] += change == 'votes'
        with built(tmp_path / change, known, 1) as data:
            digests.append(data.content_digest)
    assert len(set(digests)) == 3


def no_votes(votes):
    votes[2] = 0


@pytest.mark.parametrize(
    'change, message',
    (
        (dict(person=np.zeros(4, np.int32)), r'person must be an int32 array \(126,\), found int32 \(4,\)'),
        (dict(person=np.full(126, 5, np.int32)), 'person must be -1 or the index of one of 5 people'),
        (dict(people=()), 'person must be -1 or the index of one of 0 people'),
        (dict(people=('a', 'a', 'b', 'c', 'd')), 'the names of people must be unique and printable'),
        (dict(votes=np.ones((126, 6), np.uint8)), r'votes must be a uint8 or float32 array \(126, 7\)'),
        (dict(votes=np.zeros((126, 7), np.uint8)), 'votes row 0: expected numbers >= 0, at least one of them above 0'),
        (dict(votes=np.full((126, 7), np.nan, np.float32)), 'votes row 0: expected numbers >= 0'),
        (dict(votes=np.full((126, 7), -1, np.float32)), 'votes row 0: expected numbers >= 0'),
    ),
)
def test_bad_arrays_are_refused(tmp_path, known, change, message):
    vars(known).update(change)
    with pytest.raises(DataError, match=message):
        build(known, (1,), tmp_path, info=quiet)


def replaced(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


def overwritten(name, row, value, checksum=True):
    def change(file):
        file[name][row] = value
        if not checksum:
            del file[name].attrs['crc32']

    return change


def removed(*names):
    def change(file):
        for name in names:
            del file[name]

    return change


@pytest.mark.parametrize(
    'change, message',
    (
        (overwritten('training/person', 0, 4), 'training/person was damaged'),
        (overwritten('training/votes', 0, [9] * 7), 'training/votes was damaged'),
        (overwritten('people', 0, b'X'), 'people was damaged'),
        (
            overwritten('test/person', 1, 5, False),
            'test/person: expected -1 or the index of one of 5 people, found .* to 5',
        ),
        (
            overwritten('test/votes', 1, [0] * 7, False),
            'test/votes row 1: expected numbers >= 0, at least one of them above 0',
        ),
        (replaced('test/person', np.zeros(3, np.int32)), r'test/person: expected the shape \(84,\), found \(3,\)'),
        (replaced('test/person', np.zeros(84)), 'test/person is not a 1-dimensional array of int32'),
        (replaced('test/votes', np.ones((84, 7))), 'test/votes is not a 2-dimensional array of uint8 or float32'),
        (replaced('people', np.arange(5)), 'people is not a 1-dimensional array of bytes'),
        (removed('test/person'), 'test has no person, but other subsets do'),
        (removed('training/votes'), 'training has no votes, but other subsets do'),
        (removed('people'), 'expected -1 or the index of one of 0 people'),
        (removed('test/person', 'training/person'), 'has names of people, but no column person'),
    ),
)
def test_damage_gets_one_error(tmp_path, known, change, message):
    (path,) = build(known, (1,), tmp_path, info=quiet)
    with h5py.File(path, 'r+') as file:
        change(file)
    with pytest.raises(DataError, match=message):
        load(path)
