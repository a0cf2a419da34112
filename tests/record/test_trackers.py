"""Optional trackers: the values that they get, and runs without their libraries."""

from pathlib import Path

import pytest

import launch
from utils.record import reading, trackers

SMALL = dict(
    network='MLP',
    n_hidden=[8],
    batch_size=50,
    statistics_images=50,
    anneal_epochs=1,
    n_epochs=2,
    verbose=0,
    report=False,
    savename='models/m.h5',
)


def test_what_is_not_there_is_said():
    with pytest.raises(ValueError, match=r'no_such_library is not installed: pip install -e ".\[search\]"'):
        trackers.needed('no_such_library', 'search')
    with pytest.raises(ValueError, match="track must be one or more of 'tensorboard', 'mlflow', got 'wandb'"):
        launch.test(**SMALL, track=['wandb'])


class Broken:
    def __init__(self, folder, options, name):
        self.calls = []

    def epoch(self, row):
        raise ConnectionError('server is gone')


def test_a_tracker_that_fails_does_not_end_the_run(tiny_set, monkeypatch):
    monkeypatch.setitem(trackers.TRACKERS, 'broken', Broken)
    monkeypatch.setitem(trackers.LIBRARIES, 'broken', 'json')
    result = launch.test(**SMALL, dataset=tiny_set, track='broken')
    assert 'tracker Broken failed and is no longer used: server is gone' in (result.folder / 'log.txt').read_text()
    assert reading.status_of(result.folder) == 'finished'


def test_tensorboard_gets_every_epoch(tiny_set):
    pytest.importorskip('tensorboardX')
    result = launch.test(**SMALL, dataset=tiny_set, track=['tensorboard'])
    (file,) = (result.folder / 'tensorboard').iterdir()
    content = file.read_bytes()
    for tag in (b'train/validation_cross_entropy', b'anneal/train_cost', b'result/special_test_error'):
        assert tag in content


def test_mlflow_gets_every_epoch(tiny_set, monkeypatch):
    mlflow = pytest.importorskip('mlflow')
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
    mlflow.set_tracking_uri(Path('mlruns').absolute().as_uri())
    result = launch.test(**SMALL, dataset=tiny_set, track=['mlflow'])
    client = mlflow.tracking.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name('symfer').experiment_id])
    assert run.info.status == 'FINISHED' and run.data.params['learning_rate'] == '0.1'
    assert run.data.metrics['special_test_error'] == pytest.approx(result.special_test_error)
    history = client.get_metric_history(run.info.run_id, 'train.validation_cross_entropy')
    assert [m.value for m in history] == pytest.approx(
        [row['validation_cross_entropy'] for row in result.history if row['stage'] == 'train']
    )
