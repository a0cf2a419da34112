"""The results of recognition: `Face`, and `Recognition` with the faces of one picture or frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from utils.recognition.detection import Detection

UNSURE = 'unsure'


@dataclass(frozen=True)
class Face:
    """A face and the model's classification of its expression.

    Attributes
    ----------
    left, top, width, height : int
        Box in pixels of the picture.
    detection : float
        Score of the detector, 0 to 1.
    landmarks : tuple of (float, float)
        Landmarks, see `Detection`.
    probabilities : dict of str to float
        Probability of each class of the model; the probabilities sum to 1.
    answer : str
        Most probable class, or 'unsure' if its probability is below `min_probability`.
    person : int or None
        Number of the person, from the tracking of consecutive frames; None for a picture.
    """

    left: int
    top: int
    width: int
    height: int
    detection: float
    landmarks: tuple
    probabilities: dict[str, float]
    answer: str
    person: int | None = None

    @property
    def area(self) -> int:
        """Area of the box in square pixels."""
        return self.width * self.height

    @property
    def probability(self) -> float:
        """Probability of the most probable class."""
        return max(self.probabilities.values())


@dataclass(frozen=True)
class Recognition:
    """The faces of one picture or frame, the largest first.

    Attributes
    ----------
    file : str
        Path of the picture or video, 'camera 0' or 'array'.
    frame : int or None
        Number of the frame, counted from 0; None for a picture.
    time : float or None
        Time in seconds since the beginning of the video or the opening of the camera; None for a picture.
    width, height : int
        Size of the picture in pixels.
    faces : tuple of Face
        Faces, the largest first.
    picture : array (height, width, 3) uint8
        Picture in the order blue, green, red.
    """

    file: str
    frame: int | None
    time: float | None
    width: int
    height: int
    faces: tuple[Face, ...]
    picture: np.ndarray = field(repr=False, compare=False)


def face_of(
    detection: Detection,
    probabilities: np.ndarray,
    classes: Sequence[str],
    min_probability: float = 0.0,
    person: int | None = None,
) -> Face:
    """Make a `Face` from a detection and the probabilities of the classes, an array (n_classes,)."""
    values = {name: float(p) for name, p in zip(classes, probabilities, strict=True)}
    answer = max(values, key=values.__getitem__)
    return Face(
        round(detection.left),
        round(detection.top),
        round(detection.width),
        round(detection.height),
        detection.score,
        detection.landmarks,
        values,
        answer if values[answer] >= min_probability else UNSURE,
        person,
    )
