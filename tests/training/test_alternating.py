"""Alternating flip: the images mirrored in each epoch, against NumPy; resumed and streamed runs agree."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from small import Interrupted, lines_without_times, parameters_of, same_models, small
from tiny import trainer

import launch
from utils import backend, ops
from utils.files import models
from utils.layer import Phase
from utils.ops.random import threefry2x32
from utils.training.augmentation import Augment

ALTERNATE = dict(mirror=0.5, shift=0.0, rotation=0.0, zoom=0.0, alternate=True)


def first_bits(seed, rows):
    """Whether each row is mirrored in the first epoch."""
    rows = np.asarray(rows, np.uint32)
    zero = np.zeros_like(rows)
    return threefry2x32((zero + np.uint32(seed), zero + np.uint32(0xF11B)), (zero, rows))[0] % 2 == 1


def test_random_bits_are_threefry_in_numpy_and_on_the_device(rng):
    numbers = rng.integers(0, 2**31, 200).astype('int32')
    seed, given = pt.scalar(dtype='uint32'), pt.tensor(dtype='int32', shape=(200,))
    op = ops.RandomBits(7)
    zero = np.zeros(200, np.uint32)
    expected = threefry2x32((zero + np.uint32(9), zero + np.uint32(7)), (zero, numbers.astype(np.uint32)))[0]
    for function in (backend.function, lambda *a: pytensor.function(*a, mode='FAST_COMPILE')):
        np.testing.assert_array_equal(function([seed, given], op(seed, given))(np.uint32(9), numbers), expected)
    assert op(seed, given).type.shape == (200,)
    with pytest.raises(ValueError, match='random bits need a uint32 seed'):
        op(seed, pt.fvector())


def test_half_of_the_images_are_mirrored_first_and_the_others_next():
    n, seed = 4000, 3
    rng = np.random.default_rng(0)
    images, rows = rng.random((n, 2, 3)).astype('f'), rng.permutation(n).astype('int32')
    x, given, epoch = (
        pt.tensor(dtype='f', shape=(n, 2, 3, 1)),
        pt.tensor(dtype='int32', shape=(n,)),
        pt.scalar(dtype='uint32'),
    )
    phase = Phase(train=True, seed=pytensor.shared(np.uint32(seed)))
    f = backend.function([x, given, epoch], Augment(**ALTERNATE).mixed(x, phase, given, epoch)[0])
    mirrored = []
    for k in range(3):
        got = np.asarray(f(images[..., None], rows, np.uint32(k)))[..., 0]
        mirrored.append((got == images[:, :, ::-1]).all(axis=(1, 2)))
        assert ((got == images).all(axis=(1, 2)) | mirrored[-1]).all()
    first = first_bits(seed, rows)
    assert abs(first.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
    for k, found in enumerate(mirrored):
        np.testing.assert_array_equal(found, first ^ bool(k % 2))
    assert (first_bits(seed + 1, rows) != first).mean() > 0.4


def test_warped_images_alternate_too(rng):
    images, rows = rng.random((40, 7, 7)).astype('f'), np.arange(40, dtype='int32')
    x, given, epoch = (
        pt.tensor(dtype='f', shape=(40, 7, 7, 1)),
        pt.tensor(dtype='int32', shape=(40,)),
        pt.scalar(dtype='uint32'),
    )
    phase = Phase(train=True, seed=pytensor.shared(np.uint32(5)))
    f = backend.function([x, given, epoch], Augment(**{**ALTERNATE, 'crop': 7}).mixed(x, phase, given, epoch)[0])
    got = np.asarray(f(images[..., None], rows, np.uint32(1)))[..., 0]
    expected = np.where(~first_bits(5, rows)[:, None, None], images[:, :, ::-1], images)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def counted(t, train, anneal, retrain=True):
    """The epoch numbers in the graph, one for each epoch of all stages."""
    seen = []
    t.reporter.epoch_ends = lambda row: seen.append(int(t.functions.epoch.get_value()))
    t.train(train), t.retrain(retrain), t.anneal(anneal, retrained=retrain)
    return seen


def test_epochs_are_counted_through_the_stages(data):
    alternating = Augment(**ALTERNATE)
    t = trainer(data, augment=alternating)
    numbers = counted(t, 3, 2)
    best = t.best['epoch']
    assert numbers == [0, 1, 2, *range(best), best, best + 1]
    assert counted(trainer(data, augment=alternating, val=False), 3, 1) == [0, 1, 2, 3]
    t = trainer(data, augment=alternating)  # annealing from the best epoch
    assert counted(t, 3, 1, retrain=False) == [0, 1, 2, t.best['epoch']]


@pytest.mark.parametrize(
    'more',
    [
        {},
        pytest.param(
            {'balance': 'sampling', 'augment': {**ALTERNATE, 'rotation': 5.0, 'mixup': 0.3}}, marks=pytest.mark.slow
        ),
    ],
)
@pytest.mark.slow
def test_an_experiment_is_resumed_and_streamed_to_the_last_bit(tiny_set, tmp_path, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    options = {'augment': ALTERNATE, 'n_epochs': 3, **more}

    def stop(row):
        if (row['stage'], row['epoch']) == ('train', 1):
            raise Interrupted

    whole = small(tiny_set, savename='whole.h5', **options)
    with pytest.raises(Interrupted):
        small(tiny_set, savename='m.h5', on_epoch=stop, **options)
    resumed = launch.test(resume='m.h5', verbose=0, report=False)
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert same_models('m.h5', 'whole.h5')
    streamed = small(tiny_set, savename='s.h5', trainShared=False, **options)
    assert lines_without_times(streamed.history) == lines_without_times(whole.history)
    assert same_models('s.h5', 'whole.h5')
    drawn = small(tiny_set, savename='d.h5', **{**options, 'augment': {**options['augment'], 'alternate': False}})
    assert lines_without_times(drawn.history) != lines_without_times(whole.history)
    assert models.load('m.h5')[1]['options']['augment']['alternate'] is True
    assert 'alternate' not in models.load('d.h5')[1]['options']['augment']  # as in older models
    assert parameters_of('d.h5').keys() == parameters_of('m.h5').keys()


def test_many_steps_in_one_call_see_the_epoch(data):
    a, b = (trainer(data, augment=Augment(**ALTERNATE)) for _ in range(2))
    a.many_steps, b.many_steps = True, False
    for t in (a, b):
        t.train(2)
    assert [row['train_cost'] for row in a.history] == pytest.approx([row['train_cost'] for row in b.history], rel=1e-5)


def test_what_does_not_go_with_it_is_refused():
    for mirror in (0.0, 0.3, 1.0):
        with pytest.raises(ValueError, match=f'mirror must be 0.5, got {mirror:g}'):
            Augment(mirror=mirror, alternate=True)
    with pytest.raises(ValueError, match='alternate must be True or False, got 1'):
        Augment(alternate=1)
    x = pt.tensor(dtype='f', shape=(2, 3, 3, 1))
    with pytest.raises(ValueError, match='needs the rows of the images'):
        Augment(alternate=True)(x, Phase(train=True))
    assert Augment(alternate=True)(x, Phase()) is x
    assert 'alternate=True' in repr(Augment(alternate=True)) and 'alternate' not in repr(Augment())


def test_the_learning_rate_finder_hands_the_rows_in(tiny_set):
    options = dict(
        network='MLP', n_hidden=[8], batch_size=50, dataset=tiny_set, augment=ALTERNATE, verbose=0, figure=None
    )
    streamed, resident = (launch.rate_range(**options, steps=8, trainShared=shared)[1] for shared in (False, True))
    assert len(streamed) > 1 and streamed == resident
