"""Curves: cross-entropy by epoch, for one or several runs; cost against learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.results.plots.drawing import blank, figure
from utils.training.rules import RULES
from utils.training.trainer import STAGES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.annotations import Row
    from utils.results.plots.drawing import Subject
    from utils.training.rules import Rule


@figure('Curves', 'Cross-entropy by epoch. The best epoch is the one with the smallest {figure}.')
def curves(subject: Subject) -> Figure | None:
    """Draw the curves of training and validation."""
    return (
        plot_curves(subject.history, subject.best, subject.title, subject.rule, subject.cost)
        if subject.history
        else None
    )


def plot_curves(
    history: Sequence[Row],
    best: dict[str, Any] | None = None,
    title: str = '',
    rule: str = 'entropy',
    cost: str = 'cross-entropy',
) -> Figure:
    """Draw training and validation cross-entropy by epoch and mark the best epoch, as in thesis Figure 18.

    Parameters
    ----------
    history : list of dict
        History of a `utils.training.trainer.Trainer`.
    best : dict, optional
        Row of the best epoch.
    title : str
    rule : {'entropy', 'error'}
        Rule by which the best epoch was chosen.
    cost : str
        Name of the loss.
    """
    drawing = blank(7.5, 4.5)
    axes = drawing.subplots()
    offset = 0
    for stage in STAGES.values():
        rows = [row for row in history if row['stage'] == stage.name and row['train_cross_entropy'] is not None]
        if not rows:
            continue
        # Retraining starts afresh, so its curve starts at 0 too; annealing continues after it.
        start = offset if stage.follows else 0
        axes.plot(
            [start + row['epoch'] for row in rows],
            [row['train_cross_entropy'] for row in rows],
            '-' if stage.name == 'train' else '--',
            color='tab:cyan' if stage.follows else 'tab:blue',
            label=stage.label,
            marker='.' if len(rows) < 40 else None,
        )
        offset = rows[-1]['epoch']
    rows = [row for row in history if row['validation_cross_entropy'] is not None]
    if rows:
        axes.plot(
            [row['epoch'] for row in rows],
            [row['validation_cross_entropy'] for row in rows],
            '-',
            color='tab:red',
            label='validation',
            marker='.' if len(rows) < 40 else None,
        )
    if best:
        axes.axvline(best['epoch'], color='0.6', linewidth=1, zorder=0)
        axes.plot(
            best['epoch'],
            best['validation_cross_entropy'],
            'o',
            color='tab:red',
            markersize=8,
            markerfacecolor='none',
            label=f'{RULES[rule].point}: epoch {best["epoch"]}, {RULES[rule].text(best)}',
        )
    unit = ' (nats)' if cost == 'cross-entropy' else ''
    axes.set(xlabel='epoch', ylabel=cost + unit, title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes.grid(alpha=0.3)
    axes.legend()
    return drawing


def curves_of_runs(histories: Any, title: str = '', rules: dict[str, Rule] | None = None) -> Any:
    """Draw validation and training cross-entropy of several runs in one figure.

    Parameters
    ----------
    histories : dict of str to list of (list of dict)
        Histories by name: of one run, or of several runs with different seeds, which have the same colour.
    title : str
    rules : dict of str to Rule, optional
        Rules by which the best epochs were chosen, by name; by default the entropy point.
    """
    rules = rules or dict.fromkeys(histories, RULES['entropy'])
    drawing = blank(8, 4.8)
    axes = drawing.subplots()
    for k, (name, runs) in enumerate(histories.items()):
        for place, history in enumerate(runs):
            rows = [row for row in history if row['stage'] == 'train']
            validated = [row for row in rows if row['validation_cross_entropy'] is not None]
            best = rules[name].best(rows)
            colour, mark = f'C{k % 10}', '.' if len(rows) < 40 else None
            axes.plot(
                [row['epoch'] for row in rows],
                [row['train_cross_entropy'] for row in rows],
                ':',
                color=colour,
                linewidth=1,
            )
            axes.plot(
                [row['epoch'] for row in validated],
                [row['validation_cross_entropy'] for row in validated],
                '-',
                color=colour,
                marker=mark,
                label=name if place == 0 else None,
            )
            if best:
                axes.plot(
                    best['epoch'],
                    best['validation_cross_entropy'],
                    'o',
                    markersize=8,
                    markerfacecolor='none',
                    color=colour,
                )
    axes.plot([], [], ':', color='0.4', label='training')
    axes.plot(
        [],
        [],
        'o',
        color='0.4',
        markerfacecolor='none',
        label=' or '.join(dict.fromkeys(rule.point for rule in rules.values())),
    )
    axes.set(xlabel='epoch', ylabel='cross-entropy (nats)', title=title or 'Validation, solid; training, dotted')
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return drawing


def rate_range(rates: Sequence[float], costs: Sequence[float], smooth: Sequence[float], suggestion: float) -> Figure:
    """Draw the cost of a learning-rate range test against the rate."""
    drawing = blank(7, 4.2)
    axes = drawing.subplots()
    axes.plot(rates, costs, color='0.8', label='minibatches')
    axes.plot(rates, smooth, color='tab:blue', label='smoothed')
    if suggestion:
        axes.axvline(suggestion, color='tab:red', linewidth=1, label=f'steepest descent: {suggestion:.3g}')
    finite = np.asarray(smooth)[np.isfinite(smooth)]
    axes.set(
        xscale='log',
        xlabel='learning rate',
        ylabel='training cost',
        ylim=(finite.min() - 0.05 * np.ptp(finite) - 1e-3, finite[0] + 0.6 * (finite[0] - finite.min()) + 0.1),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return drawing
