"""What all figures share: the register, an empty figure, what a figure is drawn from.

==================  ===========================================================================
`figure`            decorator: makes a function a figure of the report
`FIGURES`           the figures by name, in the order of the report
`Subject`           a finished model with its answers: what every figure is drawn from
`draw`              all figures, or some, into a folder
`blank`, `save`     an empty figure; a figure as a file
==================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.files.atomic import atomic_write
from utils.layer import Layer
from utils.results import metrics
from utils.results.inspection import Inspector
from utils.training.members import Members
from utils.training.warping import Cropped, centre

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from utils.annotations import StrPath


@dataclass(frozen=True)
class ReportFigure:
    """A figure of the report: its heading, what a reader has to know, what draws it."""

    heading: str
    caption: str
    draw: Callable


FIGURES: dict[str, ReportFigure] = {}


def figure(heading: str, caption: str = '') -> Callable:
    """Make a function ``(subject) -> matplotlib figure`` a figure of the report.

    It returns None where there is nothing to draw. Its name is that of the file. Figures stand in the
    report in the order of their definition.

    Parameters
    ----------
    heading, caption : str
        What stands above it in the report; ``{figure}`` in it is the validation figure by which the epoch was kept.
    """

    def register(function):
        FIGURES[function.__name__] = ReportFigure(heading, caption, function)
        return function

    return register


@dataclass
class Subject:
    """A finished model with its answers on test images.

    Attributes
    ----------
    network : Layer
        With the parameters that are to be looked at.
    im_dim : (int, int)
        Height and width of the images.
    subset : loaders.Subset
        The test images.
    classes : sequence of str
    outputs : dict of str to array (n, n_classes)
        Linear outputs, as for `utils.results.metrics.evaluate`.
    scores : dict
        What `utils.results.metrics.evaluate` made of them.
    histograms : list of dict
        Of weights and outputs of layers, one per epoch; see `utils.results.inspection.histogram`.
    history : list of dict
        One row per epoch, see `utils.training.trainer.Trainer`; empty where the model was tested only.
    best : dict or None
        The row of the kept epoch.
    title : str
    rule : {'entropy', 'error'}
        By which the epoch was kept.
    cost : str
        What the loss is called.
    say : callable
        Is given why a figure is left out.
    reconstructions : dict of str to array (n, height, width), or None
        Of pre-training, see `utils.training.pretraining.Pretraining.reconstructions`.
    """

    network: Layer
    im_dim: tuple
    subset: Any
    classes: tuple
    outputs: dict
    scores: dict
    histograms: list = field(default_factory=list)
    history: list = field(default_factory=list)
    best: dict | None = None
    title: str = ''
    rule: str = 'entropy'
    cost: str = 'cross-entropy'
    say: Callable[[str], Any] = lambda text: None
    reconstructions: dict | None = None

    @cached_property
    def test(self) -> str:
        """Name of the test whose answers are shown: 'special test' where there is one, else 'test'."""
        return 'special test' if metrics.final_kind(self.scores) == 'special' else 'test'

    @cached_property
    def whole(self) -> dict:
        """Its figures on the whole test set."""
        return self.scores[metrics.final_kind(self.scores)]['whole']

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(n, n_classes)."""
        return metrics.probabilities(self.outputs[metrics.final_kind(self.scores)])

    @cached_property
    def examples(self) -> np.ndarray:
        """Rows of the test set: of each class the right answer of median probability, or a wrong one."""
        rows, y, p = [], self.subset.y, self.probabilities
        for k in range(len(self.classes)):
            own = np.flatnonzero(y == k)
            right = own[p[own].argmax(axis=1) == k]
            chosen = right if len(right) else own
            if len(chosen):
                rows.append(chosen[np.argsort(p[chosen, k], kind='stable')[len(chosen) // 2]])
        return np.array(rows)

    @cached_property
    def bare_network(self) -> tuple[Any, Any]:
        """The network, the first of several, without the crop around it, and the size of the images that it takes."""
        network = self.network.member[0] if isinstance(self.network, Members) else self.network
        return (network.network, network.size) if isinstance(network, Cropped) else (network, tuple(self.im_dim))

    @cached_property
    def faces(self) -> np.ndarray:
        """The images of `examples` as the network takes them, uint8 (n, height, width)."""
        return self.images(self.examples)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Test images as the network takes them, uint8 (n, height, width)."""
        return centre(self.subset.images(rows), self.bare_network[1])

    @cached_property
    def inspector(self) -> Inspector:
        network, size = self.bare_network
        return Inspector(network, size, len(self.examples))

    @cached_property
    def captions(self) -> list:
        """What `faces` are taken for, with the probability, and what they are where that is something else."""
        p, y, names = self.probabilities, self.subset.y, self.classes
        answers = p[self.examples].argmax(axis=1)
        return [
            f'{names[a]}, {100 * p[row, a]:.0f} %' + ('' if a == y[row] else f'\n(is {names[y[row]]})')
            for row, a in zip(self.examples, answers)
        ]


def draw(folder: Path, subject: Subject, only: tuple = ()) -> None:
    """Draw all figures, or those named, as PNG files of their names."""
    for name, entry in FIGURES.items():
        if only and name not in only:
            continue
        drawn = entry.draw(subject)
        if drawn is not None:
            save(drawn, Path(folder) / f'{name}.png')


def blank(*size: Any) -> Figure:
    """An empty figure of that width and height in inches."""
    # Not at the top: matplotlib takes a third of a second, and not every process draws.
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout='constrained')


def save(figure: Figure, path: StrPath, dpi: int = 120) -> None:
    """Write a figure as .png, .pdf or .svg; a file that is there is replaced at once or stays."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=Path(path).suffix[1:])


def without_axes(axes: Axes) -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_frame_on(False)
