"""The files that a run writes to its folder."""

import csv
import json
from pathlib import Path

import pytest
from record_data import SMALL

import launch
import mlp
import utils
from mlp.layers import FullyConnected
from utils.files import models
from utils.layer import Layer, flatten
from utils.record import reading, table
from utils.results import predictions


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
    """Make a class that is not in a file, as in an interpreter."""
    names = {'mlp': mlp, '__name__': '__main__'}
    exec('class Typed(mlp.MLP):\n    pass', names)
    return names['Typed']


def within_a_function():
    class Local(mlp.MLP):
        pass

    return Local


def without_an_activation():
    class Local(Layer):
        def __init__(self, im_dim, n_classes, n_hidden=(), *, rng):
            self.fc = FullyConnected(im_dim[0] * im_dim[1], n_classes, n_hidden, 0, rng=rng)

        def __call__(self, x, phase):
            return self.fc(flatten(x), phase)

    return Local


@pytest.mark.parametrize('make', [typed_in, within_a_function, without_an_activation])
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
