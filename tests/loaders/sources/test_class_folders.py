"""Class folders and their names."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from loaders_data import ROOT, originals, write_folders, write_table
from sources_data import own_images

from loaders import DataError, build, read


def packed_or_not(folder, packed):
    """Return the folder itself, or a zip archive of it with entries for its folders."""
    return shutil.make_archive(str(folder), 'zip', folder) if packed else folder


@pytest.mark.parametrize('packed', [False, True])
def test_hidden_folders_are_no_classes(tmp_path, packed):
    folder, images = own_images(tmp_path / 'own')
    for name in ('.ipynb_checkpoints', '__MACOSX', '__pycache__', 'calm/.ipynb_checkpoints', '.git/objects'):
        (folder / name).mkdir(parents=True)
        cv2.imwrite(str(folder / name / 'a.png'), images['calm', 0])
    (folder / '.ipynb_checkpoints' / 'train.csv').write_text('emotion,pixels')
    found = read(packed_or_not(folder, packed))
    assert found.classes == ('calm', 'tense') and len(found) == 20
    assert not [note for note in found.notes if 'not read' in note]


@pytest.mark.parametrize('suffix', ['.webp', '.tif', '.TIFF', '.gif', '.jfif', '.ppm', '.JPE', '.dib'])
def test_own_images_of_every_kind_that_opencv_decodes_are_read(tmp_path, suffix):
    folder, _ = own_images(tmp_path / 'own')
    image = np.full((20, 30, 3), 255, np.uint8)
    data = cv2.imencode('.jpg' if suffix == '.jfif' else suffix.lower(), image)[1]
    (folder / 'calm' / f'03a{suffix}').write_bytes(data)
    found = read(folder)
    assert len(found) == 21 and not (found.images[4] < 250).any()


@pytest.mark.parametrize('packed', [False, True])
def test_files_that_are_not_read_are_counted_and_named(tmp_path, packed):
    folder, _ = own_images(tmp_path / 'own')
    for name in (
        'calm/a.heic',
        'calm/b.HEIC',
        'tense/c.heic',
        'tense/d.avif',
        'notes',
        'calm/e.\x1b[2J',
        'calm/.DS_Store',
    ):
        (folder / name).write_bytes(b'x')
    lines = []
    build(packed_or_not(folder, packed), out=tmp_path / 'sets', info=lines.append)
    (note,) = (line for line in lines if 'not read' in line)
    assert note.startswith('6 files were not read: 3 .heic, ')
    assert '1 .avif' in note and '1 without an ending' in note and r'1 .\x1b[2j' in note and 'DS_Store' not in note


def test_a_folder_of_other_images_only_names_them(tmp_path):
    (tmp_path / 'calm').mkdir()
    (tmp_path / 'calm' / 'a.heic').write_bytes(b'x')
    with pytest.raises(DataError, match='no images; 1 files were not read: 1 .heic; images are read from JPEG'):
        read(tmp_path)
    own_images(tmp_path, classes=('tense',))
    with pytest.raises(DataError, match='class calm has no training image; 1 files were not read: 1 .heic'):
        read(tmp_path)


def test_one_class_is_nothing_to_learn(tmp_path):
    folder, _ = own_images(tmp_path / 'own', classes=('calm',))
    with pytest.raises(DataError, match=f'^{folder}: only one class, calm: every prediction would be correct'):
        build(folder, out=tmp_path / 'sets', info=lambda line: None)
    assert not (tmp_path / 'sets').exists()
    assert len(read(folder)) == 10  # may be looked at all the same


@pytest.mark.parametrize('names', [('train', 'test'), ('train',), ('Training', 'val')])
def test_folders_train_and_test_are_no_classes(tmp_path, names):
    folder, _ = own_images(tmp_path / 'own', classes=names)
    with pytest.raises(DataError, match='^[^;]*own: images are directly in .*train.*, not in class folders'):
        read(folder)


def test_a_folder_beside_train_and_test_is_not_mixed_with_them(tmp_path):
    for name in ('train', 'test', 'more'):
        own_images(tmp_path / name, 2)
    with pytest.raises(
        DataError, match='some classes are in test, others, such as more/calm, in no folder train or test'
    ):
        read(tmp_path)


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('name', ['ca\nlm', 'ca\x1b[2Jlm', 'ca\x7flm', 'ca\u202elm', ' ', 'ca\tlm'])
def test_class_names_that_cannot_be_printed_are_refused(tmp_path, name, packed):
    folder, _ = own_images(tmp_path / 'own', classes=(name, 'tense'))
    with pytest.raises(DataError, match='class folder or name .* is blank or has') as error:
        read(packed_or_not(folder, packed))
    assert str(error.value).isprintable() and ascii(name) in str(error.value)


@pytest.mark.parametrize('name', ['', 'a\nb'])
def test_given_class_names_that_cannot_be_printed_are_refused(tmp_path, data, name):
    table = write_table(tmp_path / 'fer2013.csv', data)
    with pytest.raises(DataError, match='class folder or name .* is blank or has'):
        read(table, classes=(name, 'b', 'c', 'd', 'e', 'f', 'g'))


def test_escapes_in_file_names_are_not_printed_raw(tmp_path):
    folder, _ = own_images(tmp_path / 'own')
    (folder / 'calm' / '03\x1b[2J.png').write_bytes(b'x')
    options = dict(cwd=ROOT, text=True, capture_output=True, timeout=60)
    command = [sys.executable, '-m', 'loaders', folder, '-o', tmp_path / 'sets']
    done = subprocess.run(command, **options)
    assert done.returncode == 2 and r'\x1b[2J.png' in done.stderr and '\x1b' not in done.stderr
    done = subprocess.run([*command, '--skip-bad'], **options)
    assert done.returncode == 0 and r'\x1b[2J.png' in done.stdout and '\x1b' not in done.stdout


@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('name', ['train', 'training'])
def test_train_without_test_holds_test_images_out_when_asked(tmp_path, name, packed):
    own_images(tmp_path / 'own' / name)
    source = packed_or_not(tmp_path / 'own', packed)
    with pytest.raises(DataError, match='no test images; give the fraction .*--test 0.2'):
        read(source)
    np.testing.assert_array_equal(read(source, test=0.2).counts, [[8, 8], [0, 0], [2, 2]])


@pytest.mark.parametrize('test', [None, 0.2])
@pytest.mark.parametrize('name', ['test', 'val'])
def test_test_without_train_says_what_is_missing(tmp_path, name, test):
    own_images(tmp_path / name)
    with pytest.raises(DataError, match='no training images, only test images; expected training images as well'):
        read(tmp_path, test=test)


def test_folder_edition_without_test_holds_test_images_out_when_asked(tmp_path):
    images = originals(np.array([[5] * 7, [0] * 7, [0] * 7]))
    found = read(write_folders(tmp_path, images), test=0.2)
    np.testing.assert_array_equal(found.counts, [[4] * 7, [0] * 7, [1] * 7])


def test_images_outside_class_folders(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match='image a.png is not in a class folder'):
        read(tmp_path)


def test_images_at_different_depths(tmp_path):
    own_images(tmp_path, 1)
    own_images(tmp_path / 'train', 1)
    with pytest.raises(DataError, match='images lie at different depths'):
        read(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match='found 0 tables and no images'):
        read(tmp_path)
    with pytest.raises(DataError, match='nowhere.csv: No such file or directory'):
        read(tmp_path / 'nowhere.csv')
