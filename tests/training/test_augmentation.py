"""Augmentation: `warp` against OpenCV, each change against NumPy with the same draws, mixup."""

import cv2
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from augmentation_data import warped
from scipy import stats
from small import same_models, small

import launch
from mlp import MLP
from utils import backend, ops
from utils.files import models
from utils.layer import Phase
from utils.training.augmentation import _COLUMNS, Augment
from utils.training.functions import Functions
from utils.training.mixing import partner
from utils.training.settings import Settings

OFF = dict(mirror=0.0, shift=0.0, rotation=0.0, zoom=0.0)


def smooth_images(rng, n=3, height=40, width=30):
    return np.stack([cv2.GaussianBlur(rng.random((height, width)), (9, 9), 2.5) for _ in range(n)])


@pytest.mark.parametrize(
    'angle, zoom, down, right',
    [
        (0, 1, 0, 0),
        (20, 1, 0, 0),
        (-33, 0.8, 5, 2),
        (0, 1.2, 0, 0),
        (0, 1, -2.25, 3.5),
        (90, 1, 0, 0),
        (170, 1.5, 1, 1),
    ],
)
@pytest.mark.parametrize('mirror', [1.0, -1.0])
def test_warp_agrees_with_opencv(rng, angle, zoom, down, right, mirror):
    images = smooth_images(rng)
    height, width = images.shape[1:]
    M = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
    M[:, 2] += right, down
    got = warped(images, mirror=mirror, down=down, right=right, angle=angle, zoom=zoom)
    for image, result in zip(images, got):
        expected = cv2.warpAffine(image, M, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        expected = cv2.flip(expected, 1) if mirror < 0 else expected
        # OpenCV rounds positions to 1/32 pixel.
        assert abs(result - expected).max() <= np.abs(np.diff(image)).max() / 16 + 1e-6


def test_warp_takes_each_image_its_own_way(rng):
    images = smooth_images(rng)
    settings = {
        'mirror': [1, -1, 1],
        'down': [0, 2, -1.5],
        'right': [1, 0, 2],
        'angle': [5, -10, 0],
        'zoom': [1, 1.1, 0.9],
    }
    together = warped(images, **{k: pt.as_tensor_variable(np.array(v, 'f')) for k, v in settings.items()})
    for k in range(3):
        alone = warped(images[k : k + 1], **{name: values[k] for name, values in settings.items()})
        np.testing.assert_allclose(together[k], alone[0], atol=1e-5)


def test_warp_without_a_change_gives_the_image(rng):
    images = smooth_images(rng)
    np.testing.assert_allclose(warped(images), images, atol=1e-6)
    np.testing.assert_array_equal(warped(images, mirror=-1.0), warped(images)[:, :, ::-1])


def augmented(images, augment, seed=3, counter=0):
    x = pt.tensor(dtype='float32', shape=(*images.shape, 1))
    phase = Phase(train=True, seed=pytensor.shared(np.uint32(seed)), counter=pytensor.shared(np.uint32(counter)))
    y, share = augment.mixed(x, phase)
    f = backend.function([x], [y] if share is None else [y, share])
    return [np.asarray(v) for v in f(images[..., None].astype('f'))]


def stream(n, columns, number, seed=3, counter=0):
    """The uniform draws (n, columns) of a stream."""
    u = ops.uniform((n, columns), pytensor.shared(np.uint32(seed)), pytensor.shared(np.uint32(counter)), number)
    return pytensor.function([], u, mode='FAST_COMPILE')().astype(float)


def drawn(n):
    """The uniform draws of the first stream, by purpose."""
    return dict(zip(_COLUMNS, stream(n, len(_COLUMNS), 1).T))


def test_geometry_follows_the_draws(rng):
    images, u = smooth_images(rng, 8), drawn(8)
    (got,) = augmented(images, Augment(mirror=0.5, shift=0.1, rotation=15, zoom=0.2))
    height, width = images.shape[1:]
    for k, image in enumerate(images):
        expected = warped(
            image[None],
            mirror=-1.0 if u['mirror'][k] < 0.5 else 1.0,
            down=(2 * u['down'][k] - 1) * 0.1 * height,
            right=(2 * u['right'][k] - 1) * 0.1 * width,
            angle=(2 * u['angle'][k] - 1) * 15,
            zoom=1.2 ** (2 * u['zoom'][k] - 1),
        )
        np.testing.assert_allclose(got[k, ..., 0], expected[0], atol=2e-4)
    assert 0 < (u['mirror'] < 0.5).sum() < 8


@pytest.mark.parametrize('size', [(10, 8), (11, 7), (12, 8), (10, 9)])
def test_crops_are_cut_out_of_every_place(rng, size):
    images = rng.random((400, 12, 9)).astype('f')
    (got,) = augmented(images, Augment(**OFF, crop=size))
    (mirrored,) = augmented(images, Augment(**{**OFF, 'mirror': 1.0}, crop=size))
    assert got.shape == (400, *size, 1)
    spare = 12 - size[0], 9 - size[1]
    places = np.floor(stream(400, 2, 2) * (np.array(spare) + 1)).astype(int)
    for image, result, other, (top, left) in zip(images, got[..., 0], mirrored[..., 0], places):
        np.testing.assert_allclose(result, image[top : top + size[0], left : left + size[1]], atol=1e-6)
        np.testing.assert_allclose(other, image[:, ::-1][top : top + size[0], left : left + size[1]], atol=1e-6)
    assert {tuple(place) for place in places} == {(i, j) for i in range(spare[0] + 1) for j in range(spare[1] + 1)}


def test_crops_are_cut_out_of_the_changed_image(rng):
    images, u = smooth_images(rng, 8), drawn(8)
    changes = dict(mirror=0.5, shift=0.1, rotation=15, zoom=0.2)
    (got,) = augmented(images, Augment(**changes, crop=(36, 24)))
    places = np.floor(stream(8, 2, 2) * [5, 7]).astype(int)
    for k, (image, (top, left)) in enumerate(zip(images, places)):
        expected = warped(
            image[None],
            mirror=-1.0 if u['mirror'][k] < 0.5 else 1.0,
            down=(2 * u['down'][k] - 1) * 0.1 * 40,
            right=(2 * u['right'][k] - 1) * 0.1 * 30,
            angle=(2 * u['angle'][k] - 1) * 15,
            zoom=1.2 ** (2 * u['zoom'][k] - 1),
        )
        np.testing.assert_allclose(got[k, ..., 0], expected[0, top : top + 36, left : left + 24], atol=2e-4)


def test_brightness_and_contrast_follow_the_draws(rng):
    images, u = smooth_images(rng, 6), drawn(6)
    (got,) = augmented(images, Augment(**OFF, brightness=0.3, contrast=0.4))
    for k, image in enumerate(images):
        expected = image.mean() + (image - image.mean()) * (1 + 0.4 * (2 * u['contrast'][k] - 1))
        np.testing.assert_allclose(
            got[k, ..., 0], np.clip(expected + 0.3 * (2 * u['brightness'][k] - 1), 0, 1), atol=1e-5
        )


def test_erasing_paints_one_rectangle_in_one_grey(rng):
    n = 300
    images = np.full((n, 24, 20), 2.0)  # no grey level drawn is 2
    (got,) = augmented(images, Augment(**OFF, erase=0.6))
    changed = got[..., 0] != 2
    erased = changed.any(axis=(1, 2))
    assert abs(erased.mean() - 0.6) < 4.5 * np.sqrt(0.6 * 0.4 / n)
    for mask, image in zip(changed[erased], got[erased, ..., 0]):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.all() and box.sum() == mask.sum()
        assert len(np.unique(image[mask])) == 1
        assert 0.01 * mask.size <= mask.sum() <= 0.40 * mask.size  # 2 to 33 %, sides rounded to pixels
        assert 0.2 <= box.shape[0] / box.shape[1] <= 5


@pytest.mark.parametrize('alpha', [0.2, 1.0, 2.5])
def test_mixup_mixes_neighbours_with_shares_of_the_beta_distribution(rng, alpha):
    images = rng.random((4000, 3, 3))
    got, share = augmented(images, Augment(**OFF, mixup=alpha))
    assert stats.kstest(share, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    own = share[:, None, None]
    np.testing.assert_allclose(got[..., 0], own * images + (1 - own) * np.roll(images, -1, axis=0), atol=1e-6)


def test_the_partner_is_the_next_image():
    y = pt.tensor(dtype='uint8', shape=(4,))
    assert backend.function([y], partner(y))(np.array([5, 6, 7, 8], 'uint8')).tolist() == [6, 7, 8, 5]


def test_the_cost_with_mixup_shares_the_labels(rng):
    import reference

    augment, images = Augment(**OFF, mixup=0.5), rng.integers(0, 256, (6, 5, 4)).astype('uint8')
    y = rng.integers(0, 3, 6).astype('uint8')
    net = MLP((5, 4), 3, n_hidden=[], rng=rng)
    f = Functions(net, (5, 4), Settings(6, augment=augment, learning_rate=0.0, seed=3))
    entropy = float(f.train(images, y, np.ones(6, 'f'))[1])
    mixed, share = augmented(images / 255, augment)
    W, b = (np.asarray(f.parameters[f'fc.softmax.{p}'].get_value(), float) for p in 'Wb')
    log_p = reference.log_softmax(mixed.reshape(6, -1) @ W + b)
    each = np.arange(6)
    expected = -(share * log_p[each, y] + (1 - share) * log_p[each, np.roll(y, -1)]).mean()
    assert entropy == pytest.approx(expected, rel=1e-5)


def test_is_not_there_outside_training_or_when_all_is_off(rng):
    x = pt.tensor(dtype='float32', shape=(2, 5, 5, 1))
    assert Augment()(x, Phase()) is x
    assert Augment()(x, Phase(weight=pt.fscalar())) is x
    assert Augment(**OFF)(x, Phase(train=True)) is x


def test_changes_with_the_counter_and_with_nothing_else(rng):
    images = smooth_images(rng, 4)
    (first,) = augmented(images, Augment())
    np.testing.assert_array_equal(first, augmented(images, Augment())[0])
    assert abs(first - augmented(images, Augment(), counter=1)[0]).max() > 0.01


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'mirror': 1.5}, 'mirror must be a number from 0 to 1, got 1.5'),
        ({'shift': 1}, 'shift must be'),
        ({'rotation': -3}, 'rotation must be a number from 0 to 180, got -3'),
        ({'zoom': -0.1}, 'zoom must be a number >= 0'),
        ({'mixup': float('nan')}, 'mixup must be'),
        ({'mixup': float('inf')}, 'mixup must be'),
        ({'erase': 'often'}, "got 'often'"),
        ({'mirror': True}, 'got True'),
        ({'crop': 0}, 'crop must be a height and width in pixels, or one number for both, got 0'),
        ({'crop': 9.5}, 'got 9.5'),
        ({'crop': True}, 'got True'),
        ({'crop': (4, 4, 1)}, r'got \(4, 4, 1\)'),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Augment(**settings)


@pytest.mark.parametrize('probability', [1.0, 0.3])
def test_cutmix_pastes_rectangles_of_neighbours_and_weighs_by_what_is_left(rng, probability):
    images = np.broadcast_to(np.arange(3000)[:, None, None] / 3000, (3000, 12, 9))
    got, weight = augmented(images, Augment(**OFF, cutmix=probability))
    own, other = images, np.roll(images, -1, axis=0)
    pasted = got[..., 0] != own.astype('float32')
    np.testing.assert_allclose(got[..., 0], np.where(pasted, other, own), atol=1e-6)
    np.testing.assert_allclose(weight, 1 - pasted.mean(axis=(1, 2)), atol=1e-6)
    for mask in pasted[:200]:  # a rectangle, or nothing
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, np.outer(rows, columns))
        for line in (rows, columns):
            assert not line.any() or line[np.argmax(line) : len(line) - np.argmax(line[::-1])].all()
    done = weight < 1
    assert abs(done.mean() - probability * 0.98) < 0.04  # the smallest rectangles contain no pixel
    # Yun et al.: sides sqrt(1 - lambda), lambda uniform, the centre anywhere, cut at the edges.
    draws = np.random.default_rng(0).random((200_000, 3))
    half = np.sqrt(draws[:, 0]) / 2
    area = np.prod([np.minimum(m + half, 1) - np.maximum(m - half, 0) for m in draws[:, 1:].T], axis=0)
    assert abs((1 - weight[done]).mean() - area.mean()) < 0.03
    assert weight.min() > 0 or probability == 1.0


@pytest.mark.slow
def test_cutmix_in_a_resumed_run_and_beside_older_models(tiny_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='mixup and cutmix both mix'):
        Augment(mixup=0.2, cutmix=0.5)
    augment = {'mirror': 0.5, 'cutmix': 0.5}
    whole = small(tiny_set, savename='whole.h5', augment=augment)
    small(tiny_set, savename='m.h5', augment=augment, n_epochs=1)
    launch.test(resume='m.h5', n_epochs=2, verbose=0, report=False)
    assert same_models('m.h5', 'whole.h5')
    assert whole.history[0]['train_cost'] > 0
    small(tiny_set, savename='old.h5', augment={'mirror': 0.5, 'rotation': 5.0}, n_epochs=1)
    _, config = models.load('old.h5')
    assert 'cutmix' not in config['options']['augment']  # as in older models
    launch.test(resume='old.h5', n_epochs=2, augment={'mirror': 0.5, 'rotation': 5.0}, verbose=0, report=False)
