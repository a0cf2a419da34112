"""Re-run the experiments behind Tables 6-12 of the thesis, and the recipes that are to go beyond them.

    python examples/reproduce.py --list
    python examples/reproduce.py A-drop-set2 --data fer2013.tar.gz --seeds 0 1 2
    python examples/reproduce.py --all --data fer2013.tar.gz --seeds 0 1 2
    python examples/reproduce.py --all --scale 0.02

The same command goes on with what was interrupted and leaves what is finished. A full run puts its result.json and
history.csv into docs/results/ and the table into docs/results.md. `--scale` rehearses: that share of the images and
of the epochs, narrow networks, everything else as it is; its figures mean nothing and stay in the folder of the runs.
"""

import argparse
import csv
import inspect
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import cnn
import launch
import loaders
import mlp
from loaders.sets.splits import draw
from loaders.synthetic.sample import draw_faces
from utils import rna
from utils.files.atomic import atomic_write, write_json
from utils.files.folders import numbered_folder
from utils.record.reading import read_run
from utils.results.metrics import final_kind
from utils.studies.ensembles import ensemble

FAILURES = (ValueError, OSError, FloatingPointError)
DOCS = Path(__file__).resolve().parent.parent / 'docs'
VALIDATION = 3709 / 28709  # of set 1, which has none in the thesis: as large a part as of set 2
N_TRAINING, N_TEST = 28709, 3589  # of FER2013; a test half has as many
THESIS = dict(learning_rate=0.1, batch_size=100, p_drop=0.5, anneal_epochs=10)
SET4 = dict(THESIS, n_epochs=60, patience=6)
PLAIN = dict(THESIS, batch_norm=False)
ONLINE = dict(
    batch_size=128,
    momentum=0.9,
    nesterov=True,
    schedule='cosine',
    schedule_args={'warmup': 5},
    ema_decay=0.999,
    label_smoothing=0.1,
    n_epochs=200,
)
CHANGES = dict(crop=40, mirror=0.5, shift=0.1, rotation=10.0, zoom=0.2, brightness=0.2, contrast=0.3, erase=0.5)


@dataclass
class Entry:
    """One experiment: its name in the tables, data set, arguments of `launch.test`, and the thesis's error in %."""

    title: str
    set: int
    options: dict
    thesis: str = ''
    table: str = ''


# The thesis gives epochs for the third alone (Figure 18): 200 are enough for the entropy point there. On set 4 an epoch
# has 361,746 images; the stage ends 6 epochs after its minimum. Without dropout (the first) it over-fits at once.
EXPERIMENTS = {
    'A-set1': Entry(
        'A (set 1)',
        1,
        dict(PLAIN, network=cnn.A, n_hidden=[1024, 1024], p_drop=0.0, p_dropConv=[0.0] * 4, n_epochs=60, patience=10),
        '40-42',
        'section 5.5',
    ),
    'A-drop-set1': Entry(
        'A drop (set 1)', 1, dict(PLAIN, network=cnn.A, n_hidden=[1024, 1024], n_epochs=200), '36.66', '6'
    ),
    'A-drop-set2': Entry(
        'A drop (set 2)', 2, dict(PLAIN, network=cnn.A, n_hidden=[1024], n_epochs=200), '32.52 (plain 33.7)', '7'
    ),
    'B-drop-set2': Entry(
        'B drop (set 2)', 2, dict(PLAIN, network=cnn.B, n_hidden=[1024, 512], n_epochs=200), '33.27', '8'
    ),
    'A-BN-drop-set2-1024': Entry(
        'A BN-drop (set 2) (1024, 1024)',
        2,
        dict(THESIS, network=cnn.A, n_hidden=[1024, 1024], n_epochs=100),
        '32.76',
        '9',
    ),
    'A-BN-drop-set2-512': Entry(
        'A BN-drop (set 2) (512, 512)', 2, dict(THESIS, network=cnn.A, n_hidden=[512, 512], n_epochs=100), '32.65', '9'
    ),
    'A-BN-drop-set3': Entry(
        'A BN-drop (set 3)', 3, dict(THESIS, network=cnn.A, n_hidden=[1024, 1024], n_epochs=60), '32.54', '10'
    ),
    'A-BN-drop-set4': Entry(
        'A BN-drop (set 4) (1024)', 4, dict(SET4, network=cnn.A, n_hidden=[1024]), '29.92', '11, 12'
    ),
    'D-BN-drop-set4': Entry(
        'D BN-drop (set 4) (1024)', 4, dict(SET4, network=cnn.D, n_hidden=[1024]), '30.52', '11, 12'
    ),
    'C-BN-drop-set4': Entry(
        'C BN-drop (set 4) (3048)', 4, dict(SET4, network=cnn.C, n_hidden=[3048]), '31.50', '11, 12'
    ),
}
RECIPES = {
    'VGG': Entry(
        'VGG, online augmentation',
        1,
        dict(
            ONLINE,
            network=cnn.VGG,
            n_hidden=[4096, 4096],
            p_drop=0.2,
            learning_rate=0.02,
            weight_decay=1e-4,
            augment=dict(CHANGES, mixup=0.2),
        ),
    ),
    'ResNet18': Entry(
        'ResNet18, online augmentation',
        1,
        dict(
            ONLINE,
            network=cnn.ResNet18,
            n_hidden=[],
            p_drop=0.0,
            learning_rate=0.1,
            weight_decay=5e-4,
            augment=dict(CHANGES, mixup=0.4),
        ),
    ),
}
SMALL = {
    'MLP-set1': Entry(
        'MLP BN-drop (set 1) (256), 10 epochs',
        1,
        dict(THESIS, network=mlp.MLP, n_hidden=[256], n_epochs=10, anneal_epochs=3),
    ),
    'B-online': Entry(
        'B at 3/4 of the width (512), crops of 40x40 and online augmentation, 44 epochs',
        1,
        dict(
            ONLINE,
            network=cnn.B,
            network_args={'width': 0.75},
            n_hidden=[512],
            p_drop=0.4,
            p_dropConv=[0.0] * 6,
            learning_rate=0.05,
            weight_decay=5e-4,
            ema_decay=0.998,
            schedule_args={'warmup': 2},
            n_epochs=44,
            anneal_epochs=2,
            augment=dict(mirror=0.5, crop=40, shift=0.05, rotation=10.0, zoom=0.15, contrast=0.2, erase=0.2),
        ),
    ),
    'LeNet5-set1': Entry(
        'LeNet5 BN (set 1) (120, 84), 6 epochs',
        1,
        dict(
            THESIS,
            network=cnn.LeNet5,
            n_hidden=[120, 84],
            activation=rna.relu(),
            batch_norm=True,
            p_drop=0.0,
            n_epochs=6,
            anneal_epochs=2,
        ),
    ),
    'A-quarter-set2': Entry(
        'A BN-drop (set 2) (256), a quarter of the width, 7 epochs',
        2,
        dict(
            THESIS,
            network=cnn.A,
            network_args={'width': 0.25},
            n_hidden=[256],
            p_dropConv=[0.0, 0.1, 0.1, 0.2],
            n_epochs=7,
            anneal_epochs=2,
        ),
    ),
}
ENTRIES = {**EXPERIMENTS, **RECIPES, **SMALL}


# ------------------------------------------------------------------------------------------ data


def originals(data, scale):
    """The images of FER2013, or a share of each class and usage of them; without data drawn faces."""
    if data is None:
        arrays = draw_faces(*(max(200, round(n * scale)) for n in (N_TRAINING, N_TEST, N_TEST)))
        return loaders.Originals(*arrays, np.arange(len(arrays[0]), dtype=np.int32), layout='drawn faces')
    whole = _from_sets(data) if (Path(data) / 'set1.h5').is_file() else loaders.read(data)
    if scale == 1:
        return whole
    rows = [
        draw(
            np.flatnonzero(whole.usage == usage),
            whole.labels[whole.usage == usage],
            round((whole.usage == usage).sum() * scale),
            seed=0,
            stratify=True,
        )
        for usage in range(3)
    ]
    rows = np.sort(np.concatenate(rows))
    return loaders.Originals(
        whole.images[rows],
        whole.labels[rows],
        whole.usage[rows],
        whole.ids[rows],
        whole.classes,
        f'{len(rows)} images of {whole.layout}',
    )


def _from_sets(folder):
    with loaders.load(Path(folder) / 'set1.h5') as data:
        parts = [data.training, data.test]
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ('y', 'usage', 'source')]
        images = np.concatenate([part.images() for part in parts])
    order = np.argsort(columns[2])
    return loaders.Originals(images[order], *(column[order] for column in columns), layout=f"'{folder}'")


def make_sets(numbers, data, scale, folder):
    """Paths of sets by number: those of a folder of whole sets, or made in `folder` unless they are there."""
    paths, images = {}, None
    for number in numbers:
        paths[number] = folder / f'set{number}.h5'
        given = Path(data or '') / f'set{number}.h5'
        if scale == 1 and given.is_file():
            with loaders.load(given) as one:
                if one.validation is not None:
                    paths[number] = given
        if not paths[number].is_file():
            images = originals(data, scale) if images is None else images
            folder.mkdir(parents=True, exist_ok=True)
            recipe = loaders.Recipe('set 1', held_out=VALIDATION, number=1) if number == 1 else number
            loaders.build(images, sets=(recipe,), out=folder, log=lambda line: None)
            print(f"made '{paths[number]}'")
    return paths


# ------------------------------------------------------------------------------------------ runs


def rehearsed(options, scale):
    """The same experiment with few epochs and a narrow network."""
    if scale == 1:
        return options
    narrow = {'width': 1 / 16} if 'width' in inspect.signature(options['network']).parameters else {}
    return {
        **options,
        'n_epochs': max(2, round(options['n_epochs'] * scale)),
        'anneal_epochs': max(1, round(options.get('anneal_epochs', 10) * scale)),
        'n_hidden': [max(8, n // 16) for n in options['n_hidden']],
        'network_args': narrow,
        'statistics_images': 200,
    }


def run(name, seed, dataset, scale, folder, results):
    """Run an experiment unless it is done or another process is at it; result and history go into `results`."""
    entry, model = ENTRIES[name], folder / name / f'seed-{seed}.h5'
    options = {
        **rehearsed(entry.options, scale),
        'dataset': str(dataset),
        'seed': seed,
        'name': entry.title,
        'savename': str(model),
    }
    outcome = launch.run_point(options, verbose=1)
    print(f'\n{name}, seed {seed}: {outcome}')
    if outcome == 'busy':
        return
    done = read_run(model.with_suffix(''))
    target = results / name / f'seed-{seed}'
    target.mkdir(parents=True, exist_ok=True)
    environment = done['run']['environment']
    about = {key: environment[key] for key in ('device', 'driver', 'python', 'pytensor', 'jax', 'numpy', 'cpus', 'git')}
    config = {key: value for key, value in done['config'].items() if key not in ('dataset', 'savename', 'resume')}
    write_json(
        target / 'result.json',
        {
            **done['result'],
            'about': {
                **about,
                'data': done['run']['data_name'],
                'fingerprint': done['run']['fingerprint'],
                'arguments': config,
            },
        },
    )
    shutil.copyfile(done['folder'] / 'history.csv', target / 'history.csv')


def run_ensemble(folder, results):
    """Combine all finished runs of the recipes; the members are chosen on the validation images."""
    runs = [model.with_suffix('') for name in RECIPES for model in sorted((folder / name).glob('seed-*.h5'))]
    print('\nensemble of the recipes')
    scores, members = ensemble(runs, folder=numbered_folder(folder, 'ensemble', make=False))
    (results / 'ensemble').mkdir(parents=True, exist_ok=True)
    write_json(
        results / 'ensemble' / 'evaluation.json',
        {'members': [f'{one.parent.parent.name}/{one.parent.name}' for one in members], 'evaluation': scores},
    )


# ----------------------------------------------------------------------------------------- table

HEADER = (
    'experiment',
    'table',
    'thesis',
    'ours',
    'plain test',
    'public',
    'private',
    'without twins',
    'seeds',
    'kept epoch',
    'cross-entropy train / validation',
    'training',
    'images/s',
    'device',
)


def table(results):
    """What is in `results` as a Markdown table; errors in %, mean ± standard deviation (n - 1) over the seeds."""
    lines = ['| ' + ' | '.join(HEADER) + ' |', '|' + '---|' * len(HEADER)]
    for name, entry in ENTRIES.items():
        rows = [_row(path) for path in sorted((results / name).glob('seed-*/result.json'))]
        cells = _cells(rows) if rows else ['not yet run'] + [''] * 10
        if rows or name not in SMALL:
            lines.append('| ' + ' | '.join([entry.title, entry.table, entry.thesis, *cells]) + ' |')
    path = results / 'ensemble' / 'evaluation.json'
    if path.is_file():
        saved = json.loads(path.read_text(encoding='utf-8'))
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
        'clean': final['whole'].get('without_twins', final['whole'])['error'],
    }


def _row(path):
    result = json.loads(path.read_text(encoding='utf-8'))
    with open(path.with_name('history.csv'), newline='', encoding='utf-8') as file:
        history = list(csv.DictReader(file))
    kept = [row for row in history if row['stage'] == 'train' and int(row['epoch']) == result['epoch']][0]
    return {
        **_errors(result['evaluation']),
        'epoch': result['epoch'],
        'train': float(kept['train_cross_entropy']),
        'validation': float(kept['validation_cross_entropy']),
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
    """Put the table between the marks of a page; of a rehearsal make the page."""
    begin, end = '<!-- table -->\n', '<!-- end of table -->'
    if scale < 1:
        text = (
            f'# A rehearsal at scale {scale:g}\n\nFew images, few epochs, narrow networks: **these figures mean '
            f'nothing**; they show that every stage works.\n\n{begin}{end}\n'
        )
    else:
        text = page.read_text(encoding='utf-8')
    before, _, rest = text.partition(begin)
    with atomic_write(page) as temporary:
        temporary.write_text(before + begin + table(results) + end + rest.partition(end)[2], encoding='utf-8')
    print(f"\n{table(results)}\ntable in '{page}'")


# ------------------------------------------------------------------------------------ command line


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0], allow_abbrev=False)
    parser.add_argument('names', nargs='*', metavar='NAME', help="entries of --list, or 'ensemble'")
    parser.add_argument('--all', action='store_true', help='the experiments, the recipes and their ensemble')
    parser.add_argument('--list', action='store_true', help='say what there is')
    parser.add_argument(
        '--data',
        help='FER2013 in any layout, or a folder with set1.h5, set2.h5, ...; without it drawn faces, for rehearsals',
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--scale', type=float, default=1.0, help='share of images and epochs, for a rehearsal')
    parser.add_argument(
        '--out', default='trained_models/reproduce', help='folder of sets and models (default: %(default)s)'
    )
    args = parser.parse_args(arguments)
    names = [*EXPERIMENTS, *RECIPES, 'ensemble'] if args.all else args.names
    if args.list or not names:
        for name, entry in ENTRIES.items():
            print(
                f'{name:20}  set {entry.set}  {entry.options["n_epochs"]:4d} epochs  {entry.title:58}  '
                f'thesis: {entry.thesis or "-"}'
            )
        return 0
    try:
        _check(names, args)
        kind = 'full' if args.scale == 1 else f'scale-{args.scale:g}'
        folder = Path(args.out) / f'{Path(args.data or "sample").name.split(".")[0]}-{kind}'
        results, page = (
            (DOCS / 'results', DOCS / 'results.md') if args.scale == 1 else (folder / 'results', folder / 'results.md')
        )
        runs = [name for name in names if name != 'ensemble']
        sets = make_sets(sorted({ENTRIES[name].set for name in runs}), args.data, args.scale, folder / 'sets')
        failures = []
        for seed in args.seeds:
            for name in runs:
                try:
                    run(name, seed, sets[ENTRIES[name].set], args.scale, folder, results)
                except FAILURES as error:
                    failures.append(f'{name}, seed {seed}: {error}')
                    print(f'failed: {failures[-1]}')
        if 'ensemble' in names:
            run_ensemble(folder, results)
        write_table(results, page, args.scale)
    except FAILURES as error:
        failures = [error]
    except KeyboardInterrupt:
        return 130
    for failure in failures:
        print(f'error: {failure}', file=sys.stderr)
    return 2 if failures else 0


def _check(names, args):
    unknown = [name for name in names if name not in (*ENTRIES, 'ensemble')]
    if unknown:
        raise ValueError(f"expected names of --list or 'ensemble', got {unknown[0]!r}")
    if not 0 < args.scale <= 1:
        raise ValueError(f'--scale must lie in (0, 1], got {args.scale:g}')
    if args.data is None and args.scale == 1:
        raise ValueError('a full run needs FER2013: name it with --data, or rehearse with --scale 0.02')
    if args.data is not None and not Path(args.data).exists():
        raise ValueError(f"--data: there is no '{args.data}'")


if __name__ == '__main__':
    sys.exit(main())
