"""Faces cropped from pictures by a given function, and by symfer's own detector."""

import os

import cv2
import matplotlib.cbook
import numpy as np
import published_data as sets
import pytest
from sources_data import own_images

from loaders import DataError, build, load, read
from utils.cli import main
from utils.cli.data import face_crop

MODEL = os.environ.get('SYMFER_FACE_MODEL')


def brightest(picture):
    """Return the bright part of a picture in grey; None if the picture is dark."""
    assert picture.dtype == np.uint8 and picture.ndim == 3
    rows, columns = np.nonzero(picture.max(axis=2) > 8)
    if not len(rows):
        return None
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 0]


def test_pictures_without_a_face_are_left_out_and_counted(tmp_path):
    written = sets.jaffe(tmp_path)
    sets.write_picture(tmp_path / 'jaffe' / 'KA.AN1.99.tiff', 0)
    found = read(tmp_path, crop=brightest)
    sets.check(found, written)
    assert '1 images without a face left out' in found.notes
    assert len(read(tmp_path)) == len(written) + 1


def test_the_crop_gets_a_box_with_what_is_around_it(tmp_path):
    written = sets.affectnet_tables(tmp_path)
    shapes = []

    def crop(picture):
        shapes.append(picture.shape)
        return brightest(picture)

    sets.check(read(tmp_path, crop=crop, contempt=True, size=(10, 8)), written, (10, 8))
    # faces of 16 wide and 20 high, and a quarter on each side as far as the picture goes
    assert all(24 < h <= 30 and 22 < w <= 24 for h, w, _ in shapes)


def test_folders_of_ones_own(tmp_path):
    own_images(tmp_path / 'own')
    sets.write_picture(tmp_path / 'own' / 'calm' / 'dark.png', 0)
    found = read(tmp_path / 'own', crop=brightest, size=(12, 12))
    assert len(found) == 20 and found.images.shape == (20, 12, 12)
    assert '1 images without a face left out' in found.notes
    assert len(read(tmp_path / 'own')) == 21


@pytest.mark.parametrize(
    'crop, message',
    (
        (lambda picture: picture, r'crop must return None or a uint8 array \(height, width\), got uint8 \(64, 64, 3\)'),
        (lambda picture: 7, r'crop must return None or a uint8 array \(height, width\), got int'),
        (lambda picture: picture[:0, :, 0], r'got uint8 \(0, 64\)'),
        (lambda picture: None, 'no image could be read; 35 show no face'),
    ),
)
def test_a_crop_that_gives_something_else(tmp_path, crop, message):
    sets.jaffe(tmp_path)
    with pytest.raises(DataError, match=message):
        read(tmp_path, crop=crop)


def test_no_detector_is_one_error(tmp_path, monkeypatch, capfd):
    sets.jaffe(tmp_path)
    monkeypatch.delenv('SYMFER_FACE_MODEL', raising=False)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert main(['data', str(tmp_path), '--faces', '-o', str(tmp_path)]) == 2
    error = capfd.readouterr().err
    assert '--faces needs the face detector' in error and '[faces]' in error and 'Traceback' not in error
    assert not list(tmp_path.glob('*.h5'))


@pytest.mark.skipif(not MODEL, reason='no file of the face detector in SYMFER_FACE_MODEL')
def test_faces_are_cut_as_those_of_fer2013(tmp_path):
    hopper = cv2.imread(str(matplotlib.cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)))
    face = face_crop((48, 48))(hopper)
    assert face.shape == (48, 48) and face.dtype == np.uint8
    assert face_crop((48, 48))(np.full((300, 300, 3), 90, np.uint8)) is None
    for k, name in enumerate(('AN', 'DI', 'FE', 'HA', 'SA', 'SU', 'NE')):
        for person in ('KA', 'KL', 'KM'):
            picture = np.clip(hopper.astype(int) + 3 * k, 0, 255).astype(np.uint8)
            path = tmp_path / 'jaffe' / f'{person}.{name}1.{k}.tiff'
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), picture)
    cv2.imwrite(str(path.with_name('KA.NE2.99.tiff')), np.full((300, 300, 3), 90, np.uint8))
    status = main(['data', str(tmp_path / 'jaffe'), '--faces', '--sets', '1', '-o', str(tmp_path)])
    assert status == 0
    with load(tmp_path / 'set1.h5') as data:
        assert data.shape == (48, 48) and len(data.training) + len(data.test) == 21
        difference = np.abs(data.training.images().astype(int) - face).mean(axis=(1, 2))
        assert (difference <= 24).all()


def test_the_command_names_the_set_and_its_split(tmp_path, capsys):
    sets.kdef(tmp_path / 'kdef', angles=('S', 'S', 'FL'))
    command = [
        'data',
        str(tmp_path / 'kdef'),
        '--angles',
        'frontal',
        '--sets',
        '1',
        '--size',
        '20x20',
        '-o',
        str(tmp_path),
    ]
    assert main([*command, '--validation', '0.3']) == 0
    said = capsys.readouterr().out
    assert 'recognised: KDEF: ' in said and 'split by person: all ' in said and 'turned faces left out' in said
    assert 'FER2013 has' not in said
    with load(tmp_path / 'set1.h5') as data:
        assert data.shape == (20, 20) and data.people == ('F01', 'F02', 'M01')
    assert main(['data', 'audit', str(tmp_path / 'set1.h5'), '--exact']) == 0
    assert 'FER2013 has' not in capsys.readouterr().out


def test_contempt_from_the_command(tmp_path):
    sets.ckplus(tmp_path / 'ck')
    assert main(['data', str(tmp_path / 'ck'), '--contempt', '--sets', '1', '-o', str(tmp_path)]) == 0
    with load(tmp_path / 'set1.h5') as data:
        assert data.classes[-1] == 'contempt' and len(data.classes) == 8


def test_a_set_of_a_published_source_is_a_source(tmp_path):
    written, votes = sets.ferplus(tmp_path / 'ferplus')
    (path,) = build(tmp_path / 'ferplus', (2,), tmp_path, validation=3, info=lambda line: None)
    again = read(path)
    first = read(tmp_path / 'ferplus')
    np.testing.assert_array_equal(again.votes, first.votes)
    np.testing.assert_array_equal(again.images, first.images)
    assert again.layout == first.layout == 'FER+: folders with label.csv'
    with load(path) as data:
        levels = data.special_test.images()[:, 0, 0].tolist()
        np.testing.assert_array_equal(data.special_test.votes, [votes[level][:7] for level in levels])
