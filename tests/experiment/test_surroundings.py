"""Odd paths, a reader of the output that ends, encodings, interrupts: the run continues or says why it cannot."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small import SMALL as SMALL_RUN

import launch
from utils.files import locks, models
from utils.record.reading import read_config, read_run
from utils.record.table import read_table

ROOT = Path(__file__).parents[2]
SMALL = SMALL_RUN | dict(n_epochs=1)
OPTIONS = [
    '--network',
    'MLP',
    '--n_hidden',
    '8',
    '--batch_size',
    '50',
    '--n_epochs',
    '2',
    '--anneal_epochs',
    '1',
    '--no-report',
    '--statistics_images',
    '50',
]


def command(*words, **environment):
    return [sys.executable, str(ROOT / 'launch.py'), *map(str, words)], {**os.environ, **environment}


def test_a_run_outlives_the_reader_of_its_output(tiny_set):
    words, environment = command('--dataset', tiny_set, *OPTIONS, '--savename', 'm.h5')
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait() == 0 and not error
    log = Path('m/run-001/log.txt').read_text()
    assert 'standard output is closed' in log and 'total time' in log and 'anneal epoch 1/1' in log


@pytest.mark.parametrize('there', [False, True])
def test_a_link_stays_and_what_it_leads_to_is_written(tiny_set, there):
    Path('big').mkdir()
    if there:
        launch.test(**SMALL, dataset=tiny_set, savename='big/real.h5')
    Path('m.h5').symlink_to('big/real.h5')
    result = launch.test(**SMALL, dataset=tiny_set, savename='m.h5', seed=1)
    assert Path('m.h5').is_symlink() and models.load('big/real.h5')[1]['options']['seed'] == 1
    assert Path('big/real.1.h5').exists() == there and result.folder == Path('m/run-001')
    again = launch.test(resume='m.h5', n_epochs=2, verbose=0)
    assert Path('m.h5').is_symlink() and len(again.history) > len(result.history)


def test_a_link_and_its_target_are_locked_as_one():
    Path('m.h5').symlink_to('real.h5')
    assert locks.lock_file('m.h5') == locks.lock_file('real.h5')


def test_a_tilde_is_the_home_folder(tiny_set, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    result = launch.test(**SMALL, dataset=tiny_set, savename='~/models/m.h5')
    assert result.savename == tmp_path / 'home' / 'models' / 'm.h5' and result.savename.is_file()
    assert not Path('~').exists()


@pytest.mark.parametrize(
    'name, message',
    [
        ('a\0b.h5', 'savename must be a path'),
        ('.h5', 'must have a name before its ending'),
        ('m' * 240 + '.h5', 'file name of at most 230 bytes, got one of 243'),
        ('ü' * 120 + '.h5', 'file name of at most 230 bytes, got one of 243'),
        ('a\x1b[31m.h5', r"printable characters, got 'a\\x1b\[31m.h5'"),
        ('a\nb.h5', 'printable characters'),
    ],
)
def test_names_that_no_model_can_have_are_refused_at_once(tiny_set, name, message):
    with pytest.raises(ValueError, match=message):
        launch.test(**SMALL, dataset=tiny_set, savename=name)
    assert not list(Path().iterdir())


def test_a_data_set_is_not_taken_for_a_model(tiny_set):
    Path('set2.h5').write_bytes(Path(tiny_set).read_bytes())
    with pytest.raises(ValueError, match='savename is the data set itself'):
        launch.test(**SMALL, dataset='set2.h5', savename='set2.h5')
    assert Path('set2.h5').read_bytes() == Path(tiny_set).read_bytes()


def test_the_longest_name_works(tiny_set):
    name = 'm' * 227 + '.h5'
    launch.test(**SMALL, dataset=tiny_set, savename=name), launch.test(**SMALL, dataset=tiny_set, savename=name)
    assert Path('m' * 227 + '.1.h5').is_file()


def test_a_sweep_refuses_names_that_are_too_long_before_it_runs_anything(tiny_set):
    with pytest.raises(ValueError, match='at most 230 bytes'):
        launch.sweep({'name': ['x' * 220]}, savename='s.h5', dataset=str(tiny_set), verbose=0)
    assert not list(Path().glob('s*'))


def test_a_name_that_a_spreadsheet_would_run_comes_back_from_the_table(tiny_set):
    launch.test(**SMALL, dataset=tiny_set, savename='m.h5', name='=1+1')
    assert "'=1+1" in Path('experiments.csv').read_text()
    assert read_table('experiments.csv')[0]['name'] == '=1+1'


def test_a_configuration_in_a_folder_of_odd_letters_can_be_read(tiny_set):
    folder = Path('a\x1b[31mb')
    folder.mkdir()
    data = folder / 'data.h5'
    data.write_bytes(Path(tiny_set).read_bytes())
    result = launch.test(**SMALL, dataset=data, savename='m.h5')
    assert read_config(result.folder / 'config.yaml')['dataset'] == str(data)
    assert read_run(result.folder)['config']['dataset'] == str(data)


def test_terminal_sequences_in_names_are_written_out(tiny_set, capsys):
    folder = Path('a\x1b[31mb')
    folder.mkdir()
    (folder / 'data.h5').write_bytes(Path(tiny_set).read_bytes())
    result = launch.test(**{**SMALL, 'verbose': 1}, dataset=folder / 'data.h5', savename='m.h5')
    out = capsys.readouterr().out + (result.folder / 'log.txt').read_text()
    assert '\x1b' not in out and r'a\x1b[31mb' in out


@pytest.mark.parametrize('flags', [pytest.param({}, marks=pytest.mark.slow), {'PYTHONOPTIMIZE': '2'}])
def test_it_runs_without_docstrings(tiny_set, flags):
    words, environment = command('--dataset', tiny_set, *OPTIONS, '--savename', 'm.h5', **flags)
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_letters_that_the_locale_does_not_have_get_one_line(tiny_set):
    strange = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
    words, environment = command('--dataset', tiny_set, *OPTIONS, '--name', 'Größe', **strange)
    done = subprocess.run([os.fsencode(word) for word in words], env=environment, capture_output=True)
    assert done.returncode == 2 and done.stderr.count(b'\n') == 1 and b'PYTHONUTF8=1' in done.stderr


def test_letters_in_the_data_that_the_output_does_not_have_stop_nothing(tiny_set):
    Path('größe').mkdir()
    Path('größe/data.h5').write_bytes(Path(tiny_set).read_bytes())
    Path('c.yaml').write_text('dataset: größe/data.h5\nname: Größe\n', encoding='utf-8')
    words, environment = command('--config', 'c.yaml', *OPTIONS, '--savename', 'm.h5', PYTHONIOENCODING='ascii')
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'Gr\\xf6\\xdfe' in done.stdout


@pytest.mark.parametrize('module', ['utils.cli.registry', 'numpy', 'pytensor', 'jax', 'utils.training'])
def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback(tiny_set, module):
    words, environment = command(
        '--dataset', tiny_set, *OPTIONS, '--n_epochs', '2000', '--savename', 'm.h5', PYTHONVERBOSE='1'
    )
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    for line in process.stderr:
        if line.startswith(f"import '{module}' #"):
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and 'Traceback' not in error and 'Exception ignored' not in error
