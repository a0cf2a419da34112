"""The geometry of drawn faces: action units move what they should."""

import numpy as np
import pytest

from loaders.synthetic.faces.action_units import ACTION_UNITS, PROTOTYPES, express
from loaders.synthetic.faces.people import Person, draw_person, half_face, landmarks
from loaders.synthetic.sample import EMOTIONS


def face_with(*units):
    """Return landmarks and folds of an average half face under full action units."""
    return half_face(Person(), dict.fromkeys(units, 1.0))


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
    """Average each image to 24x24, standardise it to mean 0 and variance 1, and append a bias: (n, 577)."""
    x = images.reshape(-1, 24, 2, 24, 2).mean((2, 4)).reshape(len(images), -1)
    x = (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1)
    return np.concatenate([x, np.ones((len(x), 1))], 1)


def test_a_linear_classifier_learns_from_the_faces_but_not_all(faces):
    """Ridge regression on one-hot labels, as an independent measure.

    The images must give more information than the class frequencies. Labels shuffled among the training images must
    give none.
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
