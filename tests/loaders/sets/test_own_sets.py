"""Custom sets."""

import numpy as np
import pytest
from loaders_data import originals
from sets_data import built, quiet

from loaders import DataError, Recipe, build, transform, views
from loaders.sets import transforms


def test_a_set_of_ones_own(tmp_path):
    @transform
    def darker(images, size):
        return images // 2

    five = Recipe('set 5', size=(40, 42), views=('centre', 'darker+centre+mirror'), held_out=0.5)
    try:
        source = originals()
        data = built(tmp_path, source, five)
        assert (data.name, data.number, data.shape) == ('set 5', None, (40, 42))
        assert data.path.endswith('set5.h5')
        image = source.images[data.training.source[0]]
        np.testing.assert_array_equal(data.training.images([0])[0], image[4:44, 3:45])
        np.testing.assert_array_equal(data.training.images([1])[0], image[4:44, 3:45][:, ::-1] // 2)
        assert len(data.validation) == 14
    finally:
        del transforms.TRANSFORMS['darker']


def test_the_example_of_the_documentation():
    import doctest

    try:
        assert doctest.testmod(transforms) == (0, 5)
    finally:
        transforms.TRANSFORMS.pop('darker', None)


@pytest.mark.parametrize(
    'names, size, message',
    [
        (('turn',), (48, 48), "unknown transform 'turn'; known are bottom_left, "),
        (('identity',), (44, 44), r"view 'identity' gives uint8 images of \(48, 48\), expected"),
        (('centre',), (50, 48), 'cannot cut 50x48 out of 48x48 images'),
    ],
)
def test_views_that_cannot_be_made(tmp_path, names, size, message):
    with pytest.raises(DataError, match=message):
        build(originals(), (Recipe('own', names, size),), tmp_path, info=quiet)
    assert not list(tmp_path.iterdir())


def test_unknown_set(tmp_path):
    with pytest.raises(DataError, match='a set must be 1, 2, 3, 4 or a Recipe, got 5'):
        build(originals(), (5,), tmp_path, info=quiet)


def test_views_keep_images_that_are_not_square():
    images = originals(np.full((3, 7), 1), size=(48, 60)).images
    names = ('centre', 'left', 'right', 'rotate45', 'rotate315', 'enlarge', 'reduce', 'top_left')
    assert views(images, names, (42, 52)).shape == (21, 8, 42, 52)
