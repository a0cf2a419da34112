"""Results as lines for the terminal, as JSON in the format of Microsoft's Emotion API, and as CSV with a row per face.

Files are written while results arrive and consist of whole rows at any time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from utils.files.terminal import cell, visible
from utils.recognition.results import Recognition

if TYPE_CHECKING:
    from utils.annotations import StrPath


def lines_of(one: Recognition) -> list[str]:
    """Return a result as lines of text."""
    where = one.file if one.frame is None else f'{one.file}, {one.time:.2f} s'
    if not one.faces:
        return [f'{where}: no face']
    lines = []
    for k, face in enumerate(one.faces, start=1):
        best = sorted(face.probabilities.items(), key=lambda entry: -entry[1])[:3]
        person = f'person {face.person}' if face.person is not None else f'face {k}'
        place = f'{face.width}x{face.height} at {face.left}, {face.top}'
        shares = ', '.join(f'{name} {100 * p:.0f} %' for name, p in best)
        lines.append(f'{where}: {person} ({place}): {face.answer}  ({shares})')
    return [visible(line) for line in lines]


def as_json(one: Recognition) -> dict:
    """Return a result in the format of the Emotion API: `faceRectangle` and `scores` of the faces, largest first."""
    faces = [
        {
            'faceRectangle': {'left': face.left, 'top': face.top, 'width': face.width, 'height': face.height},
            'scores': face.probabilities,
            'answer': face.answer,
            'detection': round(face.detection, 4),
            'landmarks': [[round(x, 1), round(y, 1)] for x, y in face.landmarks],
            **({} if face.person is None else {'person': face.person}),
        }
        for face in one.faces
    ]
    where = {'file': one.file, 'width': one.width, 'height': one.height}
    if one.frame is not None:
        where |= {'frame': one.frame, 'time': round(one.time or 0.0, 4)}
    return {**where, 'faces': faces}


class JsonFile:
    """A JSON array that is written entry by entry. `close` completes it, also after an interruption."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.first = file, True
        self.file.write('[')

    def add(self, one: Recognition) -> None:
        """Write a result."""
        self.file.write(('\n' if self.first else ',\n') + json.dumps(as_json(one), ensure_ascii=False))
        self.first = False

    def close(self) -> None:
        """End the array."""
        self.file.write('\n]\n')
        self.file.flush()


class CsvFile:
    """A CSV table with a row for each face. A picture without faces has one row with these columns empty."""

    BEGINNING = ('file', 'frame', 'time', 'person', 'left', 'top', 'width', 'height', 'detection', 'answer')

    def __init__(self, file: TextIO, classes: Sequence[str]) -> None:
        self.file, self.classes = file, tuple(classes)
        self.writer = csv.writer(file)
        self.writer.writerow([*self.BEGINNING, *(f'p_{name}' for name in self.classes)])

    def add(self, one: Recognition) -> None:
        """Write the rows of a result."""
        where = [cell(one.file), '' if one.frame is None else one.frame, '' if one.time is None else f'{one.time:.3f}']
        for face in one.faces:
            box = [face.left, face.top, face.width, face.height, f'{face.detection:.3f}', cell(face.answer)]
            shares = [f'{face.probabilities[name]:.5f}' for name in self.classes]
            self.writer.writerow([*where, '' if face.person is None else face.person, *box, *shares])
        if not one.faces:
            self.writer.writerow([*where, *[''] * (7 + len(self.classes))])
        self.file.flush()

    def close(self) -> None:
        """Do nothing, because every row is flushed as it is written."""


def check_output(path: StrPath, overwrite: bool = False) -> Path:
    """Check a path to write to, create its folder, and return it.

    Raises
    ------
    FileExistsError
        The file exists and `overwrite` is False.
    ValueError
        The path is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"'{path}' is a folder: give a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"'{path}' already exists: choose another name, or use --overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
