"""Images in class folders: the folder edition of FER2013, and custom ones."""

import shutil

import cv2
import numpy as np
import pytest
from loaders_data import same, write_folders
from sources_data import own_images, zip_folder

from loaders import DataError, build, load, read


@pytest.mark.parametrize('packed', [False, True], ids=['folder', 'zip'])
def test_folder_edition(tmp_path, data, packed):
    source = write_folders(tmp_path / 'fer', data)
    if packed:
        source = zip_folder(tmp_path / 'fer.zip', source)
    found = read(source)
    assert same(found, data)
    assert found.layout.startswith('folder edition of FER2013')


def test_folder_edition_below_another_folder(tmp_path, data):
    write_folders(tmp_path / 'fer' / 'images', data)
    assert same(read(tmp_path / 'fer'), data)


def test_labels_of_the_folder_edition_are_not_alphabetical(tmp_path, data):
    found = read(write_folders(tmp_path, data))
    assert found.classes[4:] == ('sad', 'surprise', 'neutral')


def test_folder_edition_with_an_empty_class(tmp_path, data):
    write_folders(tmp_path, data)
    shutil.rmtree(tmp_path / 'train' / 'fear')
    (tmp_path / 'train' / 'fear').mkdir()
    with pytest.raises(DataError, match='class fear has no training image'):
        read(tmp_path)


def test_own_images_are_made_grey_and_split_by_seed_and_class(tmp_path):
    folder, images = own_images(tmp_path / 'own')
    found = read(folder, seed=3)
    assert found.classes == ('calm', 'tense')
    assert found.images.shape == (20, 20, 30)
    np.testing.assert_array_equal(found.counts, [[8, 8], [0, 0], [2, 2]])
    grey = cv2.cvtColor(images['tense', 4], cv2.COLOR_BGR2GRAY).astype(int)
    assert abs(found.images[14].astype(int) - grey).max() <= 1  # rounding of the decoder
    np.testing.assert_array_equal(found.usage, read(folder, seed=3).usage)
    assert (found.usage != read(folder, seed=4).usage).any()
    assert read(folder, test=6).counts[2].tolist() == [3, 3]


def test_own_images_of_several_sizes_are_resized_and_it_is_said(tmp_path):
    folder, _ = own_images(tmp_path / 'own')
    cv2.imwrite(str(folder / 'tense' / '03.png'), np.full((40, 60), 9, np.uint8))
    found = read(folder)
    assert (found.images[13] == 9).all()
    assert '1 images resized to 20x30' in found.notes
    assert read(folder, size=(24, 24)).images.shape[1:] == (24, 24)


def test_own_images_with_classes_in_an_order_of_ones_own(tmp_path):
    folder, _ = own_images(tmp_path / 'own')
    found, other = read(folder, classes=('tense', 'calm')), read(folder)
    assert found.classes == ('tense', 'calm')
    np.testing.assert_array_equal(found.images[found.labels == 0], other.images[other.labels == 1])
    with pytest.raises(DataError, match='expected the class folders tense, sleepy, found calm, '):
        read(folder, classes=('tense', 'sleepy'))


def test_own_images_with_train_and_test(tmp_path):
    own_images(tmp_path / 'train', 3)
    own_images(tmp_path / 'test', 2)
    np.testing.assert_array_equal(read(tmp_path).counts, [[3, 3], [0, 0], [2, 2]])
    with pytest.raises(DataError, match='already has test images; leave out test=0'):
        read(tmp_path, test=0.5)


def test_own_set_is_built_and_named(tmp_path):
    folder, _ = own_images(tmp_path / 'own', size=(96, 96))
    (path,) = build(folder, sets=(3,), out=tmp_path, prefix='own-', info=lambda line: None)
    assert path.endswith('own-set3.h5')
    with load(path) as data:
        assert data.shape == (88, 88) and not data.is_fer2013
        assert data.classes == ('calm', 'tense')
