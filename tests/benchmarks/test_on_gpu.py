"""`benchmarks/on_gpu.sh` without a GPU: its steps run, and the failure of one does not stop the others."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

import benchmarks.train as train
from benchmarks.on_gpu import __main__ as command
from benchmarks.on_gpu import device, running, sets, training
from benchmarks.on_gpu.steps import Step, arguments, environment, steps

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize('rehearse', [False, True])


def given(name, rehearse, tmp_path, data=None):
    """Return the arguments that a step passes to its module."""
    (step,) = [step for step in steps(data, rehearse) if step.name == name]
    python, m, module, *rest = arguments(step, tmp_path)
    assert (python, m) == (sys.executable, '-m') and find_spec(module)
    return rest


def test_there_are_ten_minutes():
    assert sum(step.seconds for step in steps()) <= 600
    assert len({step.name for step in steps()}) == len(steps())


@BOTH
@pytest.mark.parametrize('name', ['ops', 'networks', 'suite'])
def test_selections_of_tests_exist(name, rehearse, tmp_path):
    paths = [part for part in given(name, rehearse, tmp_path) if part.startswith('tests')]
    assert paths and all((ROOT / path).exists() for path in paths)


def test_outcomes_of_tests_are_written_as_they_happen(tmp_path):
    (tmp_path / 'test_three.py').write_text(
        'import pytest\n'
        'def test_good(): pass\n'
        'def test_bad(): assert 0\n'
        'def test_left(): pytest.skip()\n'
        'def test_end(): import os; os._exit(3)\n'
    )
    options = given('ops', True, tmp_path)
    options = options[options.index('-q') :]
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-c', os.devnull, str(tmp_path), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    words = running.in_words('ops', tmp_path / 'ops.jsonl')
    assert words == '1 skipped, 1 passed, 1 failed: test_three.py::test_bad'


@BOTH
def test_the_speed_step_names_cases_and_engines_that_exist(rehearse, tmp_path, monkeypatch):
    asked = []

    def measure(case, names, *rest):
        asked.append((case.precision, names))
        rates = {name: 100.0 * (k + 1) for k, name in enumerate(names[::-1])}
        return [
            dict(
                case=dict(case),
                engine=name,
                ms=1e5 / r,
                least_ms=1,
                turns_ms=[1e5 / r] * 3,
                images_per_s=r,
                first_step_s=1,
                peak_MiB=1,
                about='',
            )
            for name, r in rates.items()
        ]

    monkeypatch.setattr(train, 'measure', measure)
    monkeypatch.setattr(sys, 'argv', ['train', *given('speed', rehearse, tmp_path)])
    train.main()
    assert [precision for precision, _ in asked] == (['float32'] if rehearse else ['float32', 'tf32', 'bf16'])
    assert all(name in train.ENGINES for _, names in asked for name in names)
    words = running.in_words('speed', tmp_path / 'speed/train.json')
    assert '100 images/s' in words if rehearse else '300 images/s, 1.50 times torch eager channels_last' in words


@BOTH
def test_the_steps_of_training(rehearse, tmp_path, monkeypatch):
    rows = [dict(images=100, seconds=s, wall=3.0, train_cost=1.0, validation_cross_entropy=1.5) for s in (4.0, 0.5)]
    rows = [{**row, 'validation_error': 30.0} for row in rows]
    ran = []

    def trained(data, precision, epochs, width, after=lambda row: None):
        ran.append((data, precision, width))
        if precision == 'tf32':
            raise RuntimeError('no such cores')
        for row in rows:
            after(row)
        return rows

    monkeypatch.setattr(training, 'trained', trained)
    monkeypatch.setattr(training.loaders, 'load', contextlib.nullcontext)
    assert training.main(given('precision', rehearse, tmp_path)) == 'failed in tf32'
    words = running.in_words('precision', tmp_path / 'precision.json')
    assert words.startswith('chosen: float32; float32 200 images/s, validation 1.5000; tf32 RuntimeError: no such')
    assert training.main(given('epoch', rehearse, tmp_path)) == 0
    assert running.in_words('epoch', tmp_path / 'epoch.json') == '0.5 s per epoch in float32, 200 images/s, 2 epochs'
    assert [Path(data).name for data, *_ in ran] == ['set2.h5'] * 3 + ['set4.h5']
    assert {width for *_, width in ran} == {0.0625 if rehearse else 1.0}


@pytest.mark.parametrize(
    'figures, best',
    [
        ({'float32': (10, 1.5), 'tf32': (20, 1.51), 'bf16': (30, 1.52)}, 'bf16'),
        ({'float32': (10, 1.5), 'tf32': (20, 1.4), 'bf16': (30, 1.54)}, 'tf32'),
        ({'float32': (10, 1.5), 'tf32': (20, float('nan')), 'bf16': None}, 'float32'),
        ({'float32': (30, 1.5), 'bf16': (20, 1.5)}, 'float32'),
        ({'float32': None, 'bf16': (20, 1.5)}, None),
    ],
)
def test_the_precision_is_the_fastest_that_learns_as_well(figures, best):
    names = ('images_per_second', 'validation_cross_entropy')
    assert training.chosen({k: dict(zip(names, v)) if v else {'error': ''} for k, v in figures.items()}) == best


def test_the_sets_of_a_rehearsal(tmp_path):
    assert sets.main(given('sets', True, tmp_path, data=tmp_path)) == 0
    for number, size in ((2, 2 * 210), (4, 14 * 210)):
        with sets.loaders.load(tmp_path / f'sets/set{number}.h5') as data:
            assert len(data.training) == size and len(data.validation)
    assert running.in_words('sets', tmp_path / 'sets.json').startswith('set 2 from drawn faces in ')


def test_sets_of_data(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(sets.loaders, 'build', lambda source, sets, out: made.append((source, sets)))
    assert sets.main(given('sets', False, tmp_path, data=tmp_path / 'fer2013.csv')) == 0
    assert made == [(tmp_path / 'fer2013.csv', (2,)), (tmp_path / 'fer2013.csv', (4,))]


def test_a_cpu_will_do_in_a_rehearsal_alone(tmp_path, monkeypatch):
    monkeypatch.setattr('jax.default_backend', lambda: 'cpu')
    assert device.main(given('device', True, tmp_path)) == 0
    assert 'cuda12' in device.main(given('device', False, tmp_path))
    assert re.search(r'JAX \d', running.in_words('device', tmp_path / 'device.json'))
    assert environment(rehearse=True)['SYMFER_PLATFORM'] == 'gpu' and 'SYMFER_PLATFORM' not in environment()


def test_what_fails_or_takes_too_long_does_not_end_the_others(tmp_path, monkeypatch, capsys):
    child = "import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); time.sleep(60)"  # noqa: E501
    ok = "import json, sys; open(sys.argv[1], 'w').write(json.dumps({'set 2': {'of': 'x', 'seconds': 1}}))"
    listed = [
        Step('bad', 'ends with 3', 20, ['-c', 'raise SystemExit(3)'], 'bad.json'),
        Step('long', 'hangs', 2, ['-c', child], 'long.json'),
        Step('sets', 'is well', 20, ['-c', ok, '{out}/sets.json'], 'sets.json'),
    ]
    monkeypatch.setattr(command, 'steps', lambda *_: listed)
    assert command.main(['report', '--from', str(tmp_path)]) == 1
    steps = json.loads((tmp_path / 'report/summary.json').read_text())['steps']
    assert [(one['step'], one['outcome']) for one in steps] == [
        *(('bad', 'failed'), ('long', 'out of time'), ('sets', 'passed'))
    ]
    assert '| sets | passed |' in (tmp_path / 'report/summary.md').read_text()
    assert 'not passed: bad, long' in capsys.readouterr().out
    pid = (tmp_path / 'report/long.log').read_text().strip()
    for _ in range(100):  # the processes that it started have ended too, or are zombies
        state = Path(f'/proc/{pid}/stat')
        if not state.exists() or state.read_text().rpartition(')')[2].split()[0] == 'Z':
            break
        time.sleep(0.05)
    else:
        pytest.fail(f'process {pid} goes on')


def test_a_missing_gpu_ends_it_at_once(tmp_path, monkeypatch, capsys):
    listed = [Step('device', 'none', 20, ['-c', 'raise SystemExit("JAX finds no GPU")'], 'device.json')] * 2
    monkeypatch.setattr(command, 'steps', lambda *_: listed)
    assert command.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip() == 'JAX finds no GPU'


@pytest.mark.parametrize(
    'options, message',
    [(['--only', 'sped'], 'got sped'), (['--limits', '0'], 'above 0'), (['--data', 'fer2013.csv'], "there is no '")],
)
def test_bad_input(tmp_path, capsys, options, message):
    assert command.main([str(tmp_path / 'r'), '--from', str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / 'r').exists()


def test_the_script_takes_paths_from_where_it_is_called(tmp_path):
    done = subprocess.run(
        [ROOT / 'benchmarks/on_gpu.sh', 'report', '--data', 'none.csv'],
        cwd=tmp_path,
        env={**os.environ, 'PYTHON': sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and f"there is no '{tmp_path}/none.csv'" in done.stderr


@pytest.mark.slow
def test_a_rehearsal(tmp_path):
    assert command.main([str(tmp_path), '--rehearse', '--limits', '5']) == 0
    assert {path.name for path in tmp_path.iterdir()} >= {'summary.md', 'epoch.json', 'ops.jsonl', 'ops.log'}
