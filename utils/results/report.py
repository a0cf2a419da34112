"""The report of a run: one HTML file that works offline, made from the template report.html.jinja.

==================  ===========================================================================
`write_report`      writes the HTML file
`texts_of`          the texts of a run folder for the report
==================  ===========================================================================
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.files.atomic import atomic_write
from utils.results import competition, metrics
from utils.results.plots import FIGURES
from utils.training.rules import RULES

if TYPE_CHECKING:
    from utils.annotations import Row


EPOCH_COLUMNS = (
    'stage',
    'layer',
    'epoch',
    'rate',
    'size',
    'reconstruction_cost',
    'train_cross_entropy',
    'validation_cross_entropy',
    'validation_error',
    'test_error',
    'seconds',
)


def _errors(scores):
    """A row of texts for each test and half, in the order of the template's table head."""
    rows = []
    for kind, title in (('plain', 'test'), ('special', 'special test')):
        for half, e in scores.get(kind, {}).items():
            without = e.get('without_duplicates')
            rows.append(
                [
                    f'{title}, {half}',
                    e['images'],
                    f'{e["error"]:.2f}',
                    '{:.2f} – {:.2f}'.format(*e['interval']),
                    f'{without["error"]:.2f} of {without["images"]}' if without else '',
                    *(
                        f'{e[key]:{form}}'
                        for key, form in (
                            ('macro_f1', '.3f'),
                            ('top2_error', '.2f'),
                            ('cross_entropy', '.4f'),
                            ('ece', '.3f'),
                        )
                    ),
                ]
            )
    return rows


def _members(members, scores):
    """A row for each member alone and one for all together: errors on the whole test set."""
    kind = metrics.final_kind(scores)
    rows = [[f'member {k}', f'{one[kind]["whole"]["error"]:.2f}'] for k, one in enumerate(members, start=1)]
    return [*rows, ['together', f'{scores[kind]["whole"]["error"]:.2f}']] if rows else []


def _rankings(name, final):
    """The competition's tables with the result in its place: (title, rows, indices of our rows)."""
    out = []
    for half, title in (('whole', 'both halves'), ('private', 'private half, which decided')):
        if half in final:
            rows = competition.places({name: final[half]['error']}, half)
            out.append(
                (
                    title,
                    [[f'#{place}', team, f'{error:.2f}'] for place, team, error, _ in rows],
                    [k for k, row in enumerate(rows) if row[3]],
                )
            )
    return out


def _figures(folder, rule, cost):
    """Heading, caption, name and content of the figures in a folder."""
    for name, entry in FIGURES.items():
        file = Path(folder) / f'{name}.png'
        caption = entry.caption.replace('{figure}', RULES[rule].label)
        if file.is_file():
            yield {
                'name': name,
                'heading': entry.heading,
                'caption': _of_cost(caption, cost) if name == 'curves' else caption,
                'data': base64.b64encode(file.read_bytes()).decode(),
            }


def _of_cost(text, cost):
    """Replace the cross-entropy in a text by another loss."""
    if cost == 'cross-entropy':
        return text
    return text.replace('cross-entropy', cost).replace('Cross-entropy', cost.capitalize())


def _cell(value):
    return f'{value:.4g}' if isinstance(value, float) else '' if value is None else value


def write_report(
    path: Path,
    title: str,
    scores: dict[str, Any],
    figure_folder: Path,
    *,
    lead: str = '',
    history: Sequence[Row] = (),
    texts: dict[str, str] | None = None,
    note: str = '',
    rule: str = 'entropy',
    cost: str = 'cross-entropy',
    members: Sequence[dict[str, Any]] = (),
    ranked: bool = True,
) -> None:
    """Write one self-contained HTML file.

    Parameters
    ----------
    path : path
    title, lead, note : str
        Heading, the result in one sentence, a caveat on the data.
    scores : dict
        Result of `utils.results.metrics.evaluate`.
    figure_folder : path
        Folder of figures named as in `utils.results.plots.FIGURES`; missing ones are left out.
    history : list of dict
        One row per epoch, see `utils.training.trainer.Trainer`.
    texts : dict of str to str
        Further sections, shown unchanged: configuration, environment, log.
    rule, cost : str
        Rule by which the best epoch was chosen, and name of the loss.
    members : list of dict
        Errors of each of several members alone.
    ranked : bool
        Show the place in the competition.
    """
    from jinja2 import Environment, FileSystemLoader  # takes 0.1 s, and not every process writes a report

    final = scores[metrics.final_kind(scores)]
    history = [{**row, 'reconstruction_cost': row['train_cost'] if row.get('layer') else None} for row in history]
    columns = [key for key in EPOCH_COLUMNS if any(row.get(key) is not None for row in history)]
    template = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
    ).get_template('report.html.jinja')
    text = template.render(
        title=title,
        lead=lead,
        note=note,
        errors=_errors(scores),
        members=_members(members, scores),
        rankings=_rankings(title, final) if ranked else (),
        classes=[
            [name, row['images'], *(f'{row[key]:.3f}' for key in ('precision', 'recall', 'f1'))]
            for name, row in final['whole']['per_class'].items()
        ],
        figures=_figures(figure_folder, rule, cost),
        epoch_columns=[key.replace('_', ' ') for key in columns],
        epochs=[[_cell(row.get(key)) for key in columns] for row in history],
        texts=texts or {},
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def texts_of(folder: Path) -> dict[str, Any]:
    """Configuration, environment and log of a run folder, for `write_report`."""
    folder = Path(folder)
    run = json.loads((folder / 'run.json').read_text(encoding='utf-8'))
    return {
        'Configuration': (folder / 'config.yaml').read_text(encoding='utf-8'),
        'Environment': '\n'.join(f'{key}: {value}' for key, value in run['environment'].items() if value is not None)
        + f'\ndata: {run["data"]}\ndata fingerprint: {run["fingerprint"]}\nstarted: {run["started"]}',
        'Log': (folder / 'log.txt').read_text(encoding='utf-8'),
    }
