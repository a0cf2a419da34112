"""`symfer predict`: sources in, what is found onto the terminal and into files."""

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


LEAST_FREE = 16 << 20  # bytes of a disk, below which a video is not written on: OpenCV would lose frames without a word


class Annotator:
    """Annotated pictures and videos: into a file where there is one source, else into a folder under their names.

    Parameters
    ----------
    out : path
        A file for one picture or video, or a folder.
    given : list
        The sources; what lies in a folder keeps its place in it.
    classes : sequence of str
    rate : callable
        ``rate(file) -> float``: frames a second of a video.
    overwrite : bool
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
                f"--annotate '{out}' is a file: give a folder, or a name that ends as a picture or a video"
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
        """Where the annotated form of a file goes."""
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
        """End the video that is being written."""
        if self.video is not None:
            self.video.close()
        self.video = self.file = None


class Summary:
    """What is said at the end: how many pictures and faces, and of a video each person."""

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
        """The lines."""
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
    say: Callable[..., Any] = write_line,
    progress: Callable[[int], Any] | None = None,
) -> Summary:
    """Recognise the faces of sources; write tables, annotated pictures and a timeline; say what was found.

    Parameters
    ----------
    classifier : Classifier
    given : list of path or int
        Sources, see `utils.recognition.sources.frames_of`.
    detector, level, min_probability, every
        As of `utils.recognition.recognise.recognise`.
    csv, json, annotate, timeline : path, optional
        What is written where; ``json='-'`` is standard output, on which then nothing else is said.
    overwrite : bool
        Write over files that are there already.
    say : callable
        Is given each line for the terminal.
    progress : callable, optional
        Called with the number of frames so far, of each and of all where it is known.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError, OSError, MissingExtra
        A wrong argument or output, or a source that gives nothing; what was written till then is whole.
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
                        say(text)
                if progress is not None:
                    progress(n)
        finally:
            if line is not None and line.persons():
                line.draw(timeline, Path(str(given[0])).name)
    if line is not None and not line.persons():
        say('no timeline: no face is seen in two frames')
    if not quiet:
        for text in summary.lines():
            say(text)
        if summary.videos:
            say(f'{summary.pictures / max(time.monotonic() - began, 1e-9):.1f} frames/s')
    if problems:
        count = '1 file' if len(problems) == 1 else f'{len(problems)} files'
        print(f'{count} could not be read:', file=sys.stderr)
        for problem in problems[:20]:
            print(f'  {visible(problem)}', file=sys.stderr)
        if len(problems) > 20:
            print(f'  and {len(problems) - 20} more', file=sys.stderr)
    return summary
