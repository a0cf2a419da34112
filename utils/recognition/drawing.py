"""Draw boxes, labels and bars on pictures and video, legible from 200 to 4,000 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from utils.files.atomic import atomic_write
from utils.recognition.results import UNSURE, Face, Recognition

FONT = cv2.FONT_HERSHEY_DUPLEX
# Paul Tol's bright scheme, distinguishable for colour-blind people: blue, green, red, in FER2013's order of classes.
COLOURS = (
    (119, 102, 238),
    (51, 136, 34),
    (119, 51, 170),
    (68, 187, 204),
    (170, 119, 68),
    (238, 204, 102),
    (187, 187, 187),
)
GREY = (110, 110, 110)


def colour_of(name: str, classes: Sequence[str]) -> tuple[int, int, int]:
    """Return the colour of a class, by its index; grey for 'unsure'."""
    return GREY if name == UNSURE else COLOURS[list(classes).index(name) % len(COLOURS)]


def annotated(one: Recognition, classes: Sequence[str]) -> np.ndarray:
    """Draw the faces of a result on a copy of its picture, (height, width, 3) uint8.

    Each face has its box with the answer above it and, if it is large enough, a bar for each class beside it.
    """
    picture = one.picture.copy()
    for face in reversed(one.faces):  # the largest is drawn last, on top
        _draw(picture, face, classes)
    return picture


def _draw(picture, face: Face, classes):
    height, width = picture.shape[:2]
    colour = colour_of(face.answer, classes)
    unit = max(1.0, min(height, width) / 400)  # scale of lines and letters, which grow with the picture
    thick = max(1, round(1.5 * unit))
    corner, opposite = (face.left, face.top), (face.left + face.width, face.top + face.height)
    cv2.rectangle(picture, corner, opposite, (255, 255, 255), thick + 2 * max(1, thick // 2), cv2.LINE_AA)
    cv2.rectangle(picture, corner, opposite, colour, thick, cv2.LINE_AA)
    label = face.answer if face.answer == UNSURE else f'{face.answer} {100 * face.probability:.0f} %'
    if face.person is not None:
        label = f'{face.person}: {label}'
    _label(picture, label, face, colour, 0.45 * unit)
    if face.height >= 60 * unit and len(classes) <= 12:
        _bars(picture, face, classes, unit)


def _label(picture, label, face, colour, size):
    height, width = picture.shape[:2]
    size = max(0.35, size)
    line = max(1, round(size * 1.2))
    (wide, high), below = cv2.getTextSize(label, FONT, size, line)
    if wide > width and len(label) > 4:
        size *= width / wide
        (wide, high), below = cv2.getTextSize(label, FONT, size, line)
    pad = max(2, high // 3)
    left = int(np.clip(face.left, 0, max(0, width - wide - 2 * pad)))
    bottom = face.top - pad if face.top - high - 3 * pad > 0 else min(face.top + face.height + high + 3 * pad, height)
    top = bottom - high - 2 * pad - below // 2
    cv2.rectangle(picture, (left, top), (left + wide + 2 * pad, bottom), colour, cv2.FILLED)
    dark = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2] < 140
    ink = (255, 255, 255) if dark else (0, 0, 0)
    cv2.putText(picture, label, (left + pad, bottom - pad - below // 4), FONT, size, ink, line, cv2.LINE_AA)


def _bars(picture, face, classes, unit):
    """Draw a bar for each class: to the right of the face if there is room, else to the left, else in its box."""
    height, width = picture.shape[:2]
    row = int(max(9 * unit, min(face.height / len(classes), 16 * unit)))
    size = row / 30
    line = max(1, round(size))
    text = max(cv2.getTextSize(name, FONT, size, line)[0][0] for name in classes)
    wide = int(text + 60 * unit)
    left = face.left + face.width + int(4 * unit)
    if left + wide > width:
        left = face.left - wide - int(4 * unit)
    if left < 0:
        left = max(0, min(face.left, width - wide))
    top = int(np.clip(face.top, 0, max(0, height - row * len(classes))))
    area = picture[top : top + row * len(classes), left : left + wide]
    if area.size:
        area[:] = (0.35 * area).astype(np.uint8)
    for k, name in enumerate(classes):
        y = top + k * row
        length = round(face.probabilities[name] * (wide - text - 8 * unit))
        start = left + text + int(6 * unit)
        cv2.rectangle(
            picture, (start, y + row // 5), (start + length, y + row - row // 5), colour_of(name, classes), cv2.FILLED
        )
        cv2.putText(
            picture, name, (left + int(2 * unit), y + int(0.72 * row)), FONT, size, (255, 255, 255), line, cv2.LINE_AA
        )


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture in the format of its name's ending, completely or not at all.

    Raises
    ------
    ValueError
        The ending is not that of a picture format.
    OSError
        The file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    try:
        good, data = cv2.imencode(suffix, picture)
    except cv2.error:
        good = False
    if not good:
        raise ValueError(f"'{path}' must end in .png or .jpg to be written as a picture")
    with atomic_write(path) as temporary:
        temporary.write_bytes(data.tobytes())


class VideoFile:
    """A video that is written frame by frame. Frames are fitted into the size of the first.

    Parameters
    ----------
    path : path
        File to write; its ending decides the format.
    rate : float
        Frames per second.

    Raises
    ------
    ValueError
        The ending is not that of a supported video format.
    """

    CODES = {'.mp4': 'mp4v', '.m4v': 'mp4v', '.avi': 'MJPG', '.mkv': 'MJPG', '.mov': 'mp4v'}

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.rate, self.size = Path(path), rate, None
        self.writer: Any = None
        if self.path.suffix.lower() not in self.CODES:
            raise ValueError(f"'{path}' must end in {', '.join(self.CODES)} to be written as a video")

    def add(self, picture: np.ndarray) -> None:
        """Write a frame."""
        height, width = picture.shape[:2]
        if self.writer is None:
            self.size = width - width % 2 or 2, height - height % 2 or 2  # codecs need even sides
            code = cv2.VideoWriter.fourcc(*self.CODES[self.path.suffix.lower()])
            self.writer = cv2.VideoWriter(str(self.path), code, self.rate, self.size)
            if not self.writer.isOpened():
                raise OSError(f"'{self.path}' cannot be written as a video")
        if (width, height) != self.size:
            picture = _fitted(picture, self.size)
        self.writer.write(picture)

    def close(self) -> None:
        """Finish the video file."""
        if self.writer is not None:
            self.writer.release()


def _fitted(picture, size):
    """Fit a picture into a size, keeping its proportions, with black borders."""
    height, width = picture.shape[:2]
    if 0 <= width - size[0] <= 1 and 0 <= height - size[1] <= 1:
        return np.ascontiguousarray(picture[: size[1], : size[0]])
    factor = min(size[0] / width, size[1] / height)
    small = cv2.resize(
        picture, (max(1, int(width * factor)), max(1, int(height * factor))), interpolation=cv2.INTER_AREA
    )
    out = np.zeros((size[1], size[0], 3), np.uint8)
    top, left = (size[1] - small.shape[0]) // 2, (size[0] - small.shape[1]) // 2
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out
