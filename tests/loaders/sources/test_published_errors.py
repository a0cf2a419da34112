"""Layouts that almost match a published data set: each raises one error that says what was found and how to fix it."""

import shutil

import cv2
import numpy as np
import published_data as sets
import pytest

from loaders import DataError, read


def removed(name):
    def change(folder):
        (path,) = folder.rglob(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def appended(name, line):
    def change(folder):
        (path,) = folder.rglob(name)
        path.write_text(path.read_text() + line + '\n')

    return change


def replaced(name, old, new):
    def change(folder):
        (path,) = folder.rglob(name)
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def written(name, data):
    def change(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    return change


PICTURE = cv2.imencode('.png', np.full((9, 9), 7, np.uint8))[1].tobytes()

SEVEN = 'train_set/annotations/7_exp.npy'

# writer, change, message
SKIPPED = (  # --skip-bad reads the rest
    (sets.rafdb, removed('train_00003_aligned.jpg'), 'labels for 1 missing images, the first train_'),
    (sets.rafdb, appended('list_patition_label.txt', 'train_00001.jpg 8'), "line 22: .* 1 to 7 .* found '.* 8'"),
    (sets.rafdb, appended('list_patition_label.txt', 'train_00001.jpg'), 'line 22: expected an image and a label'),
    (sets.rafdb, appended('list_patition_label.txt', 'other_00001.jpg 3'), 'line 22: expected an image and a'),
    (sets.rafdb_folders, written('DATASET/train/8/train_09999_aligned.jpg', PICTURE), 'as train.test/<1 to 7>'),
    (
        sets.affectnet_tables,
        removed('training0004.jpg'),
        'training.csv has labels for 1 missing images.* 1/training0004',
    ),
    (sets.affectnet_tables, appended('training.csv', '1/training0001.jpg,1,1,9,9,1;2,11,0,0'), "0 to 10, .* '11'"),
    (sets.affectnet_tables, appended('training.csv', '1/training0001.jpg,1,1,9'), 'line 21: expected 9 fields'),
    (sets.affectnet_tables, replaced('training.csv', '4,3,16,20', '40,3,16,20'), r'from \(40, 3\) to \(56, 23\)'),
    (sets.affectnet_files, written('val_set/images/99.jpg', PICTURE), '1 images have no annotation, the first'),
    (sets.affectnet_files, written('val_set/annotations/99_exp.npy', sets.npy(np.array('3'))), 'images/99'),
    (sets.affectnet_files, written(SEVEN, b'\x93NUMPY'), 'a NumPy file of one number'),
    (sets.affectnet_files, written(SEVEN, sets.npy(np.arange(3))), 'one number'),
    (sets.affectnet_files, written(SEVEN, sets.npy(np.array('11'))), "'11'"),
    (
        sets.affectnet_files,
        written(SEVEN, sets.npy(np.array('3'))[:-1]),
        'one number from 0 to 10, found something else',
    ),
    (sets.affectnet_files, written(SEVEN, sets.npy(np.array('3'))[:-4] + b'\xff' * 4), 'found something else'),
    (sets.affectnet_files, written(SEVEN, sets.npy(np.array('3')).replace(b'<U1', b'<f3')), 'found something else'),
    (
        sets.affectnet_files,
        written(SEVEN, sets.npy(np.array({}), allow_pickle=True)),
        'one number from 0 to 10, found something else',
    ),
    (sets.ckplus, removed('S005_002_00000004.png'), 'labels for 1 missing images.* S005/002/S005_002_00000004'),
    (sets.ckplus, written('Emotion/S005/002/S005_002_00000004_emotion.txt', '8.0'), "0 to 7, found '8.0'"),
    (sets.ckplus, written('Emotion/S005/002/S005_002_00000004_emotion.txt', ''), "0 to 7, found ''"),
    (sets.ck48, written('CK+48/bored/S010_001_00000001.png', PICTURE), 'expected CK.48 as <class>/S010'),
    (sets.jaffe, written('jaffe/KA.XX1.1.tiff', PICTURE), 'expected a name such as KA.AN1.39.tiff'),
    (sets.kdef, written('KDEF/AF01/AF01XXS.JPG', PICTURE), 'expected a name such as AF01ANS.JPG'),
    (sets.expw, appended('label.lst', 'photo 0.jpg 0 1 1 9 9 4.5 7'), "line 72: .* 0 to 6, found 'photo 0.jpg 0"),
    (sets.expw, appended('label.lst', 'photo 0.jpg 0 1 1 9 9'), 'line 72: expected image, number, top, left'),
    (sets.expw, appended('label.lst', 'photo 0.jpg 0 1 1 9 x 4.5 6'), 'line 72: expected image, number, top'),
    (sets.expw, appended('label.lst', 'photo 0.jpg 0 9 1 9 9 4.5 6'), r'the box from \(1, 9\) to \(9, 9\) contains'),
    (sets.expw, removed('photo 3.jpg'), 'labels for 2 missing images, the first photo 3.jpg'),
    (sets.sfew, written('Train/Bored/Airheads_000519240_00000001.png', PICTURE), 'expected SFEW as Train.Val/'),
    (sets.ferplus, appended('FER2013Test/label.csv', 'a.png,"(0, 0, 48, 48)",1,2'), 'expected image, box and 10'),
    (sets.ferplus, removed('fer0000012.png'), 'label.csv has labels for 1 missing images.* fer0000012.png'),
)
REFUSED = (
    (sets.rafdb, removed('EmoLabel'), "RAF-DB's images without their labels; expected EmoLabel/list_pat"),
    (sets.rafdb, removed('Image'), 'labels for 21 missing images.* unpack all parts'),
    (sets.rafdb, written('b/list_patition_label.txt', 'x'), 'expected one file list_patition.*, found 2: '),
    (sets.rafdb_folders, removed('test'), 'RAF-DB has no labelled test images: expected'),
    (sets.affectnet_tables, removed('validation.csv'), 'expected one file validation.csv, found 0'),
    (sets.affectnet_tables, appended('training.csv', '1/a"b,"c'), 'training.csv: line 21: '),
    (sets.affectnet_tables, replaced('training.csv', 'face_x', 'face'), 'line 1: no column face_x'),
    (sets.affectnet_files, removed('val_set'), 'AffectNet without val_set/annotations'),
    (sets.ckplus, removed('Emotion'), "CK.'s images without their labels; expected Emotion/S005/001"),
    (sets.ckplus, written('Emotion/S005/002/S005_002_00000004_emotion.txt', b'\xff\xfe'), 'line 1: not text'),
    (sets.sfew, removed('Val'), 'SFEW has no labelled test images: expected'),
    (sets.ferplus, removed('FER2013Valid'), 'FER. without fer2013valid/label.csv; expected FER2013Train'),
)


def refused(folder, message):
    """Assert that a folder is refused by an error of one line that names the folder."""
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert '\n' not in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize('write, change, message', SKIPPED, ids=range(len(SKIPPED)))
def test_what_is_wrong_is_said_and_can_be_left_out(tmp_path, write, change, message):
    write(tmp_path)
    before = read(tmp_path)
    change(tmp_path)
    refused(tmp_path, message)
    found = read(tmp_path, skip_bad=True)
    assert len(before) - 3 < len(found) <= len(before)
    assert any(line.startswith('left out: ') for line in found.notes)


@pytest.mark.parametrize('write, change, message', REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_read_without_a_part(tmp_path, write, change, message):
    write(tmp_path)
    change(tmp_path)
    refused(tmp_path, message)
    with pytest.raises(DataError):
        read(tmp_path, skip_bad=True)


@pytest.mark.parametrize(
    'options, message',
    (
        (dict(contempt=True), 'JAFFE has no image of contempt here'),
        (dict(classes=('a', 'b')), "JAFFE's classes are mapped to angry"),
        (dict(angles='frontal'), 'angles, --angles are for KDEF, not for JAFFE'),
        (dict(angles='front'), "angles must be one of all, frontal, got 'front'"),
        (dict(votes='fer2013new.csv'), "votes belong to the rows of the challenge's table, not to: JAFFE"),
        (dict(test=200), 'expected a number of images from 0 to 34'),
    ),
)
def test_options_that_do_not_go_with_the_set(tmp_path, options, message):
    sets.jaffe(tmp_path)
    with pytest.raises(DataError, match=message):
        read(tmp_path, **options)


def test_options_that_do_not_go_with_a_table(tmp_path, data):
    from loaders_data import write_table
    from sources_data import own_images

    table = write_table(tmp_path / 'fer2013.csv', data)
    with pytest.raises(DataError, match='crop, --faces are for folders and zip archives of image files'):
        read(table, crop=lambda picture: None)
    with pytest.raises(DataError, match='angles, --angles are for folders and zip archives of image files'):
        read(table, angles='frontal')
    with pytest.raises(DataError, match='contempt=True and --contempt are for FER. and published sets, not for: table'):
        read(table, contempt=True)
    own_images(tmp_path / 'own')
    with pytest.raises(DataError, match="angles, --angles are for KDEF; its images are not named as KDEF's"):
        read(tmp_path / 'own', angles='frontal')


def test_one_person_alone_cannot_be_split(tmp_path):
    sets.jaffe(tmp_path, people=('KA',))
    with pytest.raises(DataError, match='cannot hold out whole people: the images show 1, expected 2 or more'):
        read(tmp_path)
