"""Experiments with several members: from `test` to the uses of a saved model."""

import json

import numpy as np
import pytest
from small import small

import launch
from utils.files import models


@pytest.fixture(scope='module')
def result(tiny_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp('members')
    return small(tiny_set, members=3, portion=0.7, savename=folder / 'm.h5', report=True, special_test=False)


def test_members_are_reported_singly_and_together(result):
    record = json.loads((result.folder / 'result.json').read_text())
    assert len(result.members) == len(record['members']) == 3
    errors = [one['plain']['whole']['error'] for one in result.members]
    assert len(set(errors)) > 1
    report = (result.folder / 'report.html').read_text()
    assert all(f'<td>{error:.2f}</td>' in report for error in [*errors, result.test_error])
    log = (result.folder / 'log.txt').read_text()
    assert f'member 2 alone: test error {errors[1]:.2f} %' in log


def test_a_model_of_members_answers_by_the_mean_of_their_logits(result, tiny_set):
    net, _ = launch.open_model(result.savename)
    assert len(net.member) == 3
    with launch.loaders.load(tiny_set) as data:
        images, y = data.test.images(), data.test.y
    p = launch.predict(result.savename, images)
    assert 100 * np.mean(p.argmax(axis=1) != y) == pytest.approx(result.test_error)
    _, folder = launch.evaluate(result.savename, tiny_set, report=False, special_test=False, info=lambda *_: None)
    again = json.loads((folder / 'evaluation.json').read_text())['members']
    assert again == json.loads(json.dumps(result.members))


def test_the_onnx_file_holds_all_members(result, tiny_set, tmp_path):
    runtime = pytest.importorskip('onnxruntime')
    launch.export(result.savename, tmp_path / 'm.onnx')
    with launch.loaders.load(tiny_set) as data:
        images = data.test.images()[:5]
    session = runtime.InferenceSession(tmp_path / 'm.onnx')
    name = session.get_inputs()[0].name
    outputs = session.run(None, {name: images[:, None].astype('float32')})
    wanted = launch.predict(result.savename, images)
    assert any(np.allclose(got, wanted, atol=1e-5) for got in outputs if got.shape == wanted.shape)


def test_an_interrupted_run_of_members_is_resumed_to_the_bit(result, tiny_set, tmp_path):
    options = dict(members=3, portion=0.7, report=False, special_test=False)

    def stop(row):
        if row['stage'] == 'retrain':
            raise KeyboardInterrupt

    path = tmp_path / 'm.h5'
    with pytest.raises(KeyboardInterrupt):
        small(tiny_set, savename=path, on_epoch=stop, **options)
    small(tiny_set, resume=path, savename=path, **options)
    a, b = (models.load(p)[0]['arrays'] for p in (path, result.savename))
    assert set(a) == set(b)
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])


@pytest.mark.parametrize(
    'options, message',
    [
        ({'members': 0}, 'members must be a whole number >= 1'),
        ({'members': 2, 'portion': 0}, r'portion must be a number > 0 and <= 1'),
        ({'members': 2, 'portion': 1.5}, r'portion must be a number > 0 and <= 1'),
        ({'portion': 0.5}, 'portion and replacement need several networks'),
        ({'replacement': True}, 'portion and replacement need several networks'),
        ({'members': 2, 'portion': 0.05}, r'images of 0.05 of the reduced_training set'),
    ],
)
def test_wrong_members_are_refused(tiny_set, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        small(tiny_set, savename=tmp_path / 'm.h5', **options)
    assert not list(tmp_path.glob('m*'))
