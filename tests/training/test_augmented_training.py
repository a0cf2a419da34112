"""Training with augmentation: resumed, streamed, cropped, tested on its views."""

import numpy as np
import pytest
from augmentation_data import warped

import launch
import loaders
from cnn.layers import Conv, MaxPool
from mlp import MLP
from mlp.layers import FullyConnected
from utils.files import models
from utils.layer import Layer, n_features, parameters
from utils.training.augmentation import Augment
from utils.training.functions import Functions
from utils.training.inference import compute_logits
from utils.training.settings import Settings
from utils.training.warping import Cropped

SMALL = dict(
    network=MLP, n_hidden=[8], batch_size=50, statistics_images=50, anneal_epochs=1, n_epochs=3, verbose=0, report=False
)


def test_augmented_training_is_resumable_to_the_last_bit_and_the_same_streamed(tiny_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    augment = {'rotation': 5, 'erase': 0.2, 'mixup': 0.3}
    launch.test(**SMALL, dataset=tiny_set, augment=augment, savename='whole.h5')
    launch.test(**SMALL, dataset=tiny_set, augment=augment, savename='streamed.h5', trainShared=False)

    def stop(row):
        if row['stage'] == 'train' and row['epoch'] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch.test(**SMALL, dataset=tiny_set, augment=Augment(**augment), savename='cut.h5', on_epoch=stop)
    launch.test(resume='cut.h5', verbose=0)
    whole, *others = (models.load(name)[0]['arrays'] for name in ('whole.h5', 'cut.h5', 'streamed.h5'))
    for other in others:
        assert all(np.array_equal(whole[k], other[k]) for k in whole)
    assert models.load('cut.h5')[1]['options']['augment']['mixup'] == 0.3


def test_sets_without_views_are_tested_on_those_of_the_augmentation(tiny_originals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (path,) = loaders.build(tiny_originals, sets=(1,), out=tmp_path, validation=30, info=lambda *line: None)
    assert launch.test(**SMALL, dataset=path).special_test_error is None
    augment = Augment(mirror=0.0, shift=0.0, rotation=4.0, zoom=0.0)
    result = launch.test(**SMALL, dataset=path, augment=augment, savename='m.h5')
    assert augment.views() == [{}, {'angle': -2.0}, {'angle': 2.0}]
    with loaders.load(path) as data:
        images, y = data.test.images(), data.test.y
    p = sum(
        np.log(launch.predict('m.h5', np.round(warped(images / 255, **view) * 255).astype('uint8')))
        for view in augment.views()
    )
    assert abs(100 * (p.argmax(axis=1) != y).mean() - result.special_test_error) <= 100 / 60 + 1e-9  # pixels rounded


@pytest.mark.parametrize(
    'crop, corners', [((10, 8), [(0, 0), (0, 4), (2, 0), (2, 4)]), ((9, 11), [(0, 0), (0, 1), (3, 0), (3, 1)])]
)
def test_a_cropped_network_is_tested_on_middle_and_corners(rng, crop, corners):
    images = rng.integers(0, 256, (5, 12, 12)).astype('uint8')
    net = MLP(crop, 3, n_hidden=[], rng=rng)
    W, b = (p.get_value() for p in parameters(net).values())
    augment = Augment(mirror=0.5, shift=0.0, rotation=0.0, zoom=0.0, crop=crop)
    f = Functions(Cropped(net, crop), (12, 12), Settings(5, augment=augment))
    middle = (12 - crop[0]) // 2, (12 - crop[1]) // 2
    windows = [(image, place) for image in (images, images[:, :, ::-1]) for place in (middle, *corners)]
    views = augment.views((12, 12))
    assert len(views) == len(windows)
    for view, (image, (top, left)) in zip(views, windows):
        cut = image[:, top : top + crop[0], left : left + crop[1]].reshape(5, -1) / 255
        got = np.asarray(
            f.test_view(
                images,
                *(
                    np.float32({'mirror': 1, 'zoom': 1, **view}.get(k, 0))
                    for k in ('mirror', 'down', 'right', 'angle', 'zoom')
                ),
            )
        )
        np.testing.assert_allclose(got, cut @ W + b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        f.test(images),
        images[:, middle[0] :, middle[1] :][:, : crop[0], : crop[1]].reshape(5, -1) / 255 @ W + b,
        rtol=1e-4,
        atol=1e-5,
    )


class OneConvolution(Layer):
    def __init__(self, im_dim, n_classes, n_hidden=(6,), *, rng):
        self.conv = Conv(1, 4, pool=MaxPool(2), rng=rng)
        self.fc = FullyConnected(n_features(self.conv, im_dim), n_classes, n_hidden, rng=rng)

    def __call__(self, x, phase):
        return self.fc(self.conv(x, phase), phase)


def test_crops_in_a_whole_experiment(tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = {**SMALL, 'network': OneConvolution, 'n_hidden': [6]}
    launch.test(**{**options, 'verbose': 1}, dataset=tiny_set, augment={'crop': 10}, savename='whole.h5')
    assert 'hidden layers [6], for crops of 10x10 pixels, on' in capsys.readouterr().out

    def stop(row):
        if row['stage'] == 'train' and row['epoch'] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch.test(**options, dataset=tiny_set, augment={'crop': [10, 10]}, savename='cut.h5', on_epoch=stop)
    launch.test(resume='cut.h5', network=OneConvolution, verbose=0)
    (whole, config), (cut, _) = models.load('whole.h5'), models.load('cut.h5')
    assert all(np.array_equal(whole['arrays'][k], cut['arrays'][k]) for k in whole['arrays'])
    assert config['options']['augment']['crop'] == [10, 10] and config['im_dim'] == [12, 12]
    with loaders.load(tiny_set) as data:
        images = data.test.images()
    p = launch.predict('whole.h5', images, network=OneConvolution)
    edges = images.copy()
    edges[:, 1:-1, 1:-1] = 0
    np.testing.assert_allclose(
        launch.predict('whole.h5', images - edges, network=OneConvolution), p, rtol=1e-5
    )  # the edge is outside the crop
    scores, folder = launch.evaluate(
        'whole.h5', tiny_set, network=OneConvolution, folder='again', info=lambda line: None
    )
    assert abs(100 * (p.argmax(axis=1) != data.test.y).mean() - scores['plain']['whole']['error']) < 1e-9
    assert (folder / 'figures' / 'saliency.png').is_file() and (folder / 'figures' / 'filters.png').is_file()


def test_a_crop_larger_than_the_images_is_refused(tiny_set):
    with pytest.raises(ValueError, match=r'crop must be at most the size of the images, \[12, 12\], got \[12, 13\]'):
        launch.test(**SMALL, dataset=tiny_set, augment={'crop': (12, 13)})


def test_a_view_is_what_warp_makes(tiny_set, rng):
    with loaders.load(tiny_set) as data:
        f = Functions(MLP((12, 12), 3, n_hidden=[5], batch_norm=False, p_drop=0.0, rng=rng), (12, 12), Settings(7))
        got = compute_logits(f, data.test, {'mirror': -1.0})
        mirrored = np.ascontiguousarray(data.test.images()[:, :, ::-1])
    expected = np.concatenate(
        [np.asarray(f.test(np.resize(mirrored[k : k + 7], (7, 12, 12)))) for k in range(0, 60, 7)]
    )
    np.testing.assert_allclose(got, expected[:60], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'augment, message',
    [({'flip': 0.5}, 'a dict of mirror, shift'), (3, 'augment must be an Augment'), ({'mirror': 2}, 'mirror must be')],
)
def test_bad_augmentations_are_refused(tiny_set, augment, message):
    with pytest.raises(ValueError, match=message):
        launch.test(dataset=tiny_set, augment=augment)
