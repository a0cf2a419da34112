"""Detection, crops and tracks."""

import numpy as np
import pytest

from utils.files.extras import MissingExtra
from utils.recognition import detection
from utils.recognition.crops import crop, slope_of, square_of
from utils.recognition.detection import Detection, detector_of, overlap, suppressed, whole_picture
from utils.recognition.tracks import Tracker, changes, smoothed


def test_grace_hopper_has_one_face_at_every_size(yunet, hopper):
    import cv2

    for factor in (0.25, 1, 4):
        size = int(512 * factor), int(600 * factor)
        (face,) = yunet(cv2.resize(hopper, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC))
        assert face.score > 0.8
        x, y = (face.left + face.width / 2) / factor, (face.top + face.height / 2) / factor
        assert abs(x - 268) < 12 and abs(y - 226) < 15
        assert len(face.landmarks) == 5 and abs(slope_of(face)) < 5


def test_a_small_face_in_a_large_picture_is_found_at_the_second_look(yunet, hopper):
    import cv2

    large = np.full((1400, 2000, 3), 90, np.uint8)
    large[700:820, 900:1002] = cv2.resize(hopper, (102, 120), interpolation=cv2.INTER_AREA)
    (face,) = yunet(large)
    assert 900 < face.left < 1000 and 700 < face.top < 800


@pytest.mark.parametrize('shape', [(1, 1, 3), (5, 400, 3), (200, 200, 3)])
def test_a_picture_without_a_face_gives_none(yunet, shape):
    assert yunet(np.zeros(shape, np.uint8)) == []


def test_boxes_that_overlap_are_joined_by_score():
    a, b, c = Detection(0, 0, 10, 10, 0.8), Detection(1, 1, 10, 10, 0.9), Detection(30, 0, 10, 10, 0.7)
    assert overlap(a, b) == pytest.approx(81 / 119) and overlap(a, c) == 0
    assert suppressed([a, b, c]) == [b, c]


def test_the_detector_that_is_missing_says_how_to_have_it(monkeypatch):
    monkeypatch.delenv('SYMFER_FACE_MODEL', raising=False)
    monkeypatch.setattr(detection.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(MissingExtra, match=r'pip install -e "\.\[faces\]"'):
        detector_of('yunet')
    monkeypatch.setenv('SYMFER_FACE_MODEL', __file__)
    with pytest.raises(ValueError, match='is not YuNet 2023mar'):
        detector_of('yunet')
    monkeypatch.setenv('SYMFER_FACE_MODEL', 'nowhere.onnx')
    with pytest.raises(ValueError, match="got 'nowhere.onnx', which does not exist"):
        detector_of('yunet')
    with pytest.raises(ValueError, match="detector must be 'yunet', 'none' or a function"):
        detector_of('haar')


def test_the_whole_picture_is_its_middle_square(rng):
    picture = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    (face,) = whole_picture(picture)
    got = crop(picture, face, (40, 40))
    weights = np.array([0.114, 0.587, 0.299])
    assert abs(got - picture[:, 10:50] @ weights).max() <= 1


def test_a_crop_is_the_square_of_fer2013(rng):
    face = Detection(100, 50, 80, 100, 0.9, ((120, 90), (160, 90), (140, 110), (125, 130), (155, 130)))
    x, y, side = square_of(face)
    assert (x, y, side) == (140, 100 - 1.4, 95)
    grey = rng.integers(0, 256, (200, 300)).astype(np.uint8)
    got = crop(np.repeat(grey[:, :, None], 3, axis=2), face, (95, 95))
    np.testing.assert_array_equal(got, grey[51 : 51 + 95, 92 : 92 + 95])


def test_beyond_the_edge_lies_the_mirror_image(rng):
    grey = rng.integers(0, 256, (20, 20)).astype(np.uint8)
    got = crop(np.repeat(grey[:, :, None], 3, axis=2), Detection(-10, -10, 40, 40), (40, 40))
    np.testing.assert_array_equal(got, np.pad(grey, 10, mode='symmetric'))
    assert crop(np.zeros((2, 2, 3), np.uint8), Detection(-900, -900, 1800, 1800), (48, 48)).shape == (48, 48)


def test_levelling_turns_the_eyes_level():
    import cv2

    picture = np.zeros((200, 200, 3), np.uint8)
    left, right = (80, 90), (120, 110)
    for point in (left, right):
        cv2.circle(picture, point, 4, (255, 255, 255), -1)
    face = Detection(50, 50, 100, 100, 1, (left, right, (100, 120), (85, 135), (115, 140)))
    assert slope_of(face) == pytest.approx(26.565, abs=0.01)
    turned = crop(picture, face, (96, 96), level=True)
    rows = [np.nonzero(half.sum(axis=1))[0].mean() for half in (turned[:, :48], turned[:, 48:])]
    assert abs(rows[0] - rows[1]) < 1
    plain = crop(picture, face, (96, 96))
    rows = [np.nonzero(half.sum(axis=1))[0].mean() for half in (plain[:, :48], plain[:, 48:])]
    assert rows[1] - rows[0] > 15


def test_a_shifted_and_scaled_crop_is_what_it_says(rng):
    grey = rng.integers(0, 256, (300, 300)).astype(np.uint8)
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    got = crop(picture, Detection(100, 100, 100, 100), (100, 100), shift=(0.1, -0.2))
    np.testing.assert_array_equal(got, grey[80:180, 110:210])
    got = crop(picture, Detection(100, 100, 100, 100), (120, 120), scale=1.2)
    np.testing.assert_array_equal(got, grey[90:210, 90:210])


def test_faces_are_linked_to_persons_by_overlap():
    tracker = Tracker(patience=1.0)
    a, b = Detection(0, 0, 20, 20), Detection(100, 0, 20, 20)
    assert tracker([a, b], 0.0) == [1, 2]
    assert tracker([Detection(104, 0, 20, 20), Detection(3, 0, 20, 20)], 0.1) == [2, 1]
    assert tracker([], 0.2) == []
    assert tracker([Detection(5, 0, 20, 20)], 0.9) == [1]
    assert tracker([Detection(5, 0, 20, 20)], 3.0) == [3]  # gone for too long


def test_smoothing_is_a_mean_with_gaussian_weights(rng):
    times, values = np.sort(rng.random(30)) * 5, rng.random((30, 2))
    got = smoothed(times, values, 0.4)
    for k in range(30):
        weights = np.exp(-0.5 * ((times - times[k]) / 0.4) ** 2)
        np.testing.assert_allclose(got[k], weights @ values / weights.sum(), atol=2e-3)
    np.testing.assert_array_equal(smoothed(times, values, 0), values)


def test_changes_are_moments_that_last():
    values = np.eye(3)[[0, 0, 0, 1, 0, 0, 2, 2, 2, 2]]
    assert changes(np.arange(10) * 0.1, values, 0.25) == [(0.0, 0), (pytest.approx(0.6), 2)]
    assert changes([], np.empty((0, 3))) == []
