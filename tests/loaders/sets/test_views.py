"""Views against independent implementations."""

import cv2
import numpy as np
import pytest
from loaders_data import originals
from sets_data import built


def slow_crop(image, size, down, right):
    return np.array([[image[i + down, j + right] for j in range(size)] for i in range(size)])


def slow_mirror(image):
    return np.array([[row[-1 - j] for j in range(len(row))] for row in image])


def thesis_view(image, name):
    """Compute a view independently of loaders/, from the text of thesis 5.2."""
    name, _, mirrored = name.partition('+')
    corners = dict(top_left=(0, 0), top_right=(0, 4), bottom_left=(4, 0), bottom_right=(4, 4))
    if name in corners:
        view = slow_crop(image, 44, *corners[name])
    elif name in ('rotate45', 'rotate315'):
        matrix = cv2.getRotationMatrix2D((48 / 2, 48 / 2), 45 if name == 'rotate45' else -45, 1)
        view = slow_crop(cv2.warpAffine(image, matrix, (48, 48)), 42, 3, 3)
    elif name == 'enlarge':
        large = cv2.resize(image, None, fx=1.2, fy=1.2, interpolation=cv2.INTER_CUBIC)
        assert large.shape == (58, 58)
        view = slow_crop(large, 42, 8, 8)
    elif name == 'reduce':
        view = cv2.resize(image, (42, 42), interpolation=cv2.INTER_CUBIC)
    elif name in ('left', 'right'):
        view = slow_crop(image, 42, 3, 3 + (-3 if name == 'left' else 3))
    return slow_mirror(view) if mirrored else view


def centre_view(image, size, name):
    margin = (48 - size) // 2
    view = slow_crop(image, size, margin, margin)
    return slow_mirror(view) if name.endswith('+mirror') else view


@pytest.mark.parametrize('number, size, n', [(3, 44, 10), (4, 42, 14)])
def test_views_of_sets_3_and_4_equal_independent_ones(tmp_path, number, size, n):
    source = originals(np.full((3, 7), 1))
    data = built(tmp_path, source, number)
    assert len(data.transforms) == n
    for subset in (data.training, data.special_test):
        assert subset.transforms == data.transforms
        for row in range(0, len(subset), 3):
            image = source.images[subset.source[row]]
            name = subset.transforms[subset.view[row]]
            expected = centre_view(image, size, name) if name.startswith('centre') else thesis_view(image, name)
            np.testing.assert_array_equal(subset.images([row])[0], expected, name)


def test_set_2_is_the_image_and_its_mirror(tmp_path):
    source = originals()
    data = built(tmp_path, source, 2)
    assert data.transforms == ('identity', 'mirror')
    for row, image in enumerate(data.training.images()):
        original = source.images[data.training.source[row]]
        expected = original if row % 2 == 0 else slow_mirror(original)
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize('number', [1, 2, 3, 4])
def test_test_images_are_in_the_first_view_and_in_the_order_of_the_source(tmp_path, number):
    source = originals()
    data = built(tmp_path, source, number)
    rows = np.flatnonzero(source.usage > 0)
    np.testing.assert_array_equal(data.test.source, rows)
    np.testing.assert_array_equal(data.test.y, source.labels[rows])
    np.testing.assert_array_equal(data.test.usage, source.usage[rows])
    cut = (48 - data.shape[0]) // 2
    np.testing.assert_array_equal(
        data.test.images(), source.images[rows, cut : cut + data.shape[0], cut : cut + data.shape[1]]
    )


def test_all_views_of_an_image_are_in_consecutive_rows(tmp_path):
    data = built(tmp_path, originals(), 4)
    np.testing.assert_array_equal(data.special_test.view.reshape(-1, 14)[3], np.arange(14))
    np.testing.assert_array_equal(data.special_test.source[::14], data.test.source)
    assert (np.diff(data.special_test.source.reshape(-1, 14)) == 0).all()
    assert built(tmp_path, originals(), 1).special_test is None
