"""The examples run unchanged, with few small images, few epochs and narrow networks."""

import importlib.util
import json
import re
import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

import launch
import loaders
from loaders.synthetic.sample import draw_faces
from utils.experiment.arguments import NETWORK_OPTIONS

FOLDER = Path(__file__).parent.parent / 'examples'
SCRIPTS = [
    'thesis',
    'own_network',
    *(pytest.param(name, marks=pytest.mark.slow) for name in ('best_model', 'dropout_profiles')),
]


@pytest.fixture(autouse=True)
def quick_compilation():
    jax.config.update('jax_disable_most_optimizations', True)
    yield
    jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture(scope='session')
def faces(tmp_path_factory):
    """A set 2 of drawn faces, reduced to every third pixel."""
    images, *columns = draw_faces(110, 50, 50)
    originals = loaders.Originals(np.ascontiguousarray(images[:, ::3, ::3]), *columns, np.arange(210, dtype=np.int32))
    return loaders.build(
        originals, sets=(2,), out=tmp_path_factory.mktemp('faces'), validation=30, info=lambda line: None
    )[0]


@pytest.fixture
def reproduce(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location('reproduce', FOLDER / 'reproduce.py')
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__('sys').modules, 'reproduce', module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'DOCS', tmp_path / 'docs')
    return module


@pytest.mark.parametrize('name', SCRIPTS)
def test_an_example_is_short_and_runs(name, faces, monkeypatch, tmp_path, capsys):
    path = FOLDER / f'{name}.py'
    assert len(path.read_text().splitlines()) <= 40
    calls, test = [], launch.test

    def scaled(**options):
        small = {
            'dataset': faces,
            'im_dim': None,
            'n_epochs': 1,
            'anneal_epochs': 1,
            'batch_size': 40,
            'statistics_images': 40,
            'n_hidden': [8] if options.get('n_hidden') else [],
            'report': False,
            'verbose': 0,
            'network_args': {'filters': 4} if name == 'own_network' else {'width': 1 / 32},
        }
        if 'augment' in options:
            small['augment'] = {**options['augment'].settings, 'crop': 16}
        calls.append(options)
        return test(**{**options, **small})

    monkeypatch.setattr(launch, 'test', scaled)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name='__main__')
    assert calls and all(Path(options['savename']).is_file() for options in calls)
    assert all(re.fullmatch(r'datasets/set[1-4]\.h5', options['dataset']) for options in calls)
    if name == 'dropout_profiles':
        assert len(re.findall(r'^(none|rising|falling) .* %  .* %$', capsys.readouterr().out, re.M)) == 3


def test_every_entry_of_reproduce_is_an_experiment(reproduce):
    rng = np.random.default_rng(0)
    for entry in reproduce.ENTRIES.values():
        options = importlib.import_module('reproduction.runs').rehearsed(entry.options, 0.02)
        launch.CONTEXT.serialise(options)
        names = [name for name in NETWORK_OPTIONS if name in options]
        network = entry.options['network'](
            (42, 42), 7, rng=rng, **{name: options[name] for name in names}, **options['network_args']
        )
        assert network.fc
    assert len(reproduce.EXPERIMENTS) == 10 and all(entry.thesis for entry in reproduce.EXPERIMENTS.values())


def test_reproduce_lists_and_refuses(reproduce, capsys):
    assert reproduce.main(['--list']) == 0
    assert 'A-BN-drop-set4' in capsys.readouterr().out
    for arguments, message in (
        (['E-set9'], "expected names from --list or 'ensemble', got 'E-set9'"),
        (['--all'], 'a full run needs FER2013: give its path with --data'),
        (['--all', '--scale', '2'], r'--scale must lie in \(0, 1\], got 2'),
        (['--all', '--data', 'nowhere.csv'], "--data: there is no 'nowhere.csv'"),
    ):
        assert reproduce.main(arguments) == 2
        assert re.search(f'^error: {message}', capsys.readouterr().err)


def test_a_rehearsal_goes_through_every_stage_and_is_not_repeated(reproduce, monkeypatch, capsys):
    entry = reproduce.ENTRIES['A-drop-set1']
    monkeypatch.setitem(reproduce.RECIPES, 'A-drop-set1', entry)
    command = ['A-drop-set1', 'ensemble', '--scale', '0.005', '--seeds', '0', '1']
    assert reproduce.main(command) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    for line in (
        'entropy point: epoch',
        'test error, private',
        'members, chosen on 26 validation images',
        'seed 1: fin',
    ):
        assert line in out
    folder = Path('trained_models/reproduce/sample-scale-0.005')
    result = json.loads((folder / 'results' / 'A-drop-set1' / 'seed-1' / 'result.json').read_text())
    assert result['status'] == 'finished' and result['about']['arguments']['seed'] == 1
    assert (
        'dataset' not in result['about']['arguments']
        and (folder / 'results' / 'A-drop-set1' / 'seed-0' / 'history.csv').is_file()
    )
    page = (folder / 'results.md').read_text()
    assert 'these figures mean nothing' in page
    assert re.search(
        r'^\| A drop \(set 1\) \| 6 \| 36.66 \| \d+\.\d\d ± \d+\.\d\d \|.*\| 2 \| \d, \d \|.* cpu \|$', page, re.M
    )
    assert page.count('not yet run') == 11
    assert not reproduce.DOCS.exists()
    assert reproduce.main(command[:1] + command[2:]) == 0
    assert 'seed 1: done already' in capsys.readouterr().out


def test_the_table_of_full_runs_replaces_the_one_in_the_page(reproduce, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# Results\n\n<!-- table -->\nold\n<!-- end of table -->\n\nMore.\n')
    reproduce.write_table(tmp_path / 'results', page, 1)
    text = page.read_text()
    assert 'old' not in text and text.startswith('# Results\n') and text.endswith('<!-- end of table -->\n\nMore.\n')
    assert text.count('not yet run') == 13


def test_a_failed_run_is_told_of_and_the_others_go_on(reproduce, monkeypatch, capsys):
    def run(name, seed, *others):
        if name == 'A-set1':
            raise FloatingPointError('the cost is not finite')
        print(f'{name} ran')

    monkeypatch.setattr(reproduce, 'run', run)
    monkeypatch.setattr(reproduce, 'make_sets', lambda numbers, *others: dict.fromkeys(numbers))
    Path('trained_models/reproduce/sample-scale-0.1').mkdir(parents=True)
    assert reproduce.main(['A-set1', 'A-drop-set1', '--scale', '.1', '--seeds', '3']) == 2
    told = capsys.readouterr()
    assert 'A-drop-set1 ran' in told.out
    assert told.err == 'error: A-set1, seed 3: the cost is not finite\n'


def test_rows_of_techniques_stay_until_they_are_run_again(reproduce, tmp_path):
    from reproduction.comparison import finished, write_comparison

    page, figures = tmp_path / 'page.md', tmp_path / 'techniques.json'
    page.write_text('# Results\n\n<!-- techniques -->\nNot yet run.\n<!-- end of techniques -->\n')
    plan = dict(budget=6, n_epochs=3, epoch=2, parameters=1.2e6, images=100, cost=2.0)

    def rows(**errors):
        for name, error in errors.items():
            (tmp_path / name).mkdir(exist_ok=True)
            row = {'name': name, 'validation_error': error, 'plain': 41.0, 'base': '', **plan}
            (tmp_path / name / 'seed-0.json').write_text(json.dumps(row))
            (tmp_path / name / 'seed-0.plan.json').write_text(json.dumps(plan))
        return finished(tmp_path)

    write_comparison([], page, figures)
    assert 'Not yet run' in page.read_text()
    write_comparison(rows(Sprint=37.0, MLP=57.0), page, figures)
    (tmp_path / 'Sprint' / 'seed-0.json').unlink()
    write_comparison(rows(MLP=55.5), page, figures)
    text = page.read_text()
    assert '| Sprint | 3 | 2 | 1.20 M | 2.00 | 37.00 | 41.00 | ' in text
    assert '| MLP (512, 512) | 3 | 2 | 1.20 M | 2.00 | 55.50 |' in text
    assert '57.00' not in text and [row['name'] for row in json.loads(figures.read_text())] == ['Sprint', 'MLP']
    plan['budget'] = 1
    write_comparison(rows(MLP=70.0), page, figures)
    assert '70.00' in page.read_text() and '37.00' not in page.read_text()


def test_the_cost_of_an_epoch_does_not_depend_on_the_speed_of_the_moment(reproduce, monkeypatch):
    from reproduction import costs

    speeds = iter(np.repeat(1.5 ** np.random.default_rng(0).standard_normal(200), 2))  # neighbours are equal

    class Course:
        heights, n_steps, n_parameters, order = [24, 48], 10, 7, np.zeros(1000)

        def __init__(self, options, stack):
            self.seconds, self.height = options['seconds'], 48

        def resize(self, height):
            self.height = height or 48

        def step(self):
            return next(speeds) * self.seconds * (self.height / 48) ** 2

        def validation(self):
            return 0.0

        def pretraining_seconds(self):
            return 0.0

    monkeypatch.setattr(costs, '_Course', Course)
    plan = costs.epochs_for({'seconds': 4.0}, {'seconds': 2.0}, 6)
    assert plan['n_epochs'] == 5 and plan['images'] == 1000 and plan['parameters'] == 7  # 6 / 1.25, rounded
    np.testing.assert_allclose(plan['cost'], 2 * (0.25 + 1) / 2)
    assert costs.epochs_for({'seconds': 400.0}, {'seconds': 2.0}, 6)['n_epochs'] == 1
