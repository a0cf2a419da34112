"""Figures of the predictions for the test images: confusion, worst mistakes, calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.results.plots.drawing import blank, figure, without_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.results.plots.drawing import Subject


@figure('Confusion matrix', 'Fraction of each true class with each predicted class, and number of images.')
def confusion(subject: Subject) -> Any:
    """Draw the confusion matrix of the test."""
    return confusion_matrix(
        subject.whole['confusion'],
        subject.classes,
        f'{subject.test}, error {subject.whole["error"]:.2f} % of {subject.whole["images"]}',
    )


def confusion_matrix(confusion: Any, classes: Sequence[str], title: str = '') -> Figure:
    """Draw counts (rows: truth) with the fraction of the row as colour and in %."""
    confusion = np.asarray(confusion)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = 1.8 + 0.72 * len(classes)
    drawing = blank(side + 1, side)
    axes = drawing.subplots()
    shown = axes.imshow(100 * share, cmap='Blues', vmin=0, vmax=100)
    for i, j in np.ndindex(confusion.shape):
        axes.text(
            j,
            i,
            f'{100 * share[i, j]:.0f} %\n{confusion[i, j]}',
            ha='center',
            va='center',
            fontsize=8,
            color='white' if share[i, j] > 0.55 else 'black',
        )
    places = range(len(classes))
    axes.set(xlabel='answer', ylabel='truth', title=title)
    axes.set_xticks(places, classes, rotation=35, ha='right')
    axes.set_yticks(places, [f'{name}\n({n})' for name, n in zip(classes, confusion.sum(axis=1))])
    drawing.colorbar(shown, ax=axes, label='fraction of the class (%)', shrink=0.8)
    return drawing


@figure('Worst mistakes', 'Probabilities of all classes beside each face; the answer is red, the truth green.')
def mistakes(subject: Subject) -> Figure:
    """Draw the images with the most confident wrong answers."""
    return worst_mistakes(subject.subset.images, subject.subset.y, subject.probabilities, subject.classes)


def worst_mistakes(
    images: Callable[[Any], Any], truth: np.ndarray, p: np.ndarray, classes: Sequence[str], n: int = 12
) -> Figure | None:
    """Draw the wrong answers with the highest probability; None if all are right.

    Parameters
    ----------
    images : callable
        Function from rows (k,) to a uint8 array (k, height, width).
    truth : int array (n,)
        True classes.
    p : array (n, n_classes)
        Probabilities.
    classes : sequence of str
    n : int
        Largest number of images to draw.
    """
    answer = p.argmax(axis=1)
    wrong = np.flatnonzero(answer != truth)
    rows = wrong[np.argsort(-p[wrong].max(axis=1), kind='stable')][:n]
    if not len(rows):
        return None
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    drawing = blank(3.1 * columns, 1.95 * lines + 0.4)
    drawing.suptitle('Wrong answers given with the highest probability')
    grid = drawing.subplots(lines, 2 * columns, squeeze=False, width_ratios=[1.1, 1] * columns)
    for axes in grid.flat:
        without_axes(axes)
    for place, (row, image) in enumerate(zip(rows, images(rows))):
        face, bars = grid[place // columns, 2 * (place % columns) :][:2]
        face.imshow(image, cmap='gray', vmin=0, vmax=255)
        face.set_title(f'is {classes[truth[row]]}', fontsize=9)
        colours = [
            'tab:red' if k == answer[row] else 'tab:green' if k == truth[row] else '0.75' for k in range(len(classes))
        ]
        bars.barh(range(len(classes)), p[row], color=colours)
        bars.set(xlim=(0, 1), ylim=(len(classes) - 0.4, -0.6))
        bars.set_yticks(range(len(classes)), classes, fontsize=7)
        bars.tick_params(length=0, pad=1)
        bars.set_title(f'{100 * p[row].max():.0f} % {classes[answer[row]]}', fontsize=9, color='tab:red')
    return drawing


@figure(
    'Calibration',
    'Of the answers given with a probability of 80 %, 80 % should be right. '
    'The temperature comes from validation images.',
)
def calibration(subject: Subject) -> Figure:
    """Draw accuracy against confidence, with and without the temperature."""
    curves = {'this model': subject.whole['calibration']}
    if 'scaled' in subject.whole:
        name = f'with temperature {subject.scores["temperature"]:.2f}'
        curves = {'as trained': subject.whole['calibration'], name: subject.whole['scaled']['calibration']}
    return calibration_curve(curves, subject.test)


def calibration_curve(curves: dict[str, dict[str, Any]], title: str = '') -> Figure:
    """Draw accuracy against confidence, with the number of images in each bin below.

    Parameters
    ----------
    curves : dict of str to dict
        Results of `utils.results.metrics.calibration`, by name; the last one is emphasised.
    title : str
    """
    drawing = blank(5.4, 5.6)
    axes, counts = drawing.subplots(2, height_ratios=(3, 1), sharex=True)
    axes.plot([0, 100], [0, 100], color='0.6', linewidth=1, linestyle='--', label='calibrated')
    for (name, curve), colour in zip(curves.items(), ('0.5', 'tab:blue')[-len(curves) :]):
        confidence, accuracy = (100 * np.array(curve[key]) for key in ('confidence', 'accuracy'))
        label = f'{name} (expected calibration error {100 * curve["ece"]:.1f} %)'
        axes.plot(confidence, accuracy, 'o-', color=colour, label=label)
    axes.set(ylabel='right answers (%)', xlim=(0, 100), ylim=(0, 100), title=title)
    axes.legend(loc='lower right', fontsize=8)
    axes.grid(alpha=0.3)
    counts.bar(confidence, curve['images'], width=3, color='tab:blue')
    counts.set(xlabel='probability of the answer (%)', ylabel='images')
    return drawing
