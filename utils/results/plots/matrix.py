"""Draws a matrix of values, such as errors of several models on several sets, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from utils.results.plots.drawing import blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heat_map(
    values: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    own: Sequence[Sequence[bool]],
    title: str = '',
) -> Figure:
    """Draw values in % as colours and numbers.

    Parameters
    ----------
    values : array (n_rows, n_columns)
        Values in %.
    rows, columns : sequence of str
        Labels: models and sets.
    own : bool array (n_rows, n_columns)
        True for cells with a frame: the model was trained on the source of the set.
    title : str
    """
    cells, longest = np.asarray(values, float), max(map(len, rows))
    drawing = blank(2.2 + 0.09 * longest + 1.0 * len(columns), 1.6 + 0.6 * len(rows))
    axes = drawing.subplots()
    shown = axes.imshow(cells, cmap='viridis', vmin=0, vmax=100, aspect='auto')
    for i, j in np.ndindex(cells.shape):
        colour = 'white' if cells[i, j] < 60 else 'black'
        axes.text(j, i, f'{cells[i, j]:.1f}', ha='center', va='center', fontsize=9, color=colour)
        if own[i][j]:
            edges = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * 0.46 + [j, i]
            axes.plot(*edges.T, color='tab:red', linewidth=2)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha='right')
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title(title + ('; framed: the source that the model was trained on' if np.any(own) else ''), fontsize=10)
    drawing.colorbar(shown, ax=axes, label='%', shrink=0.9)
    return drawing
