"""Sources of frames: pictures, folders, videos, cameras and arrays, read by generators in constant memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from utils.recognition import images

os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # our own errors describe a bad video; OpenCV reads this once
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.mjpeg', '.mjpg', '.ogv', '.ts')
THREADS, AHEAD = 2, 6  # threads that decode pictures; pictures decoded in advance
MOST_SIDE = 8192  # longest side of a video frame in pixels


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture and its origin, with the attributes of `utils.recognition.results.Recognition`."""

    file: str
    frame: int | None
    time: float | None
    picture: np.ndarray


class SourceError(ValueError):
    """A source gives no frames. The message names it and says why."""


def frames_of(source: Any, problems: list[str] | None = None, every: int = 1) -> Iterator[Frame]:
    """Yield the frames of a source.

    Parameters
    ----------
    source : path, int, array or iterable
        Picture, folder (read recursively), video, number of a camera, picture as an array (see
        `utils.recognition.images.of_array`), or several of these.
    problems : list, optional
        List to which a line is appended for each file of a folder or list that cannot be read. Without it, the first
        such file raises an error.
    every : int
        Interval of the frames that are read from a video or camera; 1 reads every frame.

    Raises
    ------
    SourceError, PictureError, OSError
        The source is missing, empty or cannot be read.
    """
    if every < 1:
        raise ValueError(f'every must be a whole number >= 1, got {every!r}')
    if isinstance(source, (bool, type(None))):
        raise SourceError(f'a source must be a file, a folder, the number of a camera or an array, got {source!r}')
    if isinstance(source, int):
        yield from _camera(source, every)
    elif isinstance(source, np.ndarray):
        yield Frame('array', None, None, images.of_array(source))
    elif isinstance(source, (str, Path)):
        yield from _path(Path(source), problems, every)
    elif isinstance(source, Iterable):
        for one in source:
            try:
                yield from frames_of(one, problems, every)
            except (SourceError, images.PictureError, OSError) as error:
                _note(problems, error)
    else:
        raise SourceError(f'a source must be a file, a folder, the number of a camera or an array, got {type(source)}')


def _note(problems, error):
    if problems is None:
        raise error
    problems.append(str(error))


def _path(path, problems, every):
    if path.is_dir():
        yield from _folder(path, problems, every)
    elif not path.exists():
        raise SourceError(f"'{path}' does not exist")
    elif not path.is_file():
        raise SourceError(f"'{path}' is neither a file nor a folder")
    elif path.suffix.lower() in VIDEOS:
        yield from _video(path, every)
    else:
        yield Frame(str(path), None, None, images.read(path))


def _folder(folder, problems, every):
    """Yield the pictures and videos below a folder in the order of their names, decoding pictures in threads."""
    files = sorted(p for p in folder.rglob('*') if p.suffix.lower() in (*images.SUFFIXES, *VIDEOS) and p.is_file())
    files = [path for path in files if not any(part.startswith('.') for part in path.relative_to(folder).parts)]
    if not files:
        raise SourceError(f"folder '{folder}' contains no pictures or videos")
    with ThreadPoolExecutor(THREADS) as pool:
        waiting, rest, ahead = deque(), iter(files), 2

        def refill():
            while len(waiting) < ahead and (path := next(rest, None)) is not None:
                still = path.suffix.lower() in images.SUFFIXES
                waiting.append((path, pool.submit(images.read, path) if still else None))

        refill()
        while waiting:
            path, read = waiting.popleft()
            try:
                if read is None:
                    yield from _video(path, every)
                else:
                    picture = read.result()
                    ahead = 1 if picture.shape[0] * picture.shape[1] > images.LARGE else AHEAD
                    yield Frame(str(path), None, None, picture)
            except (SourceError, images.PictureError, OSError) as error:
                _note(problems, error)
            refill()


def _video(path, every):
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise SourceError(f"'{path}' is not a video that can be read")
        yield from _captured(capture, str(path), every, f"'{path}' is a damaged video or has no frames")
    finally:
        capture.release()


def _camera(number, every):
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise SourceError(f'camera {number} does not exist or is used by another program')
        yield from _captured(capture, f'camera {number}', every, f'camera {number} gives no pictures', live=True)
    finally:
        capture.release()


def _captured(capture, name, every, nothing, live=False):
    """Yield frames as long as there are any. A truncated video yields the frames before its end."""
    rate = _sound(capture.get(cv2.CAP_PROP_FPS))
    start, number = cv2.getTickCount(), 0
    while capture.grab():
        if number % every == 0:
            good, picture = capture.retrieve()
            if not good or picture is None:
                break
            if max(picture.shape[:2]) > MOST_SIDE:
                raise SourceError(f"'{name}' has frames of {picture.shape[1]}x{picture.shape[0]} pixels: too large")
            time = (cv2.getTickCount() - start) / cv2.getTickFrequency() if live else number / rate
            yield Frame(name, number, time, images.of_array(picture))
        number += 1
    if not number:
        raise SourceError(nothing)


def length_of(source: str) -> int | None:
    """Return the number of frames of a source, or None if it is not known in advance."""
    if isinstance(source, (str, Path)) and Path(source).suffix.lower() in VIDEOS and Path(source).is_file():
        capture = cv2.VideoCapture(str(source))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        return count if count > 0 else None
    if isinstance(source, (str, Path)) and Path(source).is_dir():
        return sum(p.suffix.lower() in images.SUFFIXES for p in Path(source).rglob('*')) or None
    return 1 if isinstance(source, (str, Path, np.ndarray)) else None


def rate_of(file: str) -> float:
    """Return the frames per second of a video; 25 if it does not say, and for a camera."""
    capture = cv2.VideoCapture(str(file)) if Path(file).is_file() else None
    rate = capture.get(cv2.CAP_PROP_FPS) if capture else 0.0
    if capture:
        capture.release()
    return _sound(rate)


def _sound(rate):
    return rate if 0 < rate < 1000 else 25.0
