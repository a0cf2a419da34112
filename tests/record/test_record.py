"""Run folders, the table of all runs, reading them back."""

import csv
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import launch
import mlp
import utils
from utils.files import models
from utils.record import reading, table, writing
from utils.results import predictions

SMALL = dict(
    network=mlp.MLP,
    n_hidden=[8],
    batch_size=50,
    statistics_images=50,
    anneal_epochs=1,
    n_epochs=2,
    verbose=0,
    report=False,
    savename='models/m.h5',
)


def test_a_run_leaves_its_record(tiny_set):
    result = launch.test(**SMALL, dataset=tiny_set, seed=3)
    assert result.folder == Path('models/m/run-001')
    assert sorted(p.name for p in result.folder.iterdir()) == [
        'config.yaml',
        'confusion.csv',
        'figures',
        'history.csv',
        'log.txt',
        'logits.npz',
        'model.h5',
        'network.py',
        'predictions.csv',
        'result.json',
        'run.json',
    ]
    run = reading.read_run(result.folder)
    assert run['config']['seed'] == 3 and run['config']['network'] == 'MLP'
    assert run['result']['test_error'] == result.test_error
    assert run['result']['evaluation'] == json.loads(json.dumps(result.evaluation))
    assert run['run']['fingerprint'] == result.config['fingerprint']
    assert run['run']['environment']['symfer'] == utils.__version__
    assert {'python', 'pytensor', 'jax', 'device', 'driver', 'git'} <= set(run['run']['environment'])
    assert 'class MLP(Layer)' in (result.folder / 'network.py').read_text()
    assert 'entropy point: epoch' in (result.folder / 'log.txt').read_text()  # although nothing was printed
    assert [row['stage'] for row in run['history']] == [row['stage'] for row in result.history]
    assert all(row['images_per_second'] > 0 for row in run['history'])
    with open(result.folder / 'predictions.csv') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert 100 - 100 * sum(int(row['correct']) for row in rows) / 60 == pytest.approx(result.special_test_error)


def test_a_second_run_gets_the_next_number_and_the_first_keeps_its_model(tiny_set):
    first = launch.test(**SMALL, dataset=tiny_set)
    before = {p: p.read_bytes() for p in first.folder.rglob('*') if p.is_file()}
    second = launch.test(**{**SMALL, 'n_epochs': 1}, dataset=tiny_set)
    assert second.folder.name == 'run-002'
    assert all(path.read_bytes() == content for path, content in before.items())
    assert models.load(first.folder / 'model.h5')[1]['options']['n_epochs'] == 2
    rows = table.read_table('models/experiments.csv')
    assert [(row['run'], row['status']) for row in rows] == [
        ('models/m/run-001', 'finished'),
        ('models/m/run-002', 'finished'),
    ]
    assert float(rows[0]['special_test_error']) == first.special_test_error
    assert json.loads(rows[1]['options'])['n_epochs'] == 1


def test_the_configuration_repeats_the_run(tiny_set):
    first = launch.test(**SMALL, dataset=tiny_set, seed=5, learning_rate=0.05)
    assert launch.main(['--config', str(first.folder / 'config.yaml')]) == 0
    again = reading.read_run('models/m/run-002')
    assert again['config'] == reading.read_run(first.folder)['config']
    assert again['result']['errors'] == reading.read_run(first.folder)['result']['errors']
    options = launch.configured({'config': first.folder / 'config.yaml', 'seed': 6})
    assert (options['seed'], options['learning_rate'], 'config' in options) == (6, 0.05, False)


def test_a_network_of_a_script_is_kept_without_what_the_script_does(tiny_set):
    Path('mine.py').write_text(
        'import mlp\nWIDTH = 4\nprint(WIDTH)\nother = mlp.MLP\n\n\nclass Mine(mlp.MLP):\n    units = WIDTH\n'
    )
    first = launch.test(**{**SMALL, 'network': 'mine.py:Mine'}, dataset=tiny_set)
    kept = (first.folder / 'network.py').read_text()
    assert kept == 'import mlp\nWIDTH = 4\nclass Mine(mlp.MLP):\n    units = WIDTH\n'
    Path('mine.py').unlink()
    assert launch.main(['--config', str(first.folder / 'config.yaml')]) == 0
    assert (
        reading.read_run('models/m/run-002')['result']['errors'] == reading.read_run(first.folder)['result']['errors']
    )


def typed_in():
    """A class that stands in no file, as one of an interpreter."""
    names = {'mlp': mlp, '__name__': '__main__'}
    exec('class Typed(mlp.MLP):\n    pass', names)
    return names['Typed']


def within_a_function():
    class Local(mlp.MLP):
        pass

    return Local


@pytest.mark.parametrize('make', [typed_in, within_a_function])
def test_a_class_whose_source_cannot_be_kept_is_told_of(tiny_set, make, capsys):
    network = make()
    first = launch.test(**{**SMALL, 'network': network, 'verbose': 1}, dataset=tiny_set)
    assert not (first.folder / 'network.py').exists()
    name = network.__name__
    caveat = (
        '--config cannot repeat this run: its folder has no source of network. In Python: '
        f"test(**{{**read_config('models/m/run-001/config.yaml'), 'network': {name}}})\n"
    )
    assert caveat in capsys.readouterr().out and caveat in (first.folder / 'log.txt').read_text()
    code = caveat.partition('In Python: ')[2].strip()
    assert eval(code, {'test': launch.test, 'read_config': launch.read_config, name: network}).errors == first.errors


def halved(epoch, n_epochs, figures):
    return 0.5**epoch


def test_a_function_whose_source_is_not_kept_is_told_of_and_nothing_else(tiny_set):
    first = launch.test(**SMALL, dataset=tiny_set, schedule=halved)
    assert (
        "no source of schedule. In Python: test(**{**read_config('models/m/run-001/config.yaml'), 'schedule': halved})"
        in (first.folder / 'log.txt').read_text()
    )
    second = launch.test(**SMALL, dataset=tiny_set, schedule='cosine', optimiser='adam', activation='tanh')
    assert '--config' not in (second.folder / 'log.txt').read_text()


@pytest.mark.parametrize('error, status', [(KeyboardInterrupt, 'interrupted'), (RuntimeError, 'failed: RuntimeError')])
def test_what_ended_a_run_is_written_down(tiny_set, error, status):
    def stop(row):
        raise error('no more')

    with pytest.raises(error):
        launch.test(**SMALL, dataset=tiny_set, on_epoch=stop)
    assert reading.status_of('models/m/run-001').startswith(status)
    (row,) = table.read_table('models/experiments.csv')
    assert row['status'].startswith(status) and row['ended'] and not row['test_error']
    with pytest.raises(predictions.RunError, match=f"'models/m/run-001' has not finished: {status}"):
        reading.read_run('models/m/run-001')
    assert len(list(csv.DictReader(open('models/m/run-001/history.csv')))) == 1
    launch.test(resume='models/m.h5', verbose=0)
    launch.test(resume='models/m.h5', verbose=0)  # nothing is left to be done
    again = reading.read_run('models/m')
    assert again['folder'].name == 'run-003' and len(again['history']) > 2


class Data:
    path, name, classes, is_fer2013 = 'x.h5', 'x', ('a', 'b'), False


CONFIG = {
    'options': {
        'network': 'MLP',
        'seed': 1,
        'learning_rate': 0.1,
        'batch_size': 5,
        'n_epochs': 2,
        'n_hidden': [3],
        'report': False,
    },
    'fingerprint': 'f',
    'bundled_network': True,
}


def _many_runs(number):
    for _ in range(8):
        writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data).end('finished', {'test_error': number})


def test_runs_of_several_processes_lose_no_row():
    context = multiprocessing.get_context('spawn')  # JAX does not survive a fork
    processes = [context.Process(target=_many_runs, args=(k,)) for k in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    rows = table.read_table('models/experiments.csv')
    assert len(rows) == 16 and len({row['run'] for row in rows}) == 16
    assert {row['status'] for row in rows} == {'finished'}
    assert sorted(row['test_error'] for row in rows) == sorted(str(k) for k in range(2) for _ in range(8))


def test_a_run_whose_process_is_gone_is_marked():
    writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data)
    rows = table.read_table('models/experiments.csv')
    process = subprocess.Popen(['true'])
    process.wait()
    gone = process.pid
    assert table._marked_if_dead({**rows[0], 'pid': str(gone)})['status'] == 'died'
    assert table._marked_if_dead({**rows[0], 'pid': str(os.getpid())})['status'] == 'running'
    assert (
        table._marked_if_dead({**rows[0], 'pid': str(gone), 'host': 'not ' + socket.gethostname()})['status']
        == 'running'
    )


def test_columns_that_a_person_added_to_the_table_stay():
    first = writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data)
    text = Path('models/experiments.csv').read_text().splitlines()
    Path('models/experiments.csv').write_text(f'{text[0]},note\n{text[1]},mine\n')
    first.end('finished', {})
    writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data).end('finished', {})
    rows = table.read_table('models/experiments.csv')
    assert [(row['status'], row['note']) for row in rows] == [('finished', 'mine'), ('finished', '')]
    Path('models/experiments.csv').write_text('a,b\n1,2\n')
    with pytest.raises(predictions.RunError, match='is not a table of runs, it has no column run, status'):
        writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data)


def test_what_is_wrong_with_a_run_folder_is_said(tiny_set):
    folder = launch.test(**SMALL, dataset=tiny_set).folder
    with pytest.raises(predictions.RunError, match="there is no run folder 'absent'"):
        reading.read_run('absent')
    Path('empty').mkdir()
    with pytest.raises(predictions.RunError, match="'empty' is not a run folder"):
        reading.read_run('empty')
    (folder / 'logits.npz').rename('kept.npz')
    with pytest.raises(predictions.RunError, match='is incomplete: logits.npz is missing'):
        reading.read_run(folder, need=['logits.npz'])
    run = json.loads((folder / 'run.json').read_text())
    (folder / 'run.json').write_text(json.dumps({**run, 'version': 7}))
    with pytest.raises(predictions.RunError, match='is of version 7, this symfer reads version 1'):
        reading.read_run(folder)
    (folder / 'run.json').write_text('{')
    with pytest.raises(predictions.RunError, match="run.json' cannot be read"):
        reading.read_run(folder)


def test_wrong_configurations_get_one_line(capsys):
    for text, message in (
        ('just text', 'is no configuration'),
        ('a: [', 'cannot be read'),
        ('learning_rat: 1', "no argument 'learning_rat'; did you mean 'learning_rate'"),
        ('learning_rate: -1', 'learning_rate must be'),
        ('seed: 1\nn_epochs: 2\nseed: 3', "'seed' stands there twice, in lines 1 and 3"),
        ('augment: {crop: 8, crop: 9}', "'crop' stands there twice"),
        ('[' * 5000, 'cannot be read'),
    ):
        Path('c.yaml').write_text(text)
        assert launch.main(['--config', 'c.yaml']) == 2
        error = capsys.readouterr().err
        assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert launch.main(['--config', 'absent.yaml']) == 2
    assert 'absent.yaml' in capsys.readouterr().err


def test_a_run_folder_stands_for_its_configuration():
    folder = writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data).folder
    assert launch.read_config(folder) == launch.read_config(folder / 'config.yaml') == CONFIG['options']
    with pytest.raises(predictions.RunError, match="'models/config.yaml' cannot be read"):
        launch.read_config('models')


def test_numbers_with_an_exponent_are_numbers_in_a_configuration_and_texts_stay_texts():
    Path('c.yaml').write_text(
        'learning_rate: 1e-3\nclip_norm: 1.5E+1\nL2_reg: .5e-4\naugment: {zoom: 1e-1}\n'
        'p_dropConv: [1e-1, 2E-1]\nname: 1e3 faces'
    )
    assert launch.read_config('c.yaml') == {
        'learning_rate': 0.001,
        'clip_norm': 15.0,
        'L2_reg': 0.00005,
        'augment': {'zoom': 0.1},
        'p_dropConv': [0.1, 0.2],
        'name': '1e3 faces',
    }
    config = {**CONFIG, 'options': {**CONFIG['options'], 'name': '1e3', 'learning_rate': 1e-5}}
    folder = writing.Record(Path('models/m.h5'), config, mlp.MLP, '1e3', Data).folder
    assert launch.read_config(folder / 'config.yaml') == config['options']


def test_a_finished_model_that_goes_on_under_another_name_is_in_its_record(tiny_runs):
    model = tiny_runs[0].parent.with_name(tiny_runs[0].parent.name + '.h5')
    result = launch.test(resume=model, savename='models/other.h5', verbose=0)
    assert (result.folder / 'model.h5').is_file() and Path('models/other.h5').is_file()


@pytest.mark.parametrize(
    'name, change, message',
    [
        ('config.yaml', lambda text: '[1]', "config.yaml' is damaged: it has no proper seed"),
        ('config.yaml', lambda text: '', "config.yaml' is damaged"),
        ('config.yaml', lambda text: f'{text}x: &x [1]\ny: [*x, *x]', "config.yaml' cannot be read: .x in line"),
        (
            'run.json',
            lambda text: text.replace('"fingerprint"', '"finger"'),
            "run.json' is damaged: .* proper fingerprint",
        ),
        (
            'run.json',
            lambda text: text.replace('"name": "', '"name": 5, "n": "'),
            "run.json' is damaged: .* proper name",
        ),
        ('result.json', lambda text: '{"status": "finished"}', "result.json' is damaged: .* evaluation, test_error"),
        ('history.csv', lambda text: text.replace('train,1', 'train,one'), "history.csv' cannot be read: .*'one'"),
        ('history.csv', lambda text: text.replace('train,1', 'train,1,2'), "history.csv' cannot be read"),
    ],
)
def test_a_damaged_run_folder_gets_one_error_that_names_the_file(tiny_runs, name, change, message):
    shutil.copytree(tiny_runs[0], 'run')
    text = Path('run', name).read_text()
    assert change(text) != text
    Path('run', name).write_text(change(text))
    with pytest.raises(predictions.RunError, match=message):
        reading.read_run('run')
