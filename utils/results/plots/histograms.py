"""Figures of the weights and outputs of layers, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.results.plots.drawing import blank, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.results.plots.drawing import Subject


@figure('Weights by epoch', 'The colour shows the square root of the fraction of the values.')
def weights(subject: Subject) -> Any:
    """Draw the weights of each layer over the epochs."""
    return histograms(subject.histograms, 'weights', 'Weights')


@figure('Outputs of layers by epoch', 'For one fixed batch of training images.')
def activations(subject: Subject) -> Figure:
    """Draw the outputs of each layer over the epochs."""
    return histograms(subject.histograms, 'activations', 'Outputs of layers')


def histograms(epochs: Sequence[dict[str, Any]], key: str, title: str) -> Figure | None:
    """Draw a histogram per layer and epoch, as coloured columns.

    Parameters
    ----------
    epochs : list of dict
        Entries with 'stage', 'epoch' and, under `key`, histograms by name; see `utils.results.inspection.histogram`.
    key : {'weights', 'activations'}
    title : str
    """
    names = list(epochs[0][key]) if epochs else []
    if not names:
        return None
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    drawing = blank(3.9 * columns, 2.3 * lines + 0.5)
    drawing.suptitle(title)
    grid = drawing.subplots(lines, columns, squeeze=False, sharex=True)
    stages = [epoch['stage'] for epoch in epochs]
    starts = [k for k in range(1, len(epochs)) if stages[k] != stages[k - 1]]
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.flat, names):
        all_of_it = [epoch[key][name] for epoch in epochs]
        low, high = min(_quantile(h, 0.002) for h in all_of_it), max(_quantile(h, 0.998) for h in all_of_it)
        edges = np.linspace(low, high if high > low else low + 1, 81)
        density = np.array([_rebinned(h, edges) for h in all_of_it]).T
        # The root makes the tails visible, which would vanish beside the peak of a rectifier at 0.
        root = np.sqrt(density)
        axes.pcolormesh(
            np.arange(len(epochs) + 1) + 0.5,
            edges,
            root,
            cmap='Blues',
            rasterized=True,
            vmin=0,
            vmax=np.quantile(root, 0.97) or None,
        )
        for k in starts:
            axes.axvline(k + 0.5, color='tab:red', linewidth=0.8)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in grid[-1]:
        axes.set_xlabel('epoch; red: next stage', fontsize=8)
    return drawing


def _quantile(h, share):
    """The quantile `share` of the values of a histogram."""
    own = np.linspace(h['low'], h['high'], len(h['counts']) + 1)
    return float(np.interp(share, np.concatenate([[0], np.cumsum(h['counts'])]) / max(sum(h['counts']), 1), own))


def _rebinned(h, edges):
    """Fractions of the values of a histogram in bins with other edges; values are assumed uniform within a bin."""
    own = np.linspace(h['low'], h['high'], len(h['counts']) + 1)
    cumulated = np.concatenate([[0], np.cumsum(h['counts'])])
    share = np.diff(np.interp(edges, own, cumulated))
    return share / max(cumulated[-1], 1)
