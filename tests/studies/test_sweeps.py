"""Sweeps: grids, trials, resuming after an interruption, workers."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import launch
import loaders
import mlp
from utils.files import locks, models
from utils.record import table
from utils.studies import grid, search, workers

ROOT = Path(__file__).parents[2]
SMALL = dict(
    network='MLP', n_hidden=[8], batch_size=50, statistics_images=50, anneal_epochs=1, n_epochs=2, report=False
)


def test_grids_are_read_as_yaml_with_commas_inside_brackets():
    assert grid.parse_grid(['learning_rate=0.05,1e-3', 'n_hidden=[8],[8,4]', 'network=MLP,A', 'val=true,false']) == {
        'learning_rate': [0.05, 0.001],
        'n_hidden': [[8], [8, 4]],
        'network': ['MLP', 'A'],
        'val': [True, False],
    }
    assert grid.parse_grid(['augment={zoom: 1e-1}']) == {'augment': [{'zoom': 0.1}]}
    assert search.parse_space(['L2_reg=log:1e-6..1E-3']) == {'L2_reg': ('float', 1e-6, 1e-3, True)}


@pytest.mark.parametrize(
    'texts, message',
    [
        (['a'], "expected argument=value,value,..., got 'a'"),
        (['a='], 'expected'),
        (['=3'], 'expected'),
        (['a=1,,2'], 'expected'),
        (['a=[1'], 'expected'),
        (['a=1', 'a=2'], "'a' is given twice"),
        (['a={b: 1, b: 2}'], 'cannot be read'),
    ],
)
def test_wrong_grids_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        grid.parse_grid(texts)


def test_points_are_all_combinations_and_have_names_of_their_own():
    trials = grid.make_trials({'learning_rate': [0.05, 0.1], 'n_hidden': [[8], [8, 4]]}, [0, 1], 'models/s')
    assert len(trials) == 8 and len({trial['savename'] for trial in trials}) == 8
    assert trials[3] == {
        'learning_rate': 0.05,
        'n_hidden': [8, 4],
        'seed': 1,
        'savename': 'models/s_learning_rate=0.05_n_hidden=8-4_seed=1.h5',
    }
    with pytest.raises(ValueError, match='cannot vary seed: use seeds'):
        grid.make_trials({'seed': [1]}, [0], 's')
    with pytest.raises(ValueError, match='two trials of the sweep are the same'):
        grid.make_trials({'n_epochs': [1, 1]}, [0], 's')


def test_wrong_arguments_of_a_sweep_are_refused_before_anything_runs(tiny_set, capsys):
    for arguments, message in (
        (['sweep', 'learning_rat=1'], "no argument 'learning_rat'; did you mean"),
        (['sweep', 'learning_rate=0.1,-1'], 'learning_rate must be a number > 0, got -1'),
        (['sweep', 'n_epochs=1', '--workers', 'many'], 'workers must be'),
        (['train', '--workers', '2'], 'no option --workers'),
        (['sweep', 'n_epochs=1', '--resume', 'm.h5'], 'no option --resume'),
        (['search', 'p_drop=0.2..0.7', '--resume', 'm.h5'], 'no option --resume'),
        (['lr-find', '--resume', 'm.h5'], 'no option --resume'),
        (['search', 'p_drop=0.7..0.2'], 'low < high'),
        (['search', 'p_drop=0.2..1.5'], r'p_drop must be probabilities'),
    ):
        assert launch.main([*arguments, '--dataset', str(tiny_set)]) == 2
        error = capsys.readouterr().err
        assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert not list(Path('.').rglob('*.h5'))


class Stop(Exception):
    pass


def test_an_interrupted_sweep_goes_on_where_it_stopped(tiny_set, tiny_runs, monkeypatch):
    options = dict(dataset=str(tiny_set), savename='models/s.h5', verbose=0, **SMALL)
    epochs, whole = [], launch.test

    @functools.wraps(whole)
    def cut(*args, **kwargs):
        def stop(row):
            epochs.append((row['stage'], row['epoch']))
            if epochs.count(('train', 1)) == 2:  # of the second trial
                raise Stop

        return whole(*args, **{**kwargs, 'on_epoch': stop})

    with monkeypatch.context() as patch:
        patch.setattr(launch.CONTEXT, 'test', cut)
        with pytest.raises(Stop):
            launch.sweep({'learning_rate': [0.1, 0.002]}, [1], **options)
    first, second = 'models/s_learning_rate=0.1_seed=1', 'models/s_learning_rate=0.002_seed=1'
    before = len(list(Path('models').rglob('run-*')))
    done = launch.sweep({'learning_rate': [0.1, 0.002]}, [1], **options)
    assert set(done) == {Path(f'{first}.h5'), Path(f'{second}.h5')}
    assert len(list(Path(first).glob('run-*'))) == 1 and before == 2
    assert json.loads(Path(f'{second}/run-002/run.json').read_text())['resumed'] == f'{second}.h5'
    for mine, folder in ((first, tiny_runs[0]), (second, tiny_runs[2])):  # the same trials, never interrupted
        a, b = (
            models.load(f'{mine}.h5')[0]['arrays'],
            models.load(folder.parent.with_name(folder.parent.name + '.h5'))[0]['arrays'],
        )
        assert all(np.array_equal(a[key], b[key]) for key in a)
    table = Path('models/experiments.csv').read_text()
    launch.sweep({'learning_rate': [0.1, 0.002]}, [1], **options)
    assert Path('models/experiments.csv').read_text() == table  # nothing ran twice


def runs_of_a_sweep(options, **changes):
    """Run a sweep of one trial and count the runs."""
    launch.sweep({'learning_rate': [0.1]}, [1], **{**options, **changes})
    return len(list(Path('models').rglob('run-0*')))


def test_a_finished_trial_is_known_by_what_decides_its_result(tiny_set, tiny_originals):
    options = {**SMALL, 'n_epochs': 1, 'dataset': 'data/set2.h5', 'savename': 'models/s.h5', 'verbose': 0}
    Path('data').mkdir()
    Path('data/set2.h5').write_bytes(Path(tiny_set).read_bytes())
    assert runs_of_a_sweep(options) == 1
    Path('moved.h5').write_bytes(Path(tiny_set).read_bytes())
    for harmless in (
        {'name': 'renamed'},
        {'report': True},
        {'trainShared': False},
        {'im_dim': [12, 12]},
        {'dataset': 'moved.h5'},
        {'momentum': 0},
    ):
        assert runs_of_a_sweep(options, **harmless) == 1
    assert runs_of_a_sweep(options, momentum=0.5) == 2
    assert runs_of_a_sweep(options, momentum=0.5) == 2
    assert runs_of_a_sweep(options) == 2  # the first is still there
    loaders.build(tiny_originals, sets=(2,), out='data', validation=20, info=lambda *line: None)
    assert runs_of_a_sweep(options) == 3


def test_a_trial_of_an_early_version_is_known_without_digest_and_later_arguments(tiny_set):
    options = {**SMALL, 'n_epochs': 1, 'dataset': str(tiny_set), 'savename': 'models/s.h5', 'verbose': 0}
    assert runs_of_a_sweep(options) == 1
    with pytest.warns(FutureWarning, match='run_point.* is now run_trial'):
        assert (
            launch.run_point({**options, **grid.make_trials({'learning_rate': [0.1]}, [1], 'models/s')[0]})
            == 'done already'
        )
    (folder,) = Path('models').rglob('run-001')
    run, config = (folder / 'run.json').read_text(), (folder / 'config.yaml').read_text()
    about = json.loads(run)
    del about['content_digest']
    (folder / 'run.json').write_text(json.dumps(about))
    config = config.replace('clip_norm: 0.0\n', '').replace('gaussian_std: 0.0\n', 'gaussian_std: null\n')
    (folder / 'config.yaml').write_text(config)
    assert 'gaussian_std: null' in config
    assert 'clip_norm' not in (folder / 'config.yaml').read_text()
    assert runs_of_a_sweep(options) == 1
    assert runs_of_a_sweep(options, clip_norm=1.0) == 2


def test_a_trial_of_an_edited_network_is_run_again(tiny_set):
    options = {
        **SMALL,
        'n_epochs': 1,
        'dataset': str(tiny_set),
        'savename': 'models/s.h5',
        'verbose': 0,
        'network': 'mine.py:Mine',
    }
    for k, (body, runs) in enumerate((('pass', 1), ('"Text."', 1), ('x = 1', 2), ('x = 1', 2))):
        Path('mine.py').write_text(f'import mlp\nclass Mine(mlp.MLP):\n    {body}\n')
        os.utime('mine.py', (k, k))
        assert runs_of_a_sweep(options) == runs
    Path('mine.py').write_text('import mlp\nclass Mine(mlp.MLP):\n    x = 2\n')
    assert runs_of_a_sweep(options, accept_changed_network=True) == 2


def test_a_trial_that_another_process_is_at_is_left_to_it(tiny_set):
    with locks.try_model_lock('models/m.h5') as mine:
        assert mine
        code = (
            f'import sys; sys.path.insert(0, {str(ROOT)!r}); from utils.files import locks\n'
            'with locks.try_model_lock("models/m.h5") as mine: print(mine)'
        )
        assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout == 'False\n'
    with locks.try_model_lock('models/m.h5') as mine:
        assert mine


def test_a_trial_that_fails_is_told_of_and_the_others_run(tiny_set):
    with pytest.raises(ValueError, match='1 of 2 trials failed, first .*learning_rate=1e.30.*not finite'):
        launch.sweep(
            {'learning_rate': [1e30, 0.1]},
            [0],
            dataset=str(tiny_set),
            verbose=0,
            savename='models/f.h5',
            **{**SMALL, 'n_epochs': 1, 'batch_norm': False},
        )
    statuses = [row['status'].split(':')[0] for row in table.read_table('models/experiments.csv')]
    assert statuses == ['failed', 'finished']


def test_processes_share_the_trials_and_one_that_is_killed_is_replaced(tmp_path):
    """A substitute for the work dies by a signal the first time."""
    code = (
        'import json, os, pathlib, signal, sys; o = json.load(sys.stdin); p = pathlib.Path(o["savename"]);'
        'n = int(p.read_text()) if p.exists() else 0; p.write_text(str(n + 1));'
        'n == 0 and o["dies"] and os.kill(os.getpid(), signal.SIGKILL); sys.exit("no good" if o["bad"] else 0)'
    )
    trials = [{'savename': f'{k}', 'dies': k == 1, 'bad': k == 2} for k in range(4)]
    said = []
    failures = workers.in_processes(trials, [sys.executable, '-c', code], 2, said.append)
    assert failures == {'2': 'no good'}
    assert [Path(str(k)).read_text() for k in range(4)] == ['1', '2', '1', '1']
    assert sum('died (signal 9)' in line for line in said) == 1


def test_a_worker_finds_the_project_from_any_folder():
    code = workers.worker_command('launch', 'run_trial_of_input')[2]
    assert f'sys.path.insert(0, {str(ROOT)!r})' in code


@pytest.mark.slow
def test_processes_run_experiments(tiny_set):
    models = launch.sweep(
        {'n_hidden': [[4], [8]]},
        [0, 1],
        dataset=str(tiny_set),
        network=mlp.MLP,
        batch_size=50,
        n_epochs=1,
        anneal_epochs=1,
        report=False,
        savename='models/p.h5',
        workers=2,
        verbose=0,
    )
    assert len(models) == 4
    assert [row['status'] for row in table.read_table('models/experiments.csv')] == ['finished'] * 4


@pytest.mark.slow
def test_a_ray_worker_that_is_killed_is_replaced_and_nothing_runs_twice(tiny_set):
    pytest.importorskip('ray')
    command = [
        sys.executable,
        str(ROOT / 'launch.py'),
        'sweep',
        '--dataset',
        str(tiny_set),
        '--network',
        'MLP',
        'n_hidden=[4],[8]',
        '--seeds',
        '0',
        '1',
        '--n_epochs',
        '60',
        '--batch_size',
        '5',
        '--no-report',
        '--workers',
        'ray:2',
        '--savename',
        'models/r.h5',
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline, killed = time.time() + 200, None
    while killed is None and time.time() < deadline and process.poll() is None:
        time.sleep(0.2)
        for row in table.read_table('models/experiments.csv') if Path('models/experiments.csv').exists() else ():
            if row['status'] == 'running' and Path('models', Path(row['run']).parent.name + '.h5').exists():
                killed = row
                os.kill(int(row['pid']), signal.SIGKILL)
                break
    out, err = process.communicate(timeout=400)
    assert killed and process.returncode == 0, err
    rows = table.read_table('models/experiments.csv')
    finished = [row['run'] for row in rows if row['status'] == 'finished']
    assert len(finished) == 4 and len({Path(run).parent for run in finished}) == 4
    assert [row['status'] for row in rows if row['run'] == killed['run']] == ['died']
