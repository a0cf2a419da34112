"""What is found: a `Face`, and a `Recognition` with the faces of one picture or frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from utils.recognition.detection import Detection

UNSURE = 'unsure'


@dataclass(frozen=True)
class Face:
    """A face and what the model says of its expression.

    Attributes
    ----------
    left, top, width, height : int
        Its box in pixels of the picture.
    detection : float
        Score of the detector, 0 to 1.
    landmarks : tuple of (float, float)
        See `Detection`.
    probabilities : dict of str to float
        Of every class of the model; they sum to 1.
    answer : str
        The most probable class, or 'unsure' below the least probability that was asked for.
    person : int or None
        Number of the track that the face belongs to, where frames follow one another.
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
        """Pixels of the box."""
        return self.width * self.height

    @property
    def probability(self) -> float:
        """Of the most probable class."""
        return max(self.probabilities.values())


@dataclass(frozen=True)
class Recognition:
    """The faces of one picture or frame, the largest first.

    Attributes
    ----------
    file : str
        Path of the picture or video; 'camera 0'; 'array'.
    frame : int or None
        Number of the frame, from 0; None for a picture.
    time : float or None
        Seconds since the beginning of the video or since the camera was opened.
    width, height : int
        Of the picture.
    faces : tuple of Face
    picture : array (height, width, 3) uint8
        Blue, green, red.
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
    """A `Face` of a detection and the probabilities of the classes, an array (n_classes,)."""
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
