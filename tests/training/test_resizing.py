"""Progressive resizing: means over areas against OpenCV and float64; the sizes of epochs, resumed and refused."""

import cv2
import numpy as np
import pytensor.tensor as pt
import pytest
from small import Interrupted, lines_without_times, same_models, small
from tiny import equal, run, trainer

import cnn
import launch
import loaders
from cnn.layers import Conv, GlobalAvgPool
from mlp.layers import FullyConnected, Softmax
from utils import backend
from utils.layer import Layer, flatten
from utils.training import resizing
from utils.training.augmentation import Augment
from utils.training.functions import Functions
from utils.training.optimisers import OPTIMISERS
from utils.training.settings import Settings
from utils.training.warping import Cropped


def resized(images, size):
    x = pt.tensor(dtype='float32', shape=(*images.shape, 1))
    y = resizing.area_resized(x, size)
    assert y.type.shape == (len(images), *size, 1) and y.dtype == 'float32'
    return np.asarray(backend.function([x], y)(images[..., None].astype('f')))[..., 0]


@pytest.mark.parametrize(
    'shape, size', [((48, 48), (24, 24)), ((48, 48), (16, 16)), ((12, 18), (4, 9)), ((6, 8), (6, 4))]
)
def test_whole_ratios_are_those_of_opencv(rng, shape, size):
    images = rng.random((3, *shape)).astype('f')
    expected = [cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in images]
    np.testing.assert_allclose(resized(images, size), expected, atol=1e-6)


def by_area(image, size):
    """Means over the rectangles of new pixels, by a loop over the old pixels, in float64."""
    out = np.zeros(size)
    down, across = (whole / part for whole, part in zip(image.shape, size))
    for i in range(size[0]):
        for j in range(size[1]):
            for y in range(image.shape[0]):
                for x in range(image.shape[1]):
                    tall = min((i + 1) * down, y + 1) - max(i * down, y)
                    wide = min((j + 1) * across, x + 1) - max(j * across, x)
                    out[i, j] += max(tall, 0) * max(wide, 0) * image[y, x] / (down * across)
    return out


@pytest.mark.parametrize(
    'shape, size', [((12, 12), (8, 8)), ((12, 12), (10, 10)), ((12, 9), (11, 7)), ((7, 7), (1, 3))]
)
def test_other_ratios_are_means_over_areas(rng, shape, size):
    images = rng.random((2, *shape))
    np.testing.assert_allclose(resized(images, size), [by_area(image, size) for image in images], atol=1e-6)


def test_images_of_their_own_size_stay():
    x = pt.tensor(dtype='float32', shape=(2, 5, 4, 1))
    assert resizing.area_resized(x, (5, 4)) is x


class Means(Layer):
    """One convolution and the mean over the image: parameters for images of any size."""

    def __init__(self, im_dim, n_classes, n_hidden=(6,), p_drop=0.2, batch_norm=True, *, rng):
        self.conv = Conv(1, 5, batch_norm=batch_norm, rng=rng)
        self.mean, self.fc = GlobalAvgPool(), FullyConnected(5, n_classes, n_hidden, p_drop, rng=rng)

    def __call__(self, x, phase):
        return self.fc(self.mean(self.conv(x, phase), phase), phase)


def means(rng, im_dim=(12, 12)):
    return Means(im_dim, 3, rng=rng)


@pytest.mark.parametrize('optimiser', [pytest.param('sgd', marks=pytest.mark.slow), 'adam'])
def test_a_step_on_smaller_images_is_that_on_images_made_smaller_before(rng, optimiser):
    small = rng.integers(0, 256, (6, 6, 6), dtype=np.uint8)
    images = np.kron(small, np.ones((1, 2, 2), np.uint8))  # means over 2x2 pixels are the pixels of `small`
    y, there = np.array([0, 1, 2, 1, 0, 2], np.uint8), np.ones(6, np.float32)
    settings = dict(optimiser=OPTIMISERS[optimiser], learning_rate=0.05)

    def made(side, **more):
        net = Means((12, 12), 3, p_drop=0.0, rng=np.random.default_rng(1))
        return Functions(net, (side, side), Settings(6, **settings, **more), n_classes=3)

    f = made(12, progressive_sizes=(6, 12))
    f.check()
    for height, given in ((6, small), (None, images), (6, small)):  # the optimiser's state is kept
        f.resize(height)
        assert f.size == (None if height is None else (6, 6))
        other = made(given.shape[1])
        for mine, its in ((f.parameters, other.parameters), (f.state, other.state)):
            for name, p in its.items():
                p.set_value(np.array(mine[name].get_value()))
        np.testing.assert_allclose(f.train(images, y, there), other.train(given, y, there), rtol=1e-5)
        for mine, its in ((f.parameters, other.parameters), (f.state, other.state)):
            for name, p in its.items():
                np.testing.assert_allclose(mine[name].get_value(), p.get_value(), rtol=1e-4, atol=1e-6)


def test_the_cost_of_smaller_images_is_that_of_numpy(rng):
    images, y = rng.integers(0, 256, (4, 12, 12), dtype=np.uint8), np.array([0, 1, 2, 1], np.uint8)
    net = MeanOfPixels((12, 12), 3, rng=rng)
    f = Functions(net, (12, 12), Settings(4, progressive_sizes=(5,)), n_classes=3)
    W, b = (np.asarray(p.get_value(), float) for p in (net.softmax.W, net.softmax.b))
    f.resize(5)
    cost = float(f.train(images, y, np.ones(4, np.float32))[0])
    a = np.array([(by_area(image / 255, (5, 5)) ** 2).mean() for image in images])[:, None] @ W + b
    log_p = a - np.log(np.exp(a).sum(axis=1, keepdims=True))
    assert cost == pytest.approx(-log_p[np.arange(4), y].mean(), rel=1e-5)


class MeanOfPixels(Layer):
    def __init__(self, im_dim, n_classes, *, rng):
        self.mean, self.softmax = GlobalAvgPool(), Softmax(1, n_classes, rng=rng)

    def __call__(self, x, phase):
        return self.softmax(self.mean(x**2, phase), phase)


# ---------------------------------------------------------------------------------------- epochs


def test_epochs_are_divided_into_equal_parts():
    assert [resizing.height_of_epoch((6, 9, 12), k, 7) for k in range(7)] == [6, 6, 6, 9, 9, 12, 12]
    assert [resizing.height_of_epoch((6, 9, 12), k, 3) for k in range(3)] == [6, 9, 12]
    assert resizing.height_of_epoch((), 0, 5) is None
    assert resizing.at_height(6, (12, 16)) == (6, 8) and resizing.at_height(5, (12, 16)) == (5, 7)


@pytest.mark.slow
def test_the_stages_have_their_sizes_and_go_on_exactly(data):
    settings = dict(make=means, progressive_sizes=(6, 8, 12), ema_decay=0.5)
    t = trainer(data, **settings)
    whole = run(t, 5, 2)
    best = t.best['epoch']
    train = [6, 6, 8, 8, 12]
    assert [row['size'] for row in t.history] == train + train[:best] + [12, 12]
    for stop in (2, 3, 5 + min(best, 2)):  # also between two sizes
        half = trainer(data, **settings)
        state = run(half, 5, 2, stop_after=stop)
        again = trainer(data, **settings)
        again.restore(state)
        assert equal(run(again, 5, 2), whole)
    streamed = trainer(data, **settings, trainShared=False)
    assert equal(run(streamed, 5, 2), whole)
    many = trainer(data, **settings)
    many.many_steps = True
    many.train(3)
    costs = [row['train_cost'] for row in t.history[:3]]
    assert [row['size'] for row in many.history] == [6, 8, 12]
    assert many.history[0]['train_cost'] == pytest.approx(costs[0], rel=1e-5)


def test_other_sizes_in_epochs_that_are_done_are_refused(data):
    t = trainer(data, make=means, progressive_sizes=(6, 12))
    t.train(2)
    with pytest.raises(ValueError, match='n_epochs=4 and these progressive_sizes the images would have had other'):
        t.train(4)
    fixed = trainer(data, make=means, progressive_sizes=(10,))
    fixed.train(1), fixed.train(2)
    assert [row['size'] for row in fixed.history] == [10, 10]
    with pytest.raises(ValueError, match='progressive_sizes has 3 sizes, and each needs at least one epoch'):
        trainer(data, make=means, progressive_sizes=(6, 8, 12)).train(2)
    patient = trainer(data, make=means, progressive_sizes=(6, 12), learning_rate=1e-9)
    patient.train(6, 1), patient.retrain(), patient.anneal(1)  # ended before all sizes were used
    assert patient.history[-1]['size'] == 12 and len(patient.history) < 8


def test_validation_sees_whole_images(data):
    a, b = (
        trainer(data, make=means, progressive_sizes=(6,), learning_rate=1e-12),
        trainer(data, make=means, learning_rate=1e-12),
    )
    a.train(1), b.train(1)
    assert a.history[0]['validation_cross_entropy'] == pytest.approx(b.history[0]['validation_cross_entropy'], rel=1e-6)
    assert a.history[0]['train_cost'] != pytest.approx(b.history[0]['train_cost'], rel=1e-6)


# ---------------------------------------------------------------------------------- experiments


@pytest.mark.slow
def test_an_experiment_is_resumed_to_the_last_bit(tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = dict(
        network=Means, n_hidden=[6], progressive_sizes=[6, 10], augment={'crop': 10, 'mixup': 0.2, 'alternate': True}
    )

    def stop(row):
        if (row['stage'], row['epoch']) == ('train', 1):
            raise Interrupted

    whole = small(tiny_set, savename='whole.h5', verbose=1, report=True, **options)
    out = capsys.readouterr().out
    assert 'compiling the training step for images of 6x6 pixels' in out and 'train epoch 2/2 at 10 px' in out
    assert '<th>size</th>' in (whole.folder / 'report.html').read_text()
    with pytest.raises(Interrupted):
        small(tiny_set, savename='m.h5', on_epoch=stop, **options)
    with pytest.raises(ValueError, match=r'was trained with progressive_sizes=\[6, 10\], not \[8, 10\]'):
        launch.test(resume='m.h5', network=Means, progressive_sizes=[8, 10], verbose=0)
    with pytest.raises(ValueError, match='other sizes in the completed epochs|each needs at least one epoch'):
        launch.test(resume='m.h5', network=Means, n_epochs=1, verbose=0, report=False)
    resumed = launch.test(resume='m.h5', network=Means, verbose=0, report=False)
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert same_models('m.h5', 'whole.h5')
    assert launch.evaluate('whole.h5', tiny_set, network=Means, info=lambda line: None, report=False)[0]
    with loaders.load(tiny_set) as data:
        assert launch.predict('whole.h5', data.test.images(), network=Means).shape == (60, 3)


@pytest.mark.parametrize(
    'options',
    [
        {'val': False, 'balance': 'sampling'},
        {'retrain': False, 'augment': {'cutmix': 0.5}},
        pytest.param({'loss': 'l2svm'}, marks=pytest.mark.slow),
    ],
)
def test_it_goes_with_the_rest(tiny_set, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    result = small(tiny_set, network=Means, n_hidden=[6], progressive_sizes=6, learning_rate=0.02, **options)
    assert {row['size'] for row in result.history if row['stage'] != 'anneal'} == {6}
    assert result.history[-1]['size'] == 12 and np.isfinite(result.test_error)


@pytest.mark.parametrize(
    'options, message',
    [
        (
            {},
            r'MLP cannot be trained on images of 6x6 pixels.*'
            r'fc.hidden0.W would have shape \(36, 8\) instead of \(144, 8\)',
        ),
        ({'network': cnn.C, 'network_args': {'width': 1 / 16}}, 'too small'),
        ({'network': Means, 'progressive_sizes': [13]}, 'at most the height of the images .*, 12, got 13'),
        ({'network': Means, 'progressive_sizes': [12], 'augment': {'crop': 10}}, 'takes, 10, got 12'),
        ({'progressive_sizes': [6, 7, 8]}, 'n_epochs must be at least 3, got 2'),
        ({'progressive_sizes': [0]}, 'progressive_sizes must be a list of heights in pixels'),
    ],
)
def test_what_does_not_go_is_refused_before_anything_is_trained(tiny_set, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        small(tiny_set, **{'progressive_sizes': [6], **options})
    assert not (tmp_path / 'models').exists()


class Unread(Layer):
    """A network whose parameters fit any image size, but whose graph does not."""

    def __init__(self, im_dim, n_classes, *, rng):
        self.softmax = Softmax(144, n_classes, rng=rng)

    def __call__(self, x, phase):
        return self.softmax(flatten(x), phase)


def test_a_graph_for_one_size_is_refused(rng):
    f = Functions(Unread((12, 12), 3, rng=rng), (12, 12), Settings(4, progressive_sizes=(6,)), n_classes=3)
    with pytest.raises(ValueError, match='network Unread cannot be trained on images of 6x6.*144 inputs'):
        f.check()


@pytest.mark.parametrize(
    'network, side, heights', [(cnn.ResNet18, 16, (8, 12)), (cnn.GoogLeNet, 48, (32, 40)), (cnn.VGG11, 40, (32,))]
)
def test_networks_with_a_mean_over_the_image_take_several_sizes(rng, network, side, heights):
    net = network((side, side), 7, width=1 / 32, rng=rng)
    f = Functions(net, (side, side), Settings(2), n_classes=7)
    resizing.check_network(net, heights, (side, side), f._build)


def test_a_cropped_network_takes_smaller_images_as_they_are(rng):
    net = Cropped(Means((10, 10), 3, rng=rng), (10, 10))
    f = Functions(net, (12, 12), Settings(4, augment=Augment(crop=10), progressive_sizes=(6,)), n_classes=3)
    f.check()
    f.resize(10)
    assert f.size is None  # the network's full size
    f.resize(6)
    images = rng.integers(0, 256, (4, 12, 12), dtype=np.uint8)
    assert np.isfinite(float(f.train(images, np.zeros(4, np.uint8), np.ones(4, 'f'))[0]))
