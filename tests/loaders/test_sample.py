"""The drawn sample set: its layout, its chances, its faces."""

import csv
import os

import numpy as np
import pytest

from loaders.synthetic.faces.action_units import ACTION_UNITS, PROTOTYPES, express
from loaders.synthetic.faces.people import Person, draw_person, half_face, landmarks
from loaders.synthetic.sample import EMOTIONS, FREQUENCIES, draw_face, draw_faces, early_classes, write_csv


@pytest.fixture(scope='module')
def faces():
    """1200 + 60 + 300 images drawn once for the tests that only look."""
    return draw_faces(1200, 60, 300, seed=3)


def face_with(*units):
    """Landmarks and folds of an average half face under full action units."""
    return half_face(Person(), dict.fromkeys(units, 1.0))


def test_images_labels_and_usage_have_the_stated_form(faces):
    images, labels, usage = faces
    assert images.shape == (1560, 48, 48) and images.dtype == np.uint8
    assert labels.shape == usage.shape == (1560,)
    assert labels.dtype == usage.dtype == np.uint8
    assert np.bincount(usage).tolist() == [1200, 60, 300]
    assert (np.diff(usage.astype(int)) >= 0).all()


def test_images_use_the_range_and_are_no_flat_fields(faces):
    images = faces[0]
    assert images.min() == 0 and images.max() == 255
    assert images.reshape(len(images), -1).std(1).min() > 4
    assert 60 < images.mean() < 190


def test_no_two_images_are_equal(faces):
    images = faces[0]
    assert len({image.tobytes() for image in images}) == len(images)


def test_classes_are_as_frequent_as_in_fer2013(faces):
    images, labels, usage = faces
    expected = np.array(FREQUENCIES) / sum(FREQUENCIES)
    counts = np.bincount(labels[usage == 0], minlength=7)
    # four standard errors, and the seven images that are planned
    bound = 4 * np.sqrt(expected * (1 - expected) * 1200) + 1
    assert (np.abs(counts - 1200 * expected) < bound).all()


@pytest.mark.parametrize('seed', [0, 1, 7])
def test_fifty_images_have_every_class(seed):
    for subset in range(3):
        assert sorted(early_classes(seed, subset).values()) == list(range(7))
        assert max(early_classes(seed, subset)) < 50
    _, labels, usage = draw_faces(50, 0, 50, seed=seed, wrong_labels=0.9)
    for subset in (0, 2):
        assert set(labels[usage == subset]) == set(range(7))


def test_same_seed_same_images_other_seed_others():
    first, second = draw_faces(5, 3, 2, seed=4), draw_faces(5, 3, 2, seed=4)
    for a, b in zip(first, second):
        assert np.array_equal(a, b)
    other = draw_faces(5, 3, 2, seed=5)[0]
    assert not (first[0] == other).all((1, 2)).any()


def test_a_longer_subset_begins_with_the_shorter_one():
    short_images, short_labels, short_usage = draw_faces(6, 2, 4, seed=1)
    images, labels, usage = draw_faces(60, 11, 9, seed=1)
    for subset, n in enumerate((6, 2, 4)):
        assert np.array_equal(images[usage == subset][:n], short_images[short_usage == subset])
        assert np.array_equal(labels[usage == subset][:n], short_labels[short_usage == subset])


def test_wrong_labels_are_as_many_as_asked_on_the_same_images(faces):
    images, labels, usage = faces
    n = 600
    true_images, true, _ = draw_faces(n, 0, 0, seed=3, wrong_labels=0)
    assert np.array_equal(true_images, images[:n])
    share = (labels[:n] != true).mean()
    assert abs(share - 0.08) < 4 * np.sqrt(0.08 * 0.92 / n)
    _, labels, _ = draw_faces(200, 0, 0, seed=3, wrong_labels=0.5)
    assert abs((labels != true[:200]).mean() - 0.5) < 0.15


def test_no_images_is_an_empty_set():
    images, labels, usage = draw_faces(0, 0, 0)
    assert images.shape == (0, 48, 48) and len(labels) == len(usage) == 0


def test_csv_is_the_layout_of_the_challenge(tmp_path):
    path = tmp_path / 'sample.csv'
    assert write_csv(path, 7, 3, 2, seed=2, wrong_labels=0.3) == path
    images, labels, _ = draw_faces(7, 3, 2, seed=2, wrong_labels=0.3)
    with open(path, newline='') as file:
        header, *rows = csv.reader(file)
    assert header == ['emotion', 'pixels', 'Usage']
    assert [row[2] for row in rows] == (['Training'] * 7 + ['PublicTest'] * 3 + ['PrivateTest'] * 2)
    assert [int(row[0]) for row in rows] == labels.tolist()
    for row, image in zip(rows, images):
        pixels = [int(word) for word in row[1].split(' ')]
        assert len(pixels) == 2304
        # row-major: pixel 48 r + c is row r, column c
        assert pixels[48 * 5 + 9] == image[5, 9]
        assert pixels == image.ravel().tolist()


def test_csv_is_the_same_to_the_byte_and_ends_alone(tmp_path):
    write_csv(tmp_path / 'a.csv', 4, 2, 1, seed=9)
    write_csv(str(tmp_path / 'b.csv'), 4, 2, 1, seed=9)
    first = (tmp_path / 'a.csv').read_bytes()
    assert first == (tmp_path / 'b.csv').read_bytes()
    assert b'\r' not in first and first.endswith(b'Test\n')
    assert sorted(os.listdir(tmp_path)) == ['a.csv', 'b.csv']


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / 'sample.csv'
    path.write_text('before')

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        write_csv(path, 2, 0, 0)
    assert os.listdir(tmp_path) == ['sample.csv']
    assert path.read_text() == 'before'


def test_path_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match='can be written, got .*where'):
        write_csv(tmp_path / 'nowhere' / 'sample.csv', 1, 0, 0)
    with pytest.raises(IsADirectoryError, match='must name a file, got'):
        write_csv(tmp_path, 1, 0, 0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('emotion', [-1, 7, 2.5, 'happy', None])
def test_emotion_outside_the_seven_is_refused(emotion):
    with pytest.raises(ValueError, match='from 0 to 6, got'):
        draw_face(emotion, np.random.default_rng(0))


@pytest.mark.parametrize('size', [0, -48, 7, 47.5])
def test_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match='size must be'):
        draw_face(0, np.random.default_rng(0), size)


@pytest.mark.parametrize(
    'arguments, word', [((-1, 0, 0), 'n_training'), ((1, -2, 0), 'n_public'), ((1, 0, 1.5), 'n_private')]
)
def test_impossible_number_of_images_is_refused(arguments, word, tmp_path):
    with pytest.raises(ValueError, match=word + ' must be .*, got'):
        draw_faces(*arguments)
    with pytest.raises(ValueError, match=word):
        write_csv(tmp_path / 'x.csv', *arguments)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('value', [-0.1, 1, 1.5, float('nan')])
def test_impossible_share_of_wrong_labels_is_refused(value):
    with pytest.raises(ValueError, match='wrong_labels must lie in'):
        draw_faces(1, 0, 0, wrong_labels=value)


def test_prototypes_are_those_of_emfacs():
    by_name = {EMOTIONS[label]: units for label, units in PROTOTYPES.items()}
    assert by_name == {
        'happy': (6, 12),
        'sad': (1, 4, 15),
        'surprise': (1, 2, 5, 26),
        'fear': (1, 2, 4, 5, 7, 20, 26),
        'angry': (4, 5, 7, 23),
        'disgust': (9, 15, 17),
        'neutral': (),
    }
    assert {unit for units in PROTOTYPES.values() for unit in units} <= set(ACTION_UNITS)


@pytest.mark.parametrize('unit', sorted(ACTION_UNITS))
def test_every_action_unit_moves_the_face_and_zero_does_not(unit):
    rest, _ = face_with()
    still, folds = half_face(Person(), {unit: 0.0})
    moved, _ = face_with(unit)
    assert all(np.allclose(rest[name], still[name]) for name in rest)
    assert not any(folds.values())
    assert max(np.abs(moved[name] - rest[name]).max() for name in rest) > 0.03


@pytest.mark.parametrize(
    'unit, curve, point, dx, dy',
    [
        (1, 'brow', 0, 0, -1),  # inner brow up
        (2, 'brow', 3, 0, -1),  # outer brow up
        (4, 'brow', 0, -1, +1),  # brows together and down
        (5, 'upper_lid', 2, 0, -1),  # upper lid up
        (6, 'cheek', 0, 0, -1),  # cheek up
        (7, 'lower_lid', 2, 0, -1),  # lower lid up
        (9, 'nose', 3, +1, -1),  # nose wing up
        (12, 'upper_lip', -1, +1, -1),  # lip corner out and up
        (15, 'upper_lip', -1, +1, +1),  # lip corner down
        (17, 'lower_lip', 0, 0, -1),  # lower lip up
        (20, 'upper_lip', -1, +1, +1),  # lip corner out
        (23, 'lower_lip', 0, 0, -1),  # lips thin
        (25, 'lower_inner_lip', 0, 0, +1),  # lips apart
        (26, 'outline', -1, 0, +1),  # chin down
        (43, 'upper_lid', 2, 0, +1),
    ],
)  # upper lid down
def test_action_unit_moves_its_landmark_its_way(unit, curve, point, dx, dy):
    """x grows away from the middle of the face, y downwards; 0: x is free."""
    rest, moved = face_with()[0][curve], face_with(unit)[0][curve]
    step = moved[point] - rest[point]
    assert step[1] * dy > 0.01
    if dx:
        assert step[0] * dx > 0.005


def test_brow_raisers_divide_the_brow_between_them():
    rest = face_with()[0]['brow'][:, 1]
    inner = rest - face_with(1)[0]['brow'][:, 1]
    outer = rest - face_with(2)[0]['brow'][:, 1]
    assert inner[0] > 0.1 > inner[-1] and outer[-1] > 0.1 > outer[0]
    both = rest - face_with(1, 2)[0]['brow'][:, 1]
    assert (both > 0.1).all()


def test_mouth_opens_with_the_jaw_only_as_far_as_it_falls():
    def opening(*units):
        points = face_with(*units)[0]
        return points['lower_inner_lip'][0, 1] - points['upper_inner_lip'][0, 1]

    assert opening() < 0.01 < 0.05 < opening(25) < opening(26)
    half = half_face(Person(), {26: 0.5})[0]['outline'][-1, 1]
    rest, full = face_with()[0]['outline'], face_with(26)[0]['outline']
    assert rest[-1, 1] < half < full[-1, 1]


def test_closed_eye_has_no_opening():
    points = face_with(43)[0]
    assert np.allclose(points['upper_lid'], points['lower_lid'])


@pytest.mark.parametrize('seed', range(20))
def test_lids_and_lips_never_pass_through_one_another(seed):
    rng = np.random.default_rng(seed)
    person, units = draw_person(rng), express(seed % 7, rng)
    points, folds = half_face(person, units)
    for above, below in (
        ('upper_lid', 'lower_lid'),
        ('upper_lip', 'upper_inner_lip'),
        ('upper_inner_lip', 'lower_inner_lip'),
        ('lower_inner_lip', 'lower_lip'),
    ):
        assert (points[above][:, 1] <= points[below][:, 1] + 1e-12).all()
    assert min(folds.values()) >= 0


def test_whole_face_is_symmetric_where_its_halves_agree():
    units = {1: 0.5, 12: 0.8}
    curves, _ = landmarks(Person(), units, units)
    assert np.allclose(curves['brow_left'] * (-1, 1), curves['brow_right'])
    assert np.allclose(curves['lower_lip'][::-1] * (-1, 1), curves['lower_lip'])
    curves, _ = landmarks(Person(), {12: 0.2}, {12: 1.0})
    assert curves['lower_lip'][-1, 1] < curves['lower_lip'][0, 1] - 0.05


def test_faces_of_one_emotion_differ_in_their_action_units():
    faces = [express(2, np.random.default_rng(i)) for i in range(200)]
    for unit in PROTOTYPES[2]:
        share = np.mean([unit in face for face in faces])
        values = [face[unit] for face in faces if unit in face]
        assert 0.75 < share < 1
        assert np.std(values) > 0.1 and 0 < min(values) < max(values) <= 1.2


def standardized(images):
    """24x24 averages of each image, mean 0 and variance 1: (n, 577) + bias."""
    x = images.reshape(-1, 24, 2, 24, 2).mean((2, 4)).reshape(len(images), -1)
    x = (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1)
    return np.concatenate([x, np.ones((len(x), 1))], 1)


def test_a_linear_classifier_learns_from_the_faces_but_not_all(faces):
    """Ridge regression on one-hot labels, as an independent measure.

    The images alone must tell more than the class frequencies do; labels
    shuffled among the training images must tell nothing.
    """
    images, labels, usage = faces
    x = standardized(images[usage == 0])
    test = standardized(images[usage == 2])
    t, test_t = labels[usage == 0], labels[usage == 2]

    def accuracy(t):
        gram = x.T @ x + 300 * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ np.eye(7)[t])
        return ((test @ weights).argmax(1) == test_t).mean()

    majority = (test_t == np.bincount(t).argmax()).mean()
    assert accuracy(t) > majority + 0.10
    assert accuracy(t) < 0.85
    assert accuracy(np.random.default_rng(0).permutation(t)) < majority + 0.05
