"""`symfer predict`: recognise the faces of sources and write the results to the terminal and to files."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.files.terminal import visible, write_line
from utils.recognition import images, sources
from utils.recognition.drawing import VideoFile, annotated, write_picture
from utils.recognition.recognise import Recogniser, recognised
from utils.recognition.results import Recognition
from utils.recognition.tables import CsvFile, JsonFile, check_output, lines_of
from utils.recognition.timeline import Timeline

if TYPE_CHECKING:
    from utils.recognition.classifier import Classifier


LEAST_FREE = 16 << 20  # free bytes below which the writing of a video stops: OpenCV would lose frames silently


class Annotator:
    """Writes annotated pictures and videos, to one file for a single source or to a folder under their own names.

    Parameters
    ----------
    out : path
        File for a single picture or video, or folder.
    given : list
        Sources. The files of a folder keep their relative paths.
    classes : sequence of str
        Class names.
    overwrite : bool
        Whether to overwrite existing files.
    every : int
        Interval of the frames that are read from a video, by which the frame rate is divided.
    """

    def __init__(self, out: str, given: Any, classes: Sequence[str], overwrite: bool = False, every: int = 1) -> None:
        self.out, self.classes, self.overwrite, self.every = Path(out), classes, overwrite, every
        suffix = self.out.suffix.lower()
        self.single = suffix in (*images.SUFFIXES, *sources.VIDEOS)
        self.folders = [Path(one) for one in given if isinstance(one, (str, Path)) and Path(one).is_dir()]
        if self.single and (len(given) > 1 or self.folders):
            raise ValueError(f"--annotate must be a folder for several pictures, got the file '{out}'")
        if self.single:
            check_output(self.out, overwrite)
        elif self.out.is_file():
            raise ValueError(
                f"--annotate '{out}' is a file: give a folder, or a name with the ending of a picture or a video"
            )
        self.file, self.n = None, 0
        self.video: Any = None

    def add(self, one: Recognition) -> None:
        """Draw and write a result."""
        picture = annotated(one, self.classes)
        if one.frame is None:
            write_picture(self._target(one.file, ('.png', '.jpg', '.jpeg'), '.png'), picture)
            return
        if self.file != one.file:
            self.close()
            target = self._target(one.file, tuple(VideoFile.CODES), '.mp4')
            self.file, self.video = one.file, VideoFile(target, sources.rate_of(one.file) / self.every)
        if self.n % 50 == 0 and shutil.disk_usage(self.video.path.parent).free < LEAST_FREE:
            raise OSError(f"the disk of '{self.video.path}' is full: the annotated video ends at frame {one.frame}")
        self.video.add(picture)
        self.n += 1

    def _target(self, file, suffixes, other):
        """Return the path of the annotated version of a file."""
        if self.single:
            return self.out
        path = Path(file)
        for folder in self.folders:
            if path.is_relative_to(folder):
                path = path.relative_to(folder)
                break
        else:
            path = Path(path.name)
        path = path.with_suffix(path.suffix if path.suffix.lower() in suffixes else other)
        return check_output(self.out / path, self.overwrite)

    def close(self) -> None:
        """Finish the video that is being written."""
        if self.video is not None:
            self.video.close()
        self.video = self.file = None


class Summary:
    """The summary printed at the end: numbers of pictures and faces, and the persons of videos."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes, self.pictures, self.faces, self.empty, self.videos = tuple(classes), 0, 0, 0, set()
        self.sums, self.counts, self.answers = defaultdict(lambda: 0.0), Counter(), defaultdict(Counter)

    def add(self, one: Recognition) -> None:
        """Count a result."""
        self.pictures += 1
        self.faces += len(one.faces)
        self.empty += not one.faces
        if one.frame is not None:
            self.videos.add(one.file)
        for face in one.faces:
            if face.person is not None:
                key = one.file, face.person
                self.sums[key] = self.sums[key] + np.array([face.probabilities[name] for name in self.classes])
                self.counts[key] += 1
                self.answers[key][face.answer] += 1

    def lines(self) -> list[str]:
        """Return the summary as lines of text."""
        out = []
        for key in sorted(self.counts):
            mean = self.sums[key] / self.counts[key]
            best = sorted(zip(mean, self.classes), reverse=True)[:3]
            shares = ', '.join(f'{name} {100 * p:.0f} %' for p, name in best)
            out.append(f'{key[0]}: person {key[1]}, {self.counts[key]} frames: mean {shares}')
        unit = 'frames' if self.videos else 'pictures' if self.pictures != 1 else 'picture'
        faces = 'face' if self.faces == 1 else 'faces'
        without = f', {self.empty} without a face' if self.empty and self.pictures > 1 else ''
        return [*out, f'{self.pictures} {unit}, {self.faces} {faces}{without}']


def predict(
    classifier: Classifier,
    given: list,
    *,
    detector: str = 'yunet',
    level: bool = False,
    min_probability: float = 0.0,
    every: int = 1,
    csv: Any = None,
    json: Any = None,
    annotate: Any = None,
    timeline: Any = None,
    overwrite: bool = False,
    info: Callable[..., Any] = write_line,
    progress: Callable[[int], Any] | None = None,
) -> Summary:
    """Recognise the faces of sources, print the results, and write tables, annotated pictures and a timeline.

    Parameters
    ----------
    classifier : Classifier
        Classifier of the faces.
    given : list of path or int
        Sources, see `utils.recognition.sources.frames_of`.
    detector, level, min_probability, every
        Arguments of `utils.recognition.recognise.recognise`.
    csv, json, annotate, timeline : path, optional
        Files to write. ``json='-'`` writes to standard output, and results are then not printed.
    overwrite : bool
        Whether to overwrite existing files.
    info : callable
        Called with each line for the terminal.
    progress : callable, optional
        Called with the number of pictures and frames processed so far.

    Returns
    -------
    Summary
        Numbers of pictures and faces, and the persons of videos.

    Raises
    ------
    ValueError, OSError, MissingExtra
        An argument is wrong, a file cannot be written, or a source cannot be read. Files written so far are complete.
    """
    recogniser = Recogniser(classifier, detector, level=level, min_probability=min_probability)
    problems: list[str] = []
    summary, classes = Summary(classifier.classes), classifier.classes
    quiet = json == '-'
    with ExitStack() as stack:
        sinks: list[Any] = [summary]
        if csv is not None:
            file = stack.enter_context(open(check_output(csv, overwrite), 'w', newline='', encoding='utf-8'))
            sinks.append(CsvFile(file, classes))
        if json is not None:
            file = (
                sys.stdout if quiet else stack.enter_context(open(check_output(json, overwrite), 'w', encoding='utf-8'))
            )
            sinks.append(JsonFile(file))
            stack.callback(sinks[-1].close)
        if annotate is not None:
            sinks.append(Annotator(annotate, given, classes, overwrite, every))
            stack.callback(sinks[-1].close)
        line = Timeline(classes) if timeline is not None else None
        if line is not None:
            check_output(timeline, overwrite)
            sinks.append(line)
        one_file = len(given) == 1 and not (isinstance(given[0], (str, Path)) and Path(given[0]).is_dir())
        frames = sources.frames_of(given[0] if one_file else given, None if one_file else problems, every)
        began = time.monotonic()
        try:
            for n, one in enumerate(recognised(recogniser, frames), start=1):
                for sink in sinks:
                    sink.add(one)
                if one.frame is None and not quiet:
                    for text in lines_of(one):
                        info(text)
                if progress is not None:
                    progress(n)
        finally:
            if line is not None and line.persons():
                line.draw(timeline, Path(str(given[0])).name)
    if line is not None and not line.persons():
        info('no timeline: no person appears in two frames')
    if not quiet:
        for text in summary.lines():
            info(text)
        if summary.videos:
            info(f'{summary.pictures / max(time.monotonic() - began, 1e-9):.1f} frames/s')
    if problems:
        count = '1 file' if len(problems) == 1 else f'{len(problems)} files'
        print(f'{count} could not be read:', file=sys.stderr)
        for problem in problems[:20]:
            print(f'  {visible(problem)}', file=sys.stderr)
        if len(problems) > 20:
            print(f'  and {len(problems) - 20} more', file=sys.stderr)
    return summary
