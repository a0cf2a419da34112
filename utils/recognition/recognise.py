"""`recognise`: find the faces of pictures and videos and classify their expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.recognition.classifier import Classifier
from utils.recognition.crops import crop
from utils.recognition.detection import detector_of
from utils.recognition.results import Recognition, face_of
from utils.recognition.sources import frames_of
from utils.recognition.tracks import Tracker

if TYPE_CHECKING:
    from utils.experiment.context import Context
    from utils.recognition.sources import Frame


SHIPPED = Path(__file__).parents[2] / 'trained_models' / 'fer2013_B.h5'


def shipped_model() -> Path:
    """Return the path of the model that ships with symfer.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    """
    if not SHIPPED.is_file():
        raise FileNotFoundError(f"the model that ships with symfer, '{SHIPPED}', is missing: name one with --model")
    return SHIPPED


class Recogniser:
    """Detects, crops and classifies the faces of frames.

    Parameters
    ----------
    classifier : Classifier
        Classifier, or a function of faces (n, height, width) uint8 with attributes `classes` and `size`.
    detector : {'yunet', 'none'} or callable
        Detector, see `utils.recognition.detection.detector_of`.
    level : bool
        Whether to rotate each face so that its eyes are level.
    min_probability : float
        Probability in [0, 1] below which the answer is 'unsure'.

    Raises
    ------
    ValueError
        An argument is wrong.
    MissingExtra
        The detector is not installed.
    """

    def __init__(
        self,
        classifier: Classifier,
        detector: Callable[..., Any] | str = 'yunet',
        *,
        level: bool = False,
        min_probability: float = 0.0,
    ) -> None:
        if not 0 <= min_probability <= 1:
            raise ValueError(f'min_probability must lie in [0, 1], got {min_probability!r}')
        self.classifier, self.detector = classifier, detector_of(detector)
        self.level, self.min_probability = level, min_probability
        self.shifts = getattr(classifier, 'frames', ((0.0, 0.0),))

    def __call__(self, frame: Frame, tracker: Tracker | None = None) -> Recognition:
        """Recognise the faces of a `Frame`; a tracker numbers its persons."""
        return self.recognise([frame], tracker)[0]

    def recognise(self, frames: Sequence[Frame], tracker: Tracker | None = None) -> list[Recognition]:
        """Recognise the faces of several frames, classifying them all together."""
        found = [sorted(self.detector(frame.picture), key=lambda one: -one.area) for frame in frames]
        size = self.classifier.size
        faces = [
            crop(f.picture, one, size, level=self.level, shift=shift)
            for f, boxes in zip(frames, found)
            for one in boxes
            for shift in self.shifts
        ]
        p = np.empty((0, len(self.classifier.classes)))
        if faces:
            frames_of_faces = np.stack(faces)
            if len(self.shifts) > 1:
                frames_of_faces = frames_of_faces.reshape(-1, len(self.shifts), *size)
            p = self.classifier(frames_of_faces)
        out, start = [], 0
        for frame, boxes in zip(frames, found):
            persons = tracker(boxes, frame.time or 0.0) if tracker else [None] * len(boxes)
            values = p[start : start + len(boxes)]
            start += len(boxes)
            seen = tuple(
                face_of(one, row, self.classifier.classes, self.min_probability, person)
                for one, row, person in zip(boxes, values, persons)
            )
            height, width = frame.picture.shape[:2]
            out.append(Recognition(frame.file, frame.frame, frame.time, width, height, seen, frame.picture))
        return out


def recognise(
    context: Context,
    source: str | np.ndarray,
    model: Any = None,
    *,
    network: Any = None,
    detector: str = 'yunet',
    level: bool = False,
    views: str = 'mirror',
    raw: bool = False,
    min_probability: float = 0.0,
    every: int = 1,
    problems: list[str] | None = None,
) -> Iterator[Recognition]:
    """Find the faces of pictures or videos and classify their expressions.

    An expression is not a feeling; see docs/recognition.md for the limits of the model.

    Parameters
    ----------
    source : path, int, array or iterable
        Picture, folder, video, number of a camera, array of a picture (grey, or blue, green, red), or several of these.
    model : path, optional
        Model file written by `test` or `export`; by default that shipped with symfer.
    network : class, optional
        Class of the network, if it is not one of symfer's.
    detector : {'yunet', 'none'} or callable
        Detector. 'none' treats the picture as a face. A callable maps a picture, uint8 (h, w, 3), to a list of
        `utils.recognition.detection.Detection`.
    level : bool
        Whether to rotate each face so that its eyes are level.
    views : {'mirror', 'shifts', 'none'}
        Test-time augmentation. 'mirror' averages over a face and its mirror image, 'shifts' over these for five shifted
        crops, which takes five times as long, and 'none' uses only the face.
    raw : bool
        Whether to ignore the temperature stored in the model.
    min_probability : float
        Probability in [0, 1] below which the answer is 'unsure'.
    every : int
        Interval of the frames that are read from a video or camera; 1 reads every frame.
    problems : list, optional
        List to which a line is appended for each file that cannot be read. Without it, the first such file raises an
        error.

    Yields
    ------
    Recognition
        Faces of each picture or frame, as soon as they are known. The faces of a video are numbered by person.

    Raises
    ------
    ValueError
        An argument is wrong, the file is not a model, or a source cannot be read.
    OSError
        A file is missing or cannot be read.
    MissingExtra
        A library or the detector is not installed.
    """
    classifier = Classifier(context, model or shipped_model(), network=network, raw=raw, views=views)
    recogniser = Recogniser(classifier, detector, level=level, min_probability=min_probability)
    return recognised(recogniser, frames_of(source, problems, every))


def recognised(recogniser: Recogniser, frames: Iterator[Any]) -> Iterator[Recognition]:
    """Yield the results of frames. `recognise` returns this generator so that it checks its arguments immediately."""
    tracker, file = Tracker(), None
    for frame in frames:
        if frame.file != file:
            tracker, file = Tracker(), frame.file
        yield recogniser(frame, tracker if frame.frame is not None else None)
