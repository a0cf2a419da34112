"""The metrics of a test as lines and tables of text.

==================  ===========================================================================
`error_lines`       errors of every kind and half
`summary_lines`     the main metrics for the terminal
`member_lines`      errors of each of several members
`class_table`       metrics of each class
==================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from utils.results.metrics import final_kind


def error_lines(evaluation: dict[str, Any]) -> list[str]:
    """Lines with the errors of every kind and half and their intervals."""
    lines = []
    for kind, title in (('plain', 'test error'), ('special', 'special test error')):
        for half, e in evaluation.get(kind, {}).items():
            low, high = e['interval']
            line = f'{title}, {half}: {e["error"]:.2f} % of {e["images"]} ({low:.2f} to {high:.2f})'
            if 'without_duplicates' in e:
                clean = e['without_duplicates']
                line += (
                    f', {clean["error"]:.2f} % without the {e["images"] - clean["images"]} images that have an '
                    'exact duplicate in the training set'
                )
            lines.append(line)
    return lines


def summary_lines(evaluation: dict[str, Any]) -> list[str]:
    """Lines with the main metrics for the terminal."""
    kind = final_kind(evaluation)
    whole = evaluation[kind]['whole']
    name = 'special test' if kind == 'special' else 'test'
    low, high = whole['interval']
    return [
        f'{name}, whole: 95 % interval {low:.2f} to {high:.2f} %, macro-F1 {whole["macro_f1"]:.3f}, top-2 error '
        f'{whole["top2_error"]:.2f} %, cross-entropy {whole["cross_entropy"]:.4f}, calibration error '
        f'{whole["ece"]:.3f}' + _scaled(evaluation, whole)
    ]


def member_lines(members: Sequence[dict[str, Any]]) -> list[str]:
    """A line with the errors of each member alone."""
    return [
        f'member {k} alone: '
        + ', '.join(
            f'{title} error {one[kind]["whole"]["error"]:.2f} %'
            for kind, title in (('plain', 'test'), ('special', 'special test'))
            if kind in one
        )
        for k, one in enumerate(members, start=1)
    ]


def _scaled(evaluation, whole):
    """The calibration error with the temperature, if there is one."""
    if 'scaled' not in whole:
        return ''
    return f' ({whole["scaled"]["ece"]:.3f} with temperature {evaluation["temperature"]:.2f})'


def class_table(entry: dict[str, Any]) -> str:
    """Format the metrics of each class in a `scores` entry as an aligned table."""
    width = max(len(name) for name in [*entry['per_class'], 'class'])
    lines = [f'{"class":{width}}  images  precision  recall     F1']
    for name, row in entry['per_class'].items():
        lines.append(
            f'{name:{width}}  {row["images"]:6d}  {row["precision"]:9.3f}  {row["recall"]:6.3f}  {row["f1"]:5.3f}'
        )
    return '\n'.join(lines)
