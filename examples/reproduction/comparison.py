"""Networks and techniques at equal processor time: one run within a budget, and the table of all runs."""

import json

import launch
from reproduction.costs import epochs_for
from reproduction.techniques import TECHNIQUES
from utils.files.atomic import write_json
from utils.record.reading import read_run
from utils.results.tables import as_markdown, put_into_page

NAMES = {entry.name: entry for entry in TECHNIQUES}
REFERENCE = 'Sprint'  # a budget is the cost of so many of its epochs


def run_for(name, budget, seed, dataset, folder):
    """Run an entry within a budget and write its metrics to ``<folder>/<name>/seed-<seed>.json``."""
    entry, place = NAMES[name], folder / name
    every = {'dataset': str(dataset), 'seed': seed, 'retrain': False, 'anneal_epochs': 0}
    options = {**entry.options, **every}
    if entry.teacher:
        options['teacher'] = str(folder / entry.teacher / f'seed-{seed}.h5')
    plan = place / f'seed-{seed}.plan.json'
    if not plan.is_file():
        place.mkdir(parents=True, exist_ok=True)
        write_json(plan, epochs_for(options, {**NAMES[REFERENCE].options, **every}, budget))
    planned = json.loads(plan.read_text(encoding='utf-8'))
    options |= {'n_epochs': planned['n_epochs'], 'savename': str(place / f'seed-{seed}.h5'), 'report': entry.report}
    options['name'] = entry.title
    outcome = launch.run_trial(options, verbose=1)
    if outcome not in ('finished', 'done already'):
        raise SystemExit(f'{name}: {outcome}')
    result = read_run((place / f'seed-{seed}.h5').with_suffix(''))['result']
    errors = {kind: result['evaluation'][kind]['whole']['error'] for kind in result['evaluation'] if kind in KINDS}
    row = {
        'name': name,
        'title': entry.title,
        'base': entry.base,
        'budget': budget,
        'seed': seed,
        **planned,
        'epoch': result['epoch'],
        'validation_error': result['validation_error'],
        **errors,
    }
    write_json(place / f'seed-{seed}.json', row)


KINDS = ('plain', 'special')
HEADER = (
    'network, technique',
    'epochs',
    'best epoch',
    'parameters',
    'cost of an epoch',
    'validation',
    'test',
    'special',
)


def finished(folder):
    """Rows of the finished entries."""
    found = (path for path in sorted(folder.glob('*/seed-*.json')) if not path.name.endswith('.plan.json'))
    return [json.loads(path.read_text(encoding='utf-8')) for path in found]


def write_comparison(rows, page, figures):
    """Write the table of all rows between the marks of a page, and the rows into a JSON file.

    Rows of the file with the same budget are kept unless there is a newer row for their entry.
    """
    if not rows:
        return
    before = json.loads(figures.read_text(encoding='utf-8')) if figures.is_file() else []
    known = {row['name']: row for row in [*before, *rows] if row['budget'] == rows[0]['budget']}
    write_json(figures, sorted(known.values(), key=lambda row: list(NAMES).index(row['name'])))
    lines = [
        _cells(entry, known[name], known.get(entry.base))
        if name in known
        else [entry.title, 'not yet run', *[''] * (len(HEADER) - 2)]
        for name, entry in NAMES.items()
    ]
    put_into_page(page, 'techniques', as_markdown(HEADER, lines))
    print(f"table in '{page}'")


def _cells(entry, row, base):
    change = f' ({row["validation_error"] - base["validation_error"]:+.2f})' if base else ''
    return [
        entry.title,
        str(row['n_epochs']),
        str(row['epoch']),
        f'{row["parameters"] / 1e6:.2f} M',
        f'{row["cost"]:.2f}',
        f'{row["validation_error"]:.2f}{change}',
        *(f'{row[kind]:.2f}' if kind in row else '' for kind in KINDS),
    ]
