"""`recognise`: the faces of pictures and videos with the emotions that a model sees in them."""

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
    """The model that comes with symfer.

    Raises
    ------
    FileNotFoundError
        It is not there.
    """
    if not SHIPPED.is_file():
        raise FileNotFoundError(f"the model that ships with symfer, '{SHIPPED}', is not there: name one with --model")
    return SHIPPED


class Recogniser:
    """Detector, crop and classifier of one picture after the other.

    Parameters
    ----------
    classifier : Classifier
        Or a function of faces (n, height, width) uint8 with attributes `classes` and `size`.
    detector : {'yunet', 'none'} or callable
        See `utils.recognition.detection.detector_of`.
    level : bool
        Turn each face so that its eyes are level.
    min_probability : float
        In [0, 1]: the answer is 'unsure' below it.

    Raises
    ------
    ValueError, MissingExtra
        A wrong argument; a detector that is not installed.
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
        """What a `Frame` shows; a tracker numbers its persons."""
        return self.recognise([frame], tracker)[0]

    def recognise(self, frames: Sequence[Frame], tracker: Tracker | None = None) -> list[Recognition]:
        """What several frames show; their faces go through the network together."""
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
    """Find the faces of pictures or videos and the emotions that a model sees in them.

    An expression is not a feeling; see docs/recognition.md for what the model can and cannot tell.

    Parameters
    ----------
    source : path, int, array or iterable
        A picture, a folder, a video, the number of a camera, a picture as an array (grey, or blue, green, red), or
        several of these.
    model : path, optional
        Written by `test` or `export`; by default the one that ships with symfer.
    network : class, optional
        The network's class, where it is one of your own.
    detector : {'yunet', 'none'} or callable
        'none': the picture is a face. A function of a picture (h, w, 3) uint8 gives a list of
        `utils.recognition.detection.Detection`.
    level : bool
        Turn each face so that its eyes are level.
    views : {'mirror', 'shifts', 'none'}
        The mean over a face and its mirror image; over these in five frames, which takes five times as long; the face
        alone.
    raw : bool
        Leave out the temperature that the model holds.
    min_probability : float
        In [0, 1]: the answer is 'unsure' below it.
    every : int
        Only every such frame of a video or camera.
    problems : list, optional
        Is given a line for each file that cannot be read; without it the first one is an error.

    Yields
    ------
    Recognition
        Of each picture or frame, as soon as it is known. Faces of a video's frames are numbered by person.

    Raises
    ------
    ValueError, OSError, MissingExtra
        A wrong argument, no model, nothing to see, or a library that is not installed.
    """
    classifier = Classifier(context, model or shipped_model(), network=network, raw=raw, views=views)
    recogniser = Recogniser(classifier, detector, level=level, min_probability=min_probability)
    return recognised(recogniser, frames_of(source, problems, every))


def recognised(recogniser: Recogniser, frames: Iterator[Any]) -> Iterator[Recognition]:
    """The generator of `recognise`, whose arguments are checked before it is asked for anything."""
    tracker, file = Tracker(), None
    for frame in frames:
        if frame.file != file:
            tracker, file = Tracker(), frame.file
        yield recogniser(frame, tracker if frame.frame is not None else None)
