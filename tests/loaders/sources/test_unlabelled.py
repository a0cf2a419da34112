"""Images without classes, from a folder or a zip archive."""

import cv2
import numpy as np
import pytest
from sources_data import zip_folder

from loaders import DataError, read_unlabelled


@pytest.fixture
def folder(tmp_path, rng):
    """Make a folder of four images at several depths, one in colour and one of another size, and other files."""
    path = tmp_path / 'faces'
    (path / 'b' / 'c').mkdir(parents=True)
    images = rng.integers(0, 256, (3, 8, 6), dtype=np.uint8)
    for name, image in zip(('b/c/1.png', 'a.png', 'b/2.bmp'), images):
        cv2.imwrite(str(path / name), image)
    cv2.imwrite(str(path / 'z.png'), np.full((16, 12, 3), 77, np.uint8))
    (path / 'notes.txt').write_text('none')
    (path / '.hidden.png').write_text('none')
    return path, images


@pytest.mark.parametrize('packed', [False, True], ids=['folder', 'zip'])
def test_all_images_below_in_the_order_of_their_names_at_one_size(tmp_path, folder, packed):
    path, images = folder
    found = read_unlabelled(zip_folder(tmp_path / 'faces.zip', path) if packed else path, (8, 6))
    assert found.dtype == np.uint8 and found.shape == (4, 8, 6)
    np.testing.assert_array_equal(found[:3], images[[1, 2, 0]])
    assert (found[3] == 77).all()


def test_what_is_wrong_is_named(tmp_path, folder):
    path, _ = folder
    with pytest.raises(DataError, match='nowhere: no such folder or file'):
        read_unlabelled(tmp_path / 'nowhere', (8, 6))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='empty: contains no image; images are read from JPEG, PNG'):
        read_unlabelled(tmp_path / 'empty', (8, 6))
    with pytest.raises(DataError, match='damaged zip archive'):
        read_unlabelled(path / 'notes.txt', (8, 6))
    with pytest.raises(DataError, match='4 images of 100000x100000 would take over 8 GiB'):
        read_unlabelled(path, (100_000, 100_000))
    (path / 'broken.png').write_bytes(b'no picture')
    with pytest.raises(DataError, match='faces: broken.png: not a'):
        read_unlabelled(path, (8, 6))
