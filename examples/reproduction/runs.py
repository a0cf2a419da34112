"""One run, and the ensemble; their results go into a folder."""

import inspect
import shutil

import launch
from reproduction.experiments import ENTRIES, RECIPES
from utils.files.atomic import write_json
from utils.files.folders import numbered_folder
from utils.record.reading import read_run
from utils.studies.ensembles import ensemble


def rehearsed(options, scale):
    """The arguments of the same experiment with few epochs and a narrow network."""
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
    """Run an experiment unless it is finished or another process runs it, and copy result and history to `results`."""
    entry, model = ENTRIES[name], folder / name / f'seed-{seed}.h5'
    options = {
        **rehearsed(entry.options, scale),
        'dataset': str(dataset),
        'seed': seed,
        'name': entry.title,
        'savename': str(model),
    }
    outcome = launch.run_trial(options, verbose=1)
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
    """Combine all finished runs of the recipes, with members chosen on the validation images."""
    runs = [model.with_suffix('') for name in RECIPES for model in sorted((folder / name).glob('seed-*.h5'))]
    print('\nensemble of the recipes')
    scores, members = ensemble(runs, folder=numbered_folder(folder, 'ensemble', make=False))
    (results / 'ensemble').mkdir(parents=True, exist_ok=True)
    write_json(
        results / 'ensemble' / 'evaluation.json',
        {'members': [f'{one.parent.parent.name}/{one.parent.name}' for one in members], 'evaluation': scores},
    )
