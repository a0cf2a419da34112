"""Reading of run folders, tables and configurations."""

import json
import multiprocessing
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from record_data import SMALL

import launch
import mlp
from utils.record import reading, table, writing
from utils.results import predictions


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
    with pytest.raises(predictions.RunError, match='is not a table of runs: it has no column run, status'):
        writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data)


def test_a_table_whose_best_epoch_had_another_name_gets_rows_in_the_right_columns():
    def end(number):
        record = writing.Record(Path('models/m.h5'), CONFIG, mlp.MLP, 'name', Data)
        record.end('finished', {'epoch': number, 'test_error': 10 * number})

    end(1)
    path = Path('models/experiments.csv')
    path.write_text(path.read_text().replace(',best_epoch,', ',kept_epoch,'))
    end(2)
    rows = table.read_table(path)
    assert [(row['best_epoch'], row['test_error']) for row in rows] == [('1', '10'), ('2', '20')]
    assert 'kept_epoch' not in path.read_text()


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
    with pytest.raises(predictions.RunError, match='has version 7, but this symfer reads version 1'):
        reading.read_run(folder)
    (folder / 'run.json').write_text('{')
    with pytest.raises(predictions.RunError, match="run.json' cannot be read"):
        reading.read_run(folder)


def test_wrong_configurations_get_one_line(capsys):
    for text, message in (
        ('just text', 'is not a configuration'),
        ('a: [', 'cannot be read'),
        ('learning_rat: 1', "no argument 'learning_rat'; did you mean 'learning_rate'"),
        ('learning_rate: -1', 'learning_rate must be'),
        ('seed: 1\nn_epochs: 2\nseed: 3', "'seed' occurs twice, in lines 1 and 3"),
        ('augment: {crop: 8, crop: 9}', "'crop' occurs twice"),
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
        ('config.yaml', lambda text: '[1]', "config.yaml' is damaged: it has no valid seed"),
        ('config.yaml', lambda text: '', "config.yaml' is damaged"),
        ('config.yaml', lambda text: f'{text}x: &x [1]\ny: [*x, *x]', "config.yaml' cannot be read: .x in line"),
        (
            'run.json',
            lambda text: text.replace('"fingerprint"', '"finger"'),
            "run.json' is damaged: .* valid fingerprint",
        ),
        (
            'run.json',
            lambda text: text.replace('"name": "', '"name": 5, "n": "'),
            "run.json' is damaged: .* valid name",
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
