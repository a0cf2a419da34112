"""Several hosts, as processes of this machine: joint training, how they end, which are refused."""

import json
import signal

import numpy as np
import pytest

import launch
from tests.host_network import apart, data_set, figures, trained
from tests.host_processes import Hosts, free_port, training
from utils.experiment import hosts
from utils.files import models

SHORT = ['--network', 'MLP', '--n_hidden', 8, '--batch_size', 48, '--anneal_epochs', 1, '--no-report']


def checks(name, n, folder, devices=1):
    """The results of each host, see tests/host_checks.py; of a single process if n is 0."""

    def command(k, address):
        return ['-m', 'tests.host_checks', name, str(folder), *([address, str(k), str(n)] if n else [])]

    with Hosts(n or 1, command, folder, devices) as run:
        statuses = run.ended()
        assert set(statuses) == {0}, [run.printed(k)[-3000:] for k in range(len(statuses))]
    return [json.loads((folder / f'{name}-{k}.json').read_text()) for k in (range(n) if n else ['alone'])]


def test_two_hosts_learn_what_one_learns_and_refuse_what_differs(tmp_path):
    data_set(tmp_path)
    data_set(tmp_path / 'other', seed=8)
    first, second = checks('quick', 2, tmp_path)
    with launch.loaders.load(tmp_path / 'set2.h5') as data:
        t, alone = trained(data, 1)
        assert first['figures'] == second['figures'] == pytest.approx(figures(t), rel=1e-5)
        for k in (0, 1):
            assert apart(dict(np.load(tmp_path / f'quick-{k}.npz')), alone) < 1e-6
    for one, other in ((first, second), (second, first)):
        assert one['rows read'][0] <= 2 and one['rows read'][1] > 10  # first 24 to check the outputs, then its own part
        assert one['lies on'] == 2 and one['logits'] == other['logits']
        errors = dict(one['errors'])
        assert errors['arguments'].startswith(
            'ValueError: the hosts have different arguments: n_hidden is [16] on host 0,'
        )
        assert 'different data set: images is ' in errors['set']
        assert errors['no set'].endswith('nowhere.h5: no such file')
        assert errors['no set'].startswith('DataError: ' if one is second else 'HostEnded: host 1 (')
        assert 'cannot be divided among devices=2' in errors['batch_size'] and '46 or 48' in errors['batch_size']
        assert errors['members'] == 'ValueError: members are trained on one host: leave hosts out, or members'
        assert errors['code'].endswith("different code: source is 'code 0' on host 0, 'code 1' on host 1")
        assert one['written'] == []


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ({'n_hosts': 2}, 'also give hosts, the address of host 0'),
        ({'hosts': '10.0.0.1:4321'}, 'needs host_index, the number of this host, and n_hosts'),
        ({'hosts': '10.0.0.1', 'host_index': 0, 'n_hosts': 2}, 'must be host:port of host 0'),
        ({'hosts': 'a:99999', 'host_index': 0, 'n_hosts': 2}, 'must be host:port of host 0'),
        ({'hosts': 'a:4321', 'host_index': 2, 'n_hosts': 2}, 'between 0 and n_hosts - 1 = 1, got 2'),
        ({'hosts': 'auto', 'host_index': 0}, 'leave them out'),
        ({'hosts': 'auto', 'members': 2}, 'members are trained on one host'),
    ],
)
def test_what_does_not_name_hosts_is_refused(given, expected):
    with pytest.raises(ValueError, match=expected):
        launch.test(**given)


def test_a_sweep_refuses_hosts():
    with pytest.raises(ValueError, match="hosts are for one run, got '10.0.0.1:4321': leave them out here"):
        launch.sweep({}, dataset='set2.h5', hosts='10.0.0.1:4321')


def test_the_source_that_hosts_compare_is_that_of_the_whole_of_symfer():
    assert hosts.source_digest() == hosts.source_digest() and len(hosts.source_digest()) == 16
    assert (hosts.ROOT / 'launch.py').is_file()


@pytest.mark.slow
def test_so_do_many_steps_in_a_call_and_divided_images(tmp_path):
    data_set(tmp_path)
    for distances in checks('many_steps', 2, tmp_path):
        assert len(distances) == 4 and max(distances.values()) < 1e-6, distances


@pytest.mark.slow
@pytest.mark.parametrize(
    ('n', 'devices', 'name'), [(2, 1, 'network_a'), (2, 1, 'smooth'), (2, 2, 'smooth'), (4, 1, 'smooth')]
)
def test_hosts_take_the_steps_of_one_process_with_as_many_devices(n, devices, name, tmp_path):
    """A is only tested on two: with four summands, their order decides the last bit, and maxima may depend on it."""
    checks(name, 0, tmp_path, devices=n * devices)
    for distances in checks(name, n, tmp_path, devices):
        assert len(distances) == 20 and max(distances) < 1e-6, distances


def history(model):
    return models.load(model)[0]['history']


@pytest.mark.slow
def test_a_host_that_is_killed_is_named_and_fewer_hosts_go_on(tmp_path):
    words = ['--dataset', data_set(tmp_path), *SHORT, '--n_epochs', 5000, '--savename', 'm.h5']
    with training(4, tmp_path, *words) as run:
        run.until(lambda: 'train epoch 3/' in run.printed(0))
        run.processes[2].kill()
        assert run.ended() == [2, 2, -signal.SIGKILL, 2]
        for k in (0, 1, 3):
            assert run.printed(k).splitlines()[-1].startswith('error: host 2 (')
        said = [line for line in run.printed(0).splitlines() if line.startswith('host 2 (')]
    done = len(history(tmp_path / 'm.h5'))
    assert len(said) == 1 and f'stopped: ended after {done} epochs of stage train; resume with' in said[0]
    assert done >= 3
    result = json.loads((tmp_path / 'm' / 'run-001' / 'result.json').read_text())
    assert result['status'].startswith('failed: HostEnded: host 2 (')
    more = ['--resume', tmp_path / 'm.h5', '--n_epochs', done + 2, '--no-report']
    with training(2, tmp_path, *more, own={1: ['--resume', 'nowhere.h5']}) as run:
        assert run.ended() == [2, 2], run.printed(0)[-3000:]
        assert run.printed(1).splitlines()[-1] == "error: there is no model file 'nowhere.h5'"
        last = run.printed(0).splitlines()[-1]
        assert last.startswith('error: host 1 (') and last.endswith(
            "FileNotFoundError: there is no model file 'nowhere.h5'"
        )
    with training(2, tmp_path, *more) as run:
        assert run.ended() == [0, 0], run.printed(0)[-3000:]
    alone = launch.test(
        dataset=tmp_path / 'set2.h5', network='MLP', n_hidden=[8], batch_size=48, anneal_epochs=1, n_epochs=done + 2,
        savename=tmp_path / 'alone.h5', report=False, verbose=0,
    )  # fmt: skip
    rows = history(tmp_path / 'm.h5')
    assert [row['stage'] for row in rows] == [row['stage'] for row in alone.history]
    together, apart_from = ([row['train_cross_entropy'] for row in each] for each in (rows, alone.history))
    assert together == pytest.approx(apart_from, rel=1e-3)
    assert sorted(path.name for path in tmp_path.glob('*/run-*')) == ['run-001', 'run-001', 'run-002']


@pytest.mark.slow
@pytest.mark.parametrize('victim', [0, 1])
def test_ctrl_c_on_one_host_ends_both_with_the_model_saved(victim, tmp_path):
    words = ['--dataset', data_set(tmp_path), *SHORT, '--n_epochs', 5000, '--savename', 'm.h5']
    with training(2, tmp_path, *words) as run:
        run.until(lambda: 'train epoch 3/' in run.printed(0))
        run.processes[victim].send_signal(signal.SIGINT)
        assert run.ended() == [130, 130], [run.printed(k)[-2000:] for k in (0, 1)]
        last = run.printed(0).splitlines()[-1]
    done = len(history(tmp_path / 'm.h5'))
    beginning = 'interrupted' if victim == 0 else 'host 1 ('
    assert last.startswith(beginning) and f'after {done} epochs of stage train; resume with' in last
    assert json.loads((tmp_path / 'm' / 'run-001' / 'result.json').read_text())['status'] == 'interrupted'


PROGRAM = """
import sys
from launch import test
place = dict(hosts=sys.argv[1], host_index=int(sys.argv[2]), n_hosts=2)
options = dict(dataset='set2.h5', network='MLP', n_hidden=[8], batch_size=48, anneal_epochs=0, report=False, **place)
seen = []

def on_epoch(row):
    seen.append(row['epoch'])
    if len(seen) == 6:
        raise OSError('no more epochs')

print([row['epoch'] for row in test(**options, n_epochs=2, savename='first.h5', verbose=0, on_epoch=on_epoch).history])
print('seen', seen)
try:
    test(**options, n_epochs=500, savename='m.h5', on_epoch=on_epoch)
except OSError as error:
    print(f'error: {error}')
    sys.exit(3)
"""


@pytest.mark.slow
def test_two_experiments_in_one_program_and_an_error_of_one_host(tmp_path):
    data_set(tmp_path)
    with Hosts(2, lambda k, address: ['-c', PROGRAM, address, str(k)], tmp_path) as run:
        assert run.ended() == [2, 2], [run.printed(k)[-2000:] for k in (0, 1)]
        lines = [run.printed(k).splitlines() for k in (0, 1)]
    assert '[1, 2, 1, 2]' in lines[0] and '[1, 2, 1, 2]' in lines[1]
    assert 'seen [1, 2, 1, 2]' in lines[0] and 'seen []' in lines[1]  # `on_epoch` is called on host 0 alone
    assert lines[0][-1] == 'error: no more epochs' and lines[0][-2].startswith(
        'ended by OSError after 2 epochs of stage train'
    )
    assert lines[1][-1].startswith('error: host 0 (') and lines[1][-1].endswith('ended by OSError: no more epochs')
    assert len(history(tmp_path / 'm.h5')) == 2


@pytest.mark.slow
def test_a_host_that_stands_still_does_not_hold_up_the_others_for_ever(tmp_path):
    words = ['--dataset', data_set(tmp_path), *SHORT, '--n_epochs', 5000, '--savename', 'm.h5']
    with training(2, tmp_path, *words) as run:
        run.until(lambda: 'train epoch 3/' in run.printed(0))
        run.processes[1].send_signal(signal.SIGSTOP)
        assert run.processes[0].wait(200) == 2
        said, last = run.printed(0).splitlines()[-2:]
    done = len(history(tmp_path / 'm.h5'))
    assert said.startswith('host 1 (') and f'stopped: ended after {done} epochs of stage train; resume with' in said
    assert last.startswith('error: host 1 (')
    status = json.loads((tmp_path / 'm' / 'run-001' / 'result.json').read_text())['status']
    assert status.startswith('failed: HostEnded: host 1 (')


@pytest.mark.slow
def test_where_host_0_is_killed_the_other_says_so(tmp_path):
    words = ['--dataset', data_set(tmp_path), *SHORT, '--n_epochs', 5000, '--savename', 'm.h5']
    with training(2, tmp_path, *words) as run:
        run.until(lambda: 'train epoch 3/' in run.printed(0))
        run.processes[0].kill()
        assert run.ended() == [-signal.SIGKILL, 2], run.printed(1)[-3000:]
        assert run.printed(1).splitlines()[-1].startswith('error: host 0 (')
    assert len(history(tmp_path / 'm.h5')) >= 2  # what it had saved


@pytest.mark.slow
@pytest.mark.parametrize('index', [0, 1])
def test_hosts_that_do_not_come_are_missed(index, tmp_path):
    program = f'from utils.backend import hosts; hosts.PATIENCE = 2; hosts.join("127.0.0.1:{free_port()}", {index}, 2)'
    with Hosts(1, lambda k, address: ['-c', program], tmp_path) as run:
        assert run.ended() == [2], run.printed(0)
        assert "error: the hosts did not all connect to '127.0.0.1:" in run.printed(0)
