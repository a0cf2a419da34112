"""Features against plain loops and known values."""

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.baselines import features
from utils.recognition.detection import Detection


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (3, 24, 30), dtype=np.uint8)


def mean_of_cells(image):
    """Return the means over a grid of 6x6 cells, row by row, of an image whose sides are multiples of 6."""
    h, w = image.shape[0] // 6, image.shape[1] // 6
    return [image[i * h : (i + 1) * h, j * w : (j + 1) * w].mean() for i in range(6) for j in range(6)]


def test_pixels_have_mean_0_and_deviation_1(images):
    x = features.FEATURES['pixels'](images)
    assert x.shape == (3, 720) and x.dtype == np.float32
    assert np.allclose(x.mean(axis=1), 0, atol=1e-5) and np.allclose(x.std(axis=1), 1, atol=1e-5)
    assert (features.pixels(np.full((1, 6, 6), 9, np.uint8)) == 0).all()


def test_hog_is_that_of_loops(images):
    pytest.importorskip('skimage')
    found = features.FEATURES['hog'](images[:1])[0].reshape(5, 5, 2, 2, 9)
    image = images[0].astype(float)
    h, w = 4, 5
    cells = np.zeros((6, 6, 9))
    for i in range(24):
        for j in range(30):
            down = image[i + 1, j] - image[i - 1, j] if 0 < i < 23 else 0.0
            right = image[i, j + 1] - image[i, j - 1] if 0 < j < 29 else 0.0
            angle = np.degrees(np.arctan2(down, right)) % 180
            cells[i // h, j // w, int(angle // 20) % 9] += np.hypot(down, right) / (h * w)
    for i in range(5):
        for j in range(5):
            block = cells[i : i + 2, j : j + 2]
            block = block / np.sqrt((block**2).sum() + 1e-10)
            block = np.minimum(block, 0.2)
            assert np.allclose(found[i, j], block / np.sqrt((block**2).sum() + 1e-10), atol=1e-5)


def uniform(image, i, j):
    """Return whether the eight samples around a pixel change at most twice between below and not below it."""
    padded = np.pad(image.astype(float), 2)
    bits = []
    for k in range(8):
        y, x = i + 2 - np.sin(k * np.pi / 4), j + 2 + np.cos(k * np.pi / 4)
        y, x = round(y, 5), round(x, 5)
        top, left = int(np.floor(y)), int(np.floor(x))
        fy, fx = y - top, x - left
        patch = padded[top : top + 2, left : left + 2]
        sample = np.array([1 - fy, fy]) @ patch @ np.array([1 - fx, fx])
        bits.append(sample >= padded[i + 2, j + 2])
    return sum(a != b for a, b in zip(bits, bits[1:] + bits[:1])) <= 2


def test_lbp_counts_the_patterns_of_each_cell(images):
    pytest.importorskip('skimage')
    found = features.FEATURES['lbp'](images[:1])[0].reshape(36, 59)
    assert np.allclose((found**2).sum(axis=1), 1, atol=1e-5)
    others = np.array([[not uniform(images[0], i, j) for j in range(30)] for i in range(24)])
    assert np.allclose(found[:, 58] ** 2, mean_of_cells(others), atol=1e-5)
    flat = features.lbp(np.full((1, 18, 18), 7, np.uint8)).reshape(36, 59)
    assert (np.sort(flat[14])[-1], np.sort(flat[14])[-2]) == (1, 0)


def test_gabor_energies_are_those_of_the_filter_over_the_mirrored_image(images):
    skimage = pytest.importorskip('skimage.filters')
    found = features.FEATURES['gabor'](images[:1])[0].reshape(24, 36)
    for j, (frequency, k) in ((9, (0.2, 1)), (20, (0.3, 4))):
        kernel = skimage.gabor_kernel(frequency, theta=k * np.pi / 8)
        image = images[0] / 255
        real, imaginary = (ndimage.correlate(image, part, mode='mirror') for part in (kernel.real, kernel.imag))
        assert np.allclose(found[j], mean_of_cells(np.hypot(real, imaginary)), atol=1e-4)


def test_gabor_answers_to_a_grating_of_its_wavelength():
    pytest.importorskip('skimage')
    grating = 127 + 100 * np.sin(np.arange(48) * 2 * np.pi / 5)
    energies = features.gabor(np.tile(grating, (1, 48, 1)).astype(np.uint8)).reshape(24, 36).mean(axis=1)
    assert energies[1:].argmax() + 1 == 8  # wavelength 5, direction 0; the first filters also see brightness


FACE = np.array([[0, 0], [10, 0], [5, 6], [2, 10], [8, 10]], float)


def test_landmarks_are_distances_and_angles():
    shape = features.shape_of(FACE)
    assert shape.shape == (19,)
    distances, angles, tilt = shape[:9], shape[9:18], shape[18]
    assert np.isclose(distances[0], np.sqrt(25 + 36) / 10) and np.isclose(distances[-1], 0.6)
    assert np.isclose(angles[0], np.arctan2(6, 5)) and np.isclose(angles[-1], 0) and tilt == 0


def test_landmarks_do_not_depend_on_place_size_and_but_for_the_tilt_rotation():
    turn = np.radians(25)
    moved = 3 * FACE @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + [4, 7]
    assert np.allclose(features.shape_of(moved)[:18], features.shape_of(FACE)[:18])
    assert np.isclose(features.shape_of(moved)[18], turn)


def test_faces_without_points_have_none(monkeypatch):
    monkeypatch.setattr(features, 'detector', lambda: lambda picture: [])
    assert np.isnan(features.FEATURES['landmarks'](np.zeros((2, 48, 48), np.uint8))).all()
    assert np.isnan(features.shape_of(np.zeros((5, 2)))).all()


def test_points_are_in_pixels_of_the_image_and_of_the_surest_face(monkeypatch):
    def found(picture):
        assert picture.shape == (192, 240, 3)
        sure, other = (tuple((8 * x, 8 * y) for x, y in face) for face in (FACE, FACE + 1))
        return [Detection(0, 0, 9, 9, 0.4, other), Detection(0, 0, 9, 9, 0.9, sure)]

    monkeypatch.setattr(features, 'detector', lambda: found)
    assert np.allclose(features.points_of(np.zeros((24, 30), np.uint8)), FACE)


def test_strips_are_cosine_transforms_from_the_top_down(images):
    found = features.FEATURES['strips'](images)
    assert found.shape == (3, 10, 39)  # strips of 6 rows, each 2 below the one before
    strip = features.pixels(images).reshape(images.shape)[1, 4:10]
    rows, columns = np.arange(6), np.arange(30)
    for u, v in ((0, 0), (1, 0), (2, 12)):
        basis = np.outer(np.cos(np.pi * (rows + 0.5) * u / 6), np.cos(np.pi * (columns + 0.5) * v / 30))
        scale = np.sqrt((1 if u == 0 else 2) / 6) * np.sqrt((1 if v == 0 else 2) / 30)
        assert np.isclose(found[1, 2, u * 13 + v], scale * (strip * basis).sum(), atol=1e-4)


def test_images_smaller_than_the_grid_are_refused():
    with pytest.raises(ValueError, match='at least 6x6 pixels, got 5x9'):
        features.cells_of((5, 9))
