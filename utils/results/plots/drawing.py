"""Common parts of all figures: the registry, empty figures, the data for figures.

==================  ===========================================================================
`figure`            decorator that makes a function a figure of the report
`FIGURES`           the figures by name, in the order of the report
`Subject`           a finished model with its outputs, which every figure is drawn from
`draw`              draws all or some figures into a folder
`blank`, `save`     makes an empty figure; writes a figure to a file
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
    """A figure of the report: its heading, its caption and the function that draws it."""

    heading: str
    caption: str
    draw: Callable


FIGURES: dict[str, ReportFigure] = {}


def figure(heading: str, caption: str = '') -> Callable:
    """Decorator that makes a function ``(subject) -> matplotlib figure`` a figure of the report.

    The function returns None if there is nothing to draw. Its name is that of the file. Figures appear in the report
    in the order of their definition.

    Parameters
    ----------
    heading, caption : str
        Texts above the figure in the report; ``{figure}`` in the caption becomes the name of the validation figure by
        which the best epoch was chosen.
    """

    def register(function):
        FIGURES[function.__name__] = ReportFigure(heading, caption, function)
        return function

    return register


@dataclass
class Subject:
    """A finished model with its outputs for test images.

    Attributes
    ----------
    network : Layer
        The network with its parameters.
    im_dim : (int, int)
        Height and width of the images, in pixels.
    subset : loaders.Subset
        The test images.
    classes : sequence of str
    outputs : dict of str to array (n, n_classes)
        Logits, as for `utils.results.metrics.evaluate`.
    scores : dict
        Result of `utils.results.metrics.evaluate`.
    histograms : list of dict
        Histograms of weights and outputs of layers, one entry per epoch; see `utils.results.inspection.histogram`.
    history : list of dict
        One row per epoch, see `utils.training.trainer.Trainer`; empty if the model was only tested.
    best : dict or None
        Row of the best epoch.
    title : str
    rule : {'entropy', 'error'}
        Rule by which the best epoch was chosen.
    cost : str
        Name of the loss.
    info : callable
        Function that prints why a figure is left out.
    reconstructions : dict of str to array (n, height, width), or None
        Result of `utils.training.pretraining.Pretraining.reconstructions`.
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
    info: Callable[[str], Any] = lambda text: None
    reconstructions: dict | None = None

    @cached_property
    def test(self) -> str:
        """Name of the test that is shown: 'special test' if there is one, otherwise 'test'."""
        return 'special test' if metrics.final_kind(self.scores) == 'special' else 'test'

    @cached_property
    def whole(self) -> dict:
        """Scores of this test on the whole test set."""
        return self.scores[metrics.final_kind(self.scores)]['whole']

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probabilities (n, n_classes) of this test."""
        return metrics.probabilities(self.outputs[metrics.final_kind(self.scores)])

    @cached_property
    def examples(self) -> np.ndarray:
        """Rows of the test set, one for each class: the right answer with median probability, or a wrong one."""
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
        """The network (the first of several) without `Cropped` around it, and the size of the images that it takes."""
        network = self.network.member[0] if isinstance(self.network, Members) else self.network
        return (network.network, network.size) if isinstance(network, Cropped) else (network, tuple(self.im_dim))

    @cached_property
    def faces(self) -> np.ndarray:
        """The images of `examples`, cropped for the network, uint8 (n, height, width)."""
        return self.images(self.examples)

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Test images, cropped for the network, uint8 (n, height, width)."""
        return centre(self.subset.images(rows), self.bare_network[1])

    @cached_property
    def inspector(self) -> Inspector:
        network, size = self.bare_network
        return Inspector(network, size, len(self.examples))

    @cached_property
    def captions(self) -> list:
        """Captions of `faces`: the predicted class, its probability, and the true class if it is another."""
        p, y, names = self.probabilities, self.subset.y, self.classes
        answers = p[self.examples].argmax(axis=1)
        return [
            f'{names[a]}, {100 * p[row, a]:.0f} %' + ('' if a == y[row] else f'\n(is {names[y[row]]})')
            for row, a in zip(self.examples, answers)
        ]


def draw(folder: Path, subject: Subject, only: tuple = ()) -> None:
    """Draw all figures, or those in `only`, into PNG files named after them."""
    for name, entry in FIGURES.items():
        if only and name not in only:
            continue
        drawn = entry.draw(subject)
        if drawn is not None:
            save(drawn, Path(folder) / f'{name}.png')


def blank(*size: Any) -> Figure:
    """Make an empty figure with this width and height in inches."""
    # Not at the top: importing matplotlib takes a third of a second, and not every process draws.
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout='constrained')


def save(figure: Figure, path: StrPath, dpi: int = 120) -> None:
    """Write a figure as .png, .pdf or .svg; an existing file is replaced atomically."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=Path(path).suffix[1:])


def without_axes(axes: Axes) -> None:
    """Remove ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_frame_on(False)
