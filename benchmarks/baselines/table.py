"""Rows of the baselines: saved as JSON while they are computed, and written as a table to a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.baselines.classifiers import CLASSIFIERS
from benchmarks.baselines.protocol import described, pairs
from utils.files.atomic import atomic_write
from utils.files.former import parse_json
from utils.results import tables

MARK = 'classical'  # of the table on a page
HEADER = (
    'features',
    'classifier',
    'settings',
    'validation',
    'whole',
    '95 % interval',
    'public',
    'private',
    'without duplicates',
    'selection, CPU s',
    'training, CPU s',
    'ms per image',
)
NEEDED = {'name', 'feature', 'classifier', 'grid', 'components', 'errors', 'interval', 'seconds'}
SAME = ('set', 'content_digest', 'images', 'seed')  # must be equal for all rows of a file


class Rows:
    """The rows of a JSON file; each is written as soon as it is finished.

    Parameters
    ----------
    path : Path
    about : dict
        Conditions of the rows: 'set', 'content_digest', 'images', 'seed', and versions.

    Raises
    ------
    ValueError
        The file holds rows of another set, another part of it or another seed.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path, self.about, self.rows = path, about, []
        if path.exists():
            saved = read(path)
            for key in SAME:
                if saved['about'].get(key) != about[key]:
                    raise ValueError(
                        f"'{path}' holds rows with {key} {saved['about'].get(key)!r}, these have {about[key]!r}: "
                        'name another file with --out'
                    )
            self.rows = saved['rows']
        self._write()  # fails early if the file cannot be written

    def has(self, name: str) -> bool:
        """Whether the file has a row of this name with the settings that would be tried now."""
        return any(row['name'] == name and _as_now(row) for row in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        """Replace the row of the same name or append a new one, and write the file."""
        self.rows = [one for one in self.rows if one['name'] != row['name']] + [row]
        self._write()

    def _write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path) as temporary:
            content = {'about': self.about, 'rows': self.rows}
            temporary.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def _as_now(row):
    found = CLASSIFIERS.get(row['classifier'])
    now = found and [{key: list(values) for key, values in found.grid.items()}, found.components]
    return now == [row['grid'], row['components']]


def read(path: Path) -> dict[str, Any]:
    """Read a file of rows: a dict with 'about' and 'rows'.

    Raises
    ------
    ValueError
        The file is not such a file.
    """
    try:
        saved = parse_json(path.read_text(encoding='utf-8'))
        if isinstance(saved['about'], dict) and all(set(row) >= NEEDED for row in saved['rows']):
            return saved
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"'{path}' is not a file of rows of this program: name another file with --out")


def markdown(rows: Iterable[dict[str, Any]]) -> str:
    """Format rows as a Markdown table, sorted by test error (in %)."""
    lines = ['| ' + ' | '.join(HEADER) + ' |', '|' + '---|' * len(HEADER)]
    for row in sorted(rows, key=lambda row: row['test_error']):
        errors = row['errors']['plain']
        cells = [
            row['feature'],
            CLASSIFIERS[row['classifier']].title if row['classifier'] in CLASSIFIERS else row['classifier'],
            described(row['settings']),
            f'{row["validation_error"]:.2f}',
            f'**{row["test_error"]:.2f}**',
            '{:.1f} to {:.1f}'.format(*row['interval']),
            *(_percent(errors.get(half, {}).get('error')) for half in ('public', 'private')),
            _percent(errors['whole']['error_without_duplicates']),
            *(f'{row["seconds"][what]["cpu"]:.0f}' for what in ('choosing', 'training')),
            f'{row["ms_per_image"]:.2f}',
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def _percent(value):
    return '' if value is None else f'{value:.2f}'


def write_page(page: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the table and the names of the missing rows between the marks of a page."""
    there = {row['name'] for row in rows}
    missing = [name for name in pairs() if name not in there]
    rest = f'\nNot yet run: {", ".join(missing)}.\n' if missing else ''
    tables.put_into_page(page, MARK, markdown(rows) + rest)
