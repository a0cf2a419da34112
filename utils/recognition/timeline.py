"""A figure of the classes over time, with one row for each person of a video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.files.atomic import atomic_write
from utils.recognition.drawing import COLOURS
from utils.recognition.results import Recognition
from utils.recognition.tracks import changes, smoothed

if TYPE_CHECKING:
    from pathlib import Path


MOST_PERSONS = 8
LONG_GAP = 0.5  # seconds


class Timeline:
    """Collects the class probabilities of each person over time; frames are not kept.

    Parameters
    ----------
    classes : sequence of str
        Class names.
    seconds : float
        Standard deviation, in seconds, of the Gaussian smoothing.
    """

    def __init__(self, classes: Sequence[str], seconds: float = 0.5) -> None:
        self.classes, self.seconds = tuple(classes), seconds
        self.times: dict[int, list] = defaultdict(list)
        self.values: dict[int, list] = defaultdict(list)

    def add(self, one: Recognition) -> None:
        """Add the faces of a frame."""
        for face in one.faces:
            if face.person is not None and one.time is not None:
                self.times[face.person].append(one.time)
                self.values[face.person].append([np.float32(face.probabilities[name]) for name in self.classes])

    def persons(self) -> list[int]:
        """Return the numbers of the persons with most frames, at most `MOST_PERSONS`, each with at least two frames."""
        longest = sorted(self.times, key=lambda person: -len(self.times[person]))[:MOST_PERSONS]
        return sorted(person for person in longest if len(self.times[person]) > 1)

    def changes(self) -> dict[int, list[tuple[float, str]]]:
        """Return, for each person, the times in seconds at which the most probable class changes, and the new class."""
        return {
            person: [(time, self.classes[k]) for time, k in changes(times, smoothed(times, values, self.seconds))]
            for person, times, values in ((p, self.times[p], self.values[p]) for p in self.persons())
        }

    def draw(self, path: Path, title: str = '') -> None:
        """Write the figure: smoothed curves, thin curves of the raw values, and dotted lines at the changes.

        Raises
        ------
        ValueError
            No person appears in two frames.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        persons = self.persons()
        if not persons:
            raise ValueError('a timeline needs a person who appears in at least two frames, but there is none')
        figure = Figure(figsize=(9, 0.7 + 2.1 * len(persons)), layout='constrained')
        FigureCanvasAgg(figure)
        rows = figure.subplots(len(persons), 1, sharex=True, squeeze=False)[:, 0]
        moments = self.changes()
        for axes, person in zip(rows, persons):
            times, raw = np.array(self.times[person]), np.array(self.values[person])
            lines = smoothed(times, raw, self.seconds)
            gaps = 1 + np.flatnonzero(np.diff(times) > LONG_GAP)  # the curves are broken while a person is out of sight
            times, raw, lines = (np.insert(a, gaps, np.nan, axis=0) for a in (times, raw, lines))
            for k, name in enumerate(self.classes):
                blue, green, red = COLOURS[k % len(COLOURS)]
                colour = (red / 255, green / 255, blue / 255)
                axes.plot(times, 100 * raw[:, k], color=colour, linewidth=0.5, alpha=0.45)
                axes.plot(times, 100 * lines[:, k], color=colour, linewidth=1.8, label=name)
            for time, name in moments[person][1:]:
                axes.axvline(time, color='0.5', linewidth=0.8, linestyle=':')
                axes.annotate(name, (time, 101), fontsize=7, annotation_clip=False)
            axes.set(ylabel=f'person {person}\n%', ylim=(0, 100))
            axes.grid(alpha=0.25)
        rows[-1].set_xlabel('seconds')
        figure.legend(*rows[0].get_legend_handles_labels(), loc='outside lower center', ncols=7, fontsize=8)
        if title:
            figure.suptitle(title, fontsize=10)
        with atomic_write(path) as temporary, open(temporary, 'wb') as file:
            figure.savefig(file, format='png', dpi=120)
