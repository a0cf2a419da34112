"""The table of results on a page."""

import csv

import numpy as np

from reproduction.experiments import ENTRIES, SMALL
from utils.files.former import parse_json
from utils.results.metrics import final_kind
from utils.results.tables import put_into_page

HEADER = (
    'experiment',
    'table',
    'thesis',
    'symfer',
    'plain test',
    'public',
    'private',
    'without duplicates',
    'seeds',
    'best epoch',
    'cross-entropy train / validation',
    'training',
    'images/s',
    'device',
)


def table(results):
    """Make a Markdown table of the folder `results`: errors in %, mean ± standard deviation (n - 1) over the seeds."""
    lines = ['| ' + ' | '.join(HEADER) + ' |', '|' + '---|' * len(HEADER)]
    for name, entry in ENTRIES.items():
        rows = [_row(path) for path in sorted((results / name).glob('seed-*/result.json'))]
        cells = _cells(rows) if rows else ['not yet run'] + [''] * 10
        if rows or name not in SMALL:
            lines.append('| ' + ' | '.join([entry.title, entry.table, entry.thesis, *cells]) + ' |')
    path = results / 'ensemble' / 'evaluation.json'
    if path.is_file():
        saved = parse_json(path.read_text(encoding='utf-8'))
        row = _errors(saved['evaluation'])
        cells = [_mean([row[key]]) for key in ERRORS] + [f'members: {len(saved["members"])}'] + [''] * 5
    else:
        cells = ['not yet run'] + [''] * 10
    return '\n'.join([*lines, '| ' + ' | '.join(['ensemble of the recipes', '', '', *cells]) + ' |']) + '\n'


ERRORS = ('whole', 'plain', 'public', 'private', 'clean')


def _errors(scores):
    final = scores[final_kind(scores)]
    return {
        'whole': final['whole']['error'],
        'plain': scores['plain']['whole']['error'],
        **{half: final[half]['error'] if half in final else None for half in ('public', 'private')},
        'clean': final['whole'].get('without_duplicates', final['whole'])['error'],
    }


def _row(path):
    result = parse_json(path.read_text(encoding='utf-8'))
    with open(path.with_name('history.csv'), newline='', encoding='utf-8') as file:
        history = list(csv.DictReader(file))
    best = [row for row in history if row['stage'] == 'train' and int(row['epoch']) == result['epoch']][0]
    return {
        **_errors(result['evaluation']),
        'epoch': result['epoch'],
        'train': float(best['train_cross_entropy']),
        'validation': float(best['validation_cross_entropy']),
        'minutes': sum(float(row['seconds']) for row in history) / 60,
        'speed': float(np.median([float(row['images_per_second']) for row in history])),
        'device': result['about']['device'],
    }


def _cells(rows):
    cells = [_mean([row[key] for row in rows]) for key in ERRORS]
    epochs = ', '.join(str(row['epoch']) for row in rows)
    entropies = ' / '.join(f'{np.mean([row[key] for row in rows]):.3f}' for key in ('train', 'validation'))
    return [
        *cells,
        str(len(rows)),
        epochs,
        entropies,
        f'{np.mean([row["minutes"] for row in rows]):.1f} min',
        f'{np.mean([row["speed"] for row in rows]):.0f}',
        ', '.join(sorted({row['device'] for row in rows})),
    ]


def _mean(values):
    values = [value for value in values if value is not None]
    if not values:
        return ''
    spread = f' ± {np.std(values, ddof=1):.2f}' if len(values) > 1 else ''
    return f'{np.mean(values):.2f}{spread}'


def write_table(results, page, scale):
    """Write the table between the marks of a page; for a rehearsal, write the whole page."""
    if scale < 1:
        page.write_text(
            f'# A rehearsal at scale {scale:g}\n\nFew images, few epochs, narrow networks: **these figures mean '
            'nothing**; they show that every stage works.\n\n<!-- table -->\n<!-- end of table -->\n',
            encoding='utf-8',
        )
    put_into_page(page, 'table', table(results))
    print(f"\n{table(results)}\ntable in '{page}'")
