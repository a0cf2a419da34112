"""Networks and techniques at equal processor time: one run of a given number of minutes, and the table of all runs."""

import itertools
import json
import time

import numpy as np

import launch
from reproduction.techniques import TECHNIQUES
from utils.experiment.building import network_maker, training_settings
from utils.experiment.teachers import open_teacher
from utils.files.atomic import write_json
from utils.layer import parameters
from utils.record.reading import read_run
from utils.results.tables import as_markdown, put_into_page
from utils.training.inference import validate
from utils.training.steps import batches_of
from utils.training.trainer import Trainer

NAMES = {entry.name: entry for entry in TECHNIQUES}
STEPS, WARM_UP = 6, 2


def epochs_for(options, minutes):
    """Measure how many epochs of an experiment fit into a number of minutes of processor time.

    Stage pretrain, if there is one, uses a part of the minutes.

    Returns
    -------
    dict
        'n_epochs', 'cpu_seconds_an_epoch', 'images' of an epoch, and 'parameters' (the number of trained ones).
    """
    options = launch.CONTEXT.validate(options)
    with (
        launch.CONTEXT.open_data(options, print) as data,
        Trainer(
            network_maker(options, data),
            data,
            training_settings(options),
            teacher=open_teacher(launch.CONTEXT, options, data, print),
        ) as trainer,
    ):
        f, subset = trainer.functions, data.reduced_training
        before = _pretraining_seconds(trainer, subset)
        trainer.targets.put(f, subset)
        order = trainer._order(subset)
        n_steps, steps = -(-order.shape[-1] // f.batch_size), []
        for height in options['progressive_sizes'] or [None]:
            f.resize(height)
            batches = itertools.islice(batches_of(f, subset, order), STEPS + WARM_UP)
            taken = [
                _seconds(lambda inputs=inputs, weights=weights: f.train(*inputs, weights))
                for inputs, weights, _ in batches
            ]
            steps.append(np.median(taken[WARM_UP:]))
        validate(f, data.validation)  # compiles
        seconds = n_steps * float(np.mean(steps)) + _seconds(lambda: validate(f, data.validation))
        trained = sum(int(np.prod(p.type.shape)) for p in parameters(f.network, trainable=True).values())
        return {
            'n_epochs': max(1, int((60 * minutes - before) / seconds)),
            'cpu_seconds_an_epoch': seconds,
            'images': order.size,
            'parameters': trained,
        }


def _seconds(call):
    """Processor time of a call, in seconds; its first result must be a number."""
    start = time.process_time()
    float(call()[0])
    return time.process_time() - start


def _pretraining_seconds(trainer, subset):
    """Processor time of stage pretrain in seconds, estimated from a few minibatches of each layer."""
    stacked, total = trainer.pretraining, 0.0
    batch_size = trainer.settings.batch_size
    for k in range(len(stacked.names) if stacked else 0):
        rows = np.arange(STEPS * batch_size)
        stacked.epoch(k, subset, rows, trainer.reporter)  # compiles
        taken = _seconds(lambda k=k, rows=rows: stacked.epoch(k, subset, rows, trainer.reporter)[0])
        total += stacked.n_epochs * taken / STEPS * -(-len(subset) // batch_size)
    return total


def run_for(name, minutes, seed, dataset, folder):
    """Run an entry for some minutes of processor time and write its metrics to ``<folder>/<name>/seed-<seed>.json``."""
    entry, place = NAMES[name], folder / name
    options = {**entry.options, 'dataset': str(dataset), 'seed': seed, 'retrain': False, 'anneal_epochs': 0}
    if entry.teacher:
        options['teacher'] = str(folder / entry.teacher / f'seed-{seed}.h5')
    plan = place / f'seed-{seed}.plan.json'
    if not plan.is_file():
        place.mkdir(parents=True, exist_ok=True)
        write_json(plan, epochs_for(options, minutes))
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
        'minutes': minutes,
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
    'images per CPU second',
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

    Rows of the file with the same number of minutes are kept unless there is a newer row for their entry.
    """
    if not rows:
        return
    before = json.loads(figures.read_text(encoding='utf-8')) if figures.is_file() else []
    known = {row['name']: row for row in [*before, *rows] if row['minutes'] == rows[0]['minutes']}
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
        f'{row["images"] / row["cpu_seconds_an_epoch"]:.0f}',
        f'{row["validation_error"]:.2f}{change}',
        *(f'{row[kind]:.2f}' if kind in row else '' for kind in KINDS),
    ]
