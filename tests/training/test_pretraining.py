"""Stage pretrain: the layers one after another, the start of the other stages, resuming, external images."""

import hashlib
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from small import Interrupted, lines_without_times, same_models, small
from tiny import equal, network, run, trainer

import launch
import loaders
from mlp import MLP
from utils.experiment import signals
from utils.files import models
from utils.record.reading import read_run
from utils.training import optimisers


def two_layers(rng):
    return MLP((12, 12), 3, n_hidden=[16, 8], batch_norm=True, p_drop=0.3, rng=rng)


def parameters_of(state):
    return {path: value for path, value in state['arrays'].items() if path.startswith('parameters/')}


def same(a, b):
    return list(a) == list(b) and all(np.array_equal(a[key], b[key]) for key in a)


def pretrained(data, **settings):
    return trainer(data, two_layers, **{'pretrain_epochs': 2, **settings})


def states(t):
    """The states after each epoch of a run of all stages."""
    out = []
    t.checkpoint = lambda t: out.append(t.last)
    t.train(2), t.retrain(), t.anneal(1)
    return out


@pytest.fixture
def every(data):
    return states(pretrained(data, ema_decay=0.9, optimiser=optimisers.momentum, learning_rate=0.02))


def test_a_layer_after_the_other_and_those_below_stay(data, every):
    rows = every[-1]['history'][:4]
    assert [(r['stage'], r['layer'], r['epoch']) for r in rows] == [
        ('pretrain', f'fc.hidden{k}', epoch) for k in (0, 1) for epoch in (1, 2)
    ]
    assert rows[1]['train_cost'] < rows[0]['train_cost'] and rows[3]['train_cost'] < rows[2]['train_cost']
    assert {(r['images'], r['train_cross_entropy'], r['validation_error']) for r in rows} == {(200, None, None)}
    one, two, three, four = map(parameters_of, every[:4])
    for before, after, moved in ((one, two, 'hidden0'), (two, three, 'hidden1'), (three, four, 'hidden1')):
        changed = {path for path in before if not np.array_equal(before[path], after[path])}
        assert changed == {f'parameters/fc.{moved}.{name}' for name in ('W', 'norm.gamma', 'norm.beta')}


def test_the_validation_images_and_labels_have_no_part_in_it(data):
    outcome = []
    for y in (data.training.y, (data.training.y + 1) % 3):
        data.training.y[:] = y
        with pretrained(data) as t:
            looked = []
            original = t.data.reduced_training.images
            t.data.reduced_training.images = lambda rows, get=original: looked.append(rows) or get(rows)
            t.pretrain()
            outcome.append(t.pretrained)
            del t.data.reduced_training.images
        assert set(np.concatenate(looked)) == set(range(200))
    assert same(*outcome)


def test_training_and_retraining_begin_with_what_it_left_a_fresh_optimiser_and_the_first_draws(data):
    t = pretrained(data, ema_decay=0.9, optimiser=optimisers.momentum)
    fresh = t.arrays()
    t.pretrain()
    left, starts = t.arrays(), []
    assert t.stage == 'train' and same(t.pretrained, parameters_of(t.last))
    for path, value in left.items():
        name = path.removeprefix('optimiser/trained.')
        if name != path:  # the averaged parameters start as the average
            assert np.array_equal(value, t.pretrained[f'parameters/{name}'])
        elif not path.startswith('parameters/'):
            assert np.array_equal(value, fresh[path]), path
    assert not np.array_equal(left['parameters/fc.hidden0.W'], fresh['parameters/fc.hidden0.W'])
    assert np.array_equal(left['parameters/fc.softmax.W'], fresh['parameters/fc.softmax.W'])
    original = t._epoch
    t._epoch = lambda *args: (starts.append(t.arrays()), original(*args))[1]
    t.train(1), t.retrain()
    assert len(starts) == 2 and same(starts[0], left) and same(starts[1], left)


@pytest.mark.slow
def test_resumed_runs_end_as_an_undisturbed_one_to_the_last_bit(data, every):
    whole = every[-1]
    for after in (0, 2, 3, 4, 6):  # within each layer, at the end of the stage, later
        with pretrained(data, ema_decay=0.9, optimiser=optimisers.momentum, learning_rate=0.02) as again:
            again.restore(every[after])
            assert again.stage == ('train' if after in (4, 6) else 'pretrain')
            last = states(again)[-1]
        assert equal(last, whole) and same(last['pretrained'], whole['pretrained'])


def test_more_epochs_go_back_to_the_end_of_training_and_not_further(data):
    whole = run(pretrained(data), n_epochs=5)
    short = pretrained(data)
    short.restore(run(pretrained(data), n_epochs=3))
    assert equal(run(short, n_epochs=5), whole)


@pytest.mark.parametrize(
    'settings',
    [
        {'trainShared': False, 'balance': 'sampling'},
        {'val': False, 'balance': 'weights', 'loss': 'l2svm', 'learning_rate': 0.01},
    ],
)
def test_it_goes_with_the_rest_and_depends_on_the_images_alone(data, settings):
    t, plain = pretrained(data, **settings), pretrained(data, **{k: v for k, v in settings.items() if k == 'val'})
    run(t, n_epochs=1, anneal_epochs=1), plain.pretrain()
    assert same(t.pretrained, plain.pretrained) and t.stage == 'done'
    assert t.history[0]['images'] == (200 if t.settings.val else 260)


def test_without_it_nothing_of_it_is_saved(data):
    t = trainer(data, network)
    assert t.stage == 'train' and 'pretrained' not in t.state() and t.reconstructions() is None


def test_a_rate_that_is_too_large_says_which(data):
    t = pretrained(data, pretrain_args={'learning_rate': 1e9})
    with pytest.raises(FloatingPointError, match='of stage pretrain: try a learning_rate of pretrain_args below'):
        t.pretrain()


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda s: s['pretrained'].pop('decoder/fc.hidden0'), 'missing: decoder/fc.hidden0'),
        (lambda s: s['pretrained'].pop('parameters/fc.hidden0.W'), 'missing: parameters/fc.hidden0.W'),
        (lambda s: s.pop('pretrained'), 'missing'),
        (lambda s: s['history'][0].update(layer='conv'), 'an epoch of stage pretrain names a layer that it lacks'),
    ],
)
def test_states_that_lack_something_are_refused(data, change, message):
    state = run(pretrained(data), n_epochs=1, anneal_epochs=0)
    state = {**state, 'pretrained': dict(state['pretrained']), 'history': [dict(row) for row in state['history']]}
    change(state)
    with pytest.raises(ValueError, match=message):
        pretrained(data).restore(state)


# -------------------------------------------------------------------------------------- experiments


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path, tiny_originals):
    """60 images without classes: two are test images, and one may be a validation image."""
    rng = np.random.default_rng(2)
    (tmp_path / 'faces' / 'more').mkdir(parents=True)
    for k in range(58):
        name = tmp_path / 'faces' / ('more' if k % 2 else '') / f'{k:02}.png'
        cv2.imwrite(str(name), rng.integers(0, 256, (20, 30) if k == 3 else (12, 12), dtype=np.uint8))
    for k in (150, 180):
        cv2.imwrite(str(tmp_path / 'faces' / f'test{k}.png'), tiny_originals.images[k])
    return tmp_path / 'faces'


PRETRAINED = dict(pretrain_epochs=2, n_hidden=[8, 6])


def interrupt():
    raise Interrupted


def sigterm():
    os.kill(os.getpid(), signal.SIGTERM)


def stop_at(stage, epoch, layer=None, by=interrupt):
    def stop(row):
        if (row['stage'], row['epoch'], row.get('layer')) == (stage, epoch, layer):
            by()

    return stop


def test_an_experiment_says_what_it_does_and_leaves_it_in_its_record(tiny_set, own_folder, capsys):
    result = small(tiny_set, report=True, verbose=1, **PRETRAINED)
    lines = capsys.readouterr().out.splitlines()
    assert (
        'pre-training fc.hidden0, fc.hidden1 as denoising autoencoders, 2 epochs each, on the training images without '
        'their labels' in lines
    )
    assert any(line.startswith('pretrain fc.hidden1 2/2, reconstruction cost ') for line in lines)
    read = read_run(result.folder)
    assert [row['layer'] for row in read['history'][:5]] == ['fc.hidden0'] * 2 + ['fc.hidden1'] * 2 + [None]
    assert (result.folder / 'figures' / 'reconstructions.png').stat().st_size > 5000
    report = (result.folder / 'report.html').read_text()
    assert 'Reconstructions of pre-training' in report and 'reconstruction cost' in report
    state = models.load('models/m.h5')[0]
    assert {'decoder/fc.hidden0', 'decoder/fc.hidden1', 'parameters/fc.hidden0.W'} <= set(state['pretrained'])


@pytest.mark.parametrize(
    'suffix, where',
    [('.h5', ('pretrain', 1, 'fc.hidden1')), pytest.param('.pkl', ('retrain', 1), marks=pytest.mark.slow)],
)
def test_an_experiment_that_sigterm_ended_goes_on_exactly(tiny_set, own_folder, folder, suffix, where):
    options = dict(PRETRAINED, pretrain_args={'images': folder, 'corruption': 0.2, 'learning_rate': [3, 2]})
    whole = small(tiny_set, savename=f'whole{suffix}', **options)
    with pytest.raises(signals.Terminated):
        small(tiny_set, savename=f'cut{suffix}', on_epoch=stop_at(*where, by=sigterm), **options)
    if where[0] == 'retrain':  # the images are no longer needed
        folder.rename('away')
    resumed = launch.test(resume=f'cut{suffix}', verbose=0)
    assert same_models(f'whole{suffix}', f'cut{suffix}')
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)


def test_other_unlabelled_images_than_it_began_with_are_refused(tiny_set, own_folder, folder):
    options = dict(PRETRAINED, pretrain_args={'images': str(folder)})
    with pytest.raises(Interrupted):
        small(tiny_set, on_epoch=stop_at('pretrain', 1, 'fc.hidden0'), **options)
    (folder / '00.png').unlink()
    before = Path('models/m.h5').read_bytes()
    with pytest.raises(ValueError, match='pre-training started with other images than .* holds now'):
        launch.test(resume='models/m.h5', verbose=0)
    assert Path('models/m.h5').read_bytes() == before
    with pytest.raises(ValueError, match='trained with pretrain_epochs=2, not 3'):
        launch.test(resume='models/m.h5', pretrain_epochs=3, verbose=0)


def test_test_and_validation_images_among_the_unlabelled_are_left_out(tiny_set, own_folder, folder, capsys):
    result = small(tiny_set, verbose=1, **PRETRAINED, pretrain_args={'images': folder})
    assert f"58 unlabelled images of '{folder}'; 2 left out, which are validation or test images" in (
        capsys.readouterr().out
    )
    assert {row['images'] for row in result.history if row['stage'] == 'pretrain'} == {58}


def test_views_of_validation_and_test_images_in_another_set_of_the_same_source_are_left_out(
    tiny_set, tiny_originals, own_folder
):
    (other,) = loaders.build(tiny_originals, sets=(1,), out='other', validation=20, info=lambda *line: None)
    seen = []
    for val in (True, False):
        result = small(tiny_set, val=val, **PRETRAINED, pretrain_args={'images': other, 'layers': 1})
        seen.append(result.history[0]['images'])
    with loaders.load(tiny_set) as data:
        held = {*data.validation.source, 3, 8, 11}  # these three have exact copies among the test images
    assert seen == [130 - len(held), 127]


@pytest.mark.parametrize(
    'options, message',
    [
        ({'pretrain_args': {'corruption': 0.2}}, 'got pretrain_epochs=0: give the epochs of each layer'),
        (
            {'pretrain_epochs': 1, 'pretrain_args': {'corupt': 0.2}},
            "pretrain_args takes corruption, noise, .*, got 'corupt'; did you mean 'corruption'",
        ),
        ({'pretrain_epochs': 1, 'pretrain_args': {'corruption': 1.5}}, 'corruption of pretrain_args must be'),
        ({'pretrain_epochs': -1}, 'pretrain_epochs must be a whole number >= 0, got -1'),
        ({'pretrain_epochs': 1, 'n_hidden': []}, 'network MLP has no layer that can be pre-trained'),
        ({'pretrain_epochs': 1, 'pretrain_args': {'images': 'nowhere'}}, 'images of pretrain_args must be a folder'),
        ({'pretrain_epochs': 1, 'pretrain_args': {'images': 'empty'}}, 'empty: contains no image'),
        ({'pretrain_epochs': 1, 'pretrain_args': {'images': 'few'}}, 'in a minibatch, 50, got 1: give more images'),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tiny_set, own_folder, options, message):
    Path('empty').mkdir(), Path('few').mkdir()
    cv2.imwrite('few/1.png', np.zeros((12, 12), np.uint8))
    with pytest.raises(ValueError, match=message):
        small(tiny_set, **options)
    assert not list(Path('.').glob('models/*.h5'))


def test_a_sweep_and_the_range_test(tiny_set, own_folder):
    options = dict(network='MLP', n_hidden=[8], batch_size=50, statistics_images=50, anneal_epochs=0, n_epochs=1)
    paths = launch.sweep(
        {'pretrain_epochs': [0, 1]}, [1], savename='s.h5', dataset=str(tiny_set), report=False, verbose=0, **options
    )
    assert len(paths) == 2
    digests = {hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}
    assert len(digests) == 2
    with pytest.raises(ValueError, match='the range test trains a new network, got pretrain_epochs=1'):
        launch.rate_range(dataset=tiny_set, pretrain_epochs=1, verbose=0, **options)
