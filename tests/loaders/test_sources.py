"""Every layout in which FER2013 is found, own images, FER+, and archives that lie."""

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
from loaders_data import ROOT, originals, same, table_lines, write_folders, write_table

from loaders import DataError, build, load, read
from loaders.sources.pictures import declared_pixels, decode


@pytest.fixture
def data():
    return originals()


def zip_folder(path, folder):
    with zipfile.ZipFile(path, 'w') as archive:
        for file in sorted(folder.rglob('*')):
            archive.write(file, file.relative_to(folder))
    return path


def add_text(archive, name, text):
    info = tarfile.TarInfo(name)
    info.size = len(text)
    archive.addfile(info, io.BytesIO(text))


def tar_with(path, members, mode='w:gz'):
    with tarfile.open(path, mode) as archive:
        for name, text in members:
            add_text(archive, name, text)
    return path


def csv_bytes(data, **options):
    return ('\n'.join(table_lines(data, **options)) + '\n').encode()


def test_gzipped_table(tmp_path, data):
    path = tmp_path / 'fer2013.csv.gz'
    path.write_bytes(gzip.compress(csv_bytes(data)))
    found = read(path)
    assert same(found, data)
    assert found.layout == 'gzipped table fer2013.csv.gz'


@pytest.mark.parametrize('mode', ['w:gz', 'w'])
@pytest.mark.parametrize('name', ['fer2013/fer2013.csv', 'fer2013/fer2013', '../../fer2013.csv', '/etc/fer2013.csv'])
def test_tar_of_the_challenge_is_read_without_extracting(tmp_path, data, mode, name):
    path = tar_with(tmp_path / 'fer2013.tar.gz', [('fer2013/README', b'read me'), (name, csv_bytes(data))], mode)
    before = sorted(tmp_path.rglob('*'))
    found = read(path)
    assert same(found, data)
    assert 'tar archive' in found.layout
    assert sorted(tmp_path.rglob('*')) == before


def test_tar_links_are_not_followed(tmp_path):
    path = tmp_path / 'fer2013.tar.gz'
    with tarfile.open(path, 'w:gz') as archive:
        link = tarfile.TarInfo('fer2013/fer2013.csv')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
        archive.addfile(link)
    with pytest.raises(DataError, match=r'no table \(.csv\) in the archive'):
        read(path)


@pytest.mark.parametrize('inner', ['fer2013.csv', 'icml_face_data.csv', 'fer2013.tar.gz'])
def test_zip_of_the_challenge(tmp_path, data, inner):
    if inner == 'icml_face_data.csv':
        content = csv_bytes(data, columns=('emotion', ' Usage', ' pixels'))
    else:
        content = csv_bytes(data)
    if inner == 'fer2013.tar.gz':
        content = tar_with(tmp_path / inner, [('fer2013/fer2013.csv', content)]).read_bytes()
    path = tmp_path / 'challenge.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('example_submission.csv', 'emotion\n0\n')
        archive.writestr('train.csv', 'emotion,pixels\n0,1 2 3\n')
        archive.writestr('../../' + inner, content)
    found = read(path)
    assert same(found, data)
    assert inner in found.layout


def train_only(data):
    keep = data.usage == 0
    return type(data)(data.images[keep], data.labels[keep], data.usage[keep], data.ids[keep])


def test_train_and_unlabelled_test_say_what_cannot_be_done(tmp_path, data):
    write_table(tmp_path / 'train.csv', train_only(data), ('emotion', 'pixels'))
    (tmp_path / 'test.csv').write_text('pixels\n' + ' '.join(['7'] * 2304) + '\n')
    with pytest.raises(
        DataError,
        match='no test images; give the part .* --test 0.2.*test.csv: '
        'no column emotion: images without labels can neither',
    ):
        read(tmp_path)
    found = read(tmp_path, test=0.5)
    assert found.counts[2].sum() == 7 and (found.counts[2] == 1).all()
    assert any('without labels' in note for note in found.notes)


def test_train_val_and_test_tables_are_the_three_usages(tmp_path, data):
    for name, usage in (('train', 0), ('val', 1), ('test', 2)):
        keep = data.usage == usage
        part = type(data)(data.images[keep], data.labels[keep], data.usage[keep], data.ids[keep])
        write_table(tmp_path / f'{name}.csv', part, ('emotion', 'pixels'))
    assert same(read(tmp_path), data)


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


def own_images(folder, n=10, classes=('calm', 'tense'), size=(20, 30)):
    """Colour images of one's own, n a class; (folder, images by name)."""
    rng = np.random.default_rng(1)
    images = {}
    for name in classes:
        (folder / name).mkdir(parents=True)
        for k in range(n):
            images[name, k] = rng.integers(0, 256, (*size, 3), np.uint8)
            cv2.imwrite(str(folder / name / f'{k:02d}.png'), images[name, k])
    return folder, images


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
    with pytest.raises(DataError, match='has test images of its own'):
        read(tmp_path, test=0.5)


def test_own_set_is_built_and_named(tmp_path):
    folder, _ = own_images(tmp_path / 'own', size=(96, 96))
    (path,) = build(folder, sets=(3,), out=tmp_path, prefix='own-', log=lambda line: None)
    assert path.endswith('own-set3.h5')
    with load(path) as data:
        assert data.shape == (88, 88) and not data.is_fer2013
        assert data.classes == ('calm', 'tense')


@pytest.mark.parametrize('content', [b'', b'not an image', None])
def test_image_that_cannot_be_decoded_is_named(tmp_path, content):
    folder, _ = own_images(tmp_path / 'own')
    bad = folder / 'calm' / '05.png'
    bad.write_bytes(bad.read_bytes()[:60] if content is None else content)
    with pytest.raises(DataError, match='own: calm/05.png: not a JPEG, PNG, BMP, GIF, WebP, TIFF or PNM image'):
        read(folder)
    found = read(folder, skip_bad=True)
    assert len(found) == 19 and 5 not in found.ids
    assert [note for note in found.notes if 'calm/05.png' in note]


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.pgm', '.pbm', '.ppm', '.tif', '.webp', '.gif'])
def test_number_of_pixels_is_known_before_decoding(suffix, monkeypatch):
    image = np.full((20, 30), {'.pbm': 255, '.gif': 0}.get(suffix, 77), np.uint8)  # what these can keep
    colour = suffix in ('.ppm', '.gif')
    data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if colour else image)[1].tobytes()
    assert declared_pixels(data) == 600
    np.testing.assert_array_equal(decode(data, 'a'), image)
    monkeypatch.setattr('loaders.sources.pictures.MAX_PIXELS', 599)
    with pytest.raises(DataError, match='^a: an image of 600 pixels, at most 599 are read'):
        decode(data, 'a')


def header_of_tiff(order='<', big=False, **tags):
    """The beginning of a TIFF file with these tags, each (number, type, value)."""
    entries = sorted(tags.values())
    data = (b'II' if order == '<' else b'MM') + struct.pack(
        order + ('HHHQ' if big else 'HI'), *((43, 8, 0, 16) if big else (42, 8))
    )
    data += struct.pack(order + ('Q' if big else 'H'), len(entries))
    for number, kind, value in entries:
        field = struct.pack(order + {3: 'H', 4: 'I', 16: 'Q'}[kind], value)
        data += struct.pack(order + ('HHQ' if big else 'HHI'), number, kind, 1) + field.ljust(8 if big else 4, b'\0')
    return data


@pytest.mark.parametrize(
    'data, n_pixels',
    [
        (b'RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0' + bytes(4) + b'\xff\xff\x03' + b'\xff\xff\x01', 1 << 35),
        (b'RIFF\0\0\0\0WEBPVP8 ' + bytes(7) + b'\x9d\x01\x2a' + struct.pack('<HH', 0x4000 | 3000, 4000), 12_000_000),
        (b'RIFF\0\0\0\0WEBPVP8L' + bytes(4) + b'\x2f' + struct.pack('<I', 2999 | 3999 << 14), 12_000_000),
        (header_of_tiff(width=(256, 3, 3000), height=(257, 4, 70000)), 210_000_000),
        (header_of_tiff('>', width=(256, 3, 3000), height=(257, 4, 70000)), 210_000_000),
        (header_of_tiff(big=True, width=(256, 16, 1 << 40), height=(257, 3, 1)), 1 << 40),
        (
            header_of_tiff(width=(256, 3, 3), height=(257, 3, 4), tile=(322, 4, 20000), tall=(323, 4, 20000)),
            400_000_000,
        ),
        (header_of_tiff(width=(256, 3, 3), height=(257, 3, 4), again=(256, 3, 5)), 20),  # which one counts?
        (b'GIF89a' + struct.pack('<HH', 60000, 50000), 3_000_000_000),
        (b'P5\n# # # # 1 1\n60000 # 1 1\r50000\n255\n', 3_000_000_000),
        (b'P5 ' + b'# ' * 5000 + b'x', 0),  # takes no time either
        (b'BM' + bytes(12) + struct.pack('<IHH', 12, 3000, 4000), 12_000_000),
        (b'\x89PNG\r\n\x1a\n', 0),
        (b'BM', 0),
        (b'GIF8', 0),
        (b'II*\0', 0),
        (b'MM', 0),
        (b'RIFF....WEBPVP8X', 0),
        (b'P5', 0),
        (b'', 0),
    ],
)
def test_number_of_pixels_of_hostile_headers(data, n_pixels):
    assert declared_pixels(data) == n_pixels


def test_a_header_read_in_two_ways_is_refused():
    large = cv2.imencode('.jpg', np.zeros((300, 400), np.uint8))[1].tobytes()
    small = cv2.imencode('.jpg', np.zeros((2, 3), np.uint8))[1].tobytes()
    jpeg = large[:2] + b'\xff\xd0' + len(large).to_bytes(2, 'big') + large[2:] + small[2:]
    pnm = b'P5 400#300\n1 255\n' + bytes(400 * 300)
    for data in (jpeg, pnm):
        assert declared_pixels(data) == 0
        with pytest.raises(DataError, match='not a JPEG'):
            decode(data, 'a')
    assert declared_pixels(b'P5\n# made by hand\n3 # wide\n2\n255\n' + bytes(6)) == 6


def test_other_kinds_of_images_are_not_decoded_whatever_their_name():
    data = cv2.imencode('.ras', np.zeros((20, 30), np.uint8))[1].tobytes()
    with pytest.raises(DataError, match='not a JPEG, PNG, BMP, GIF, WebP, TIFF or PNM image'):
        decode(data, 'a.jpg')


def test_tiff_of_floats_is_refused():
    data = cv2.imencode('.tif', np.zeros((20, 30), np.float32))[1].tobytes()
    with pytest.raises(DataError, match='^a: not a JPEG, .* image that can be decoded'):
        decode(data, 'a')


def packed_or_not(folder, packed):
    """The folder itself, or a zip archive of it with entries for its folders."""
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
    build(packed_or_not(folder, packed), out=tmp_path / 'sets', log=lines.append)
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
    with pytest.raises(DataError, match=f'^{folder}: one class only, calm: every answer would be right'):
        build(folder, out=tmp_path / 'sets', log=lambda line: None)
    assert not (tmp_path / 'sets').exists()
    assert len(read(folder)) == 10  # may be looked at all the same


@pytest.mark.parametrize('names', [('train', 'test'), ('train',), ('Training', 'val')])
def test_folders_train_and_test_are_no_classes(tmp_path, names):
    folder, _ = own_images(tmp_path / 'own', classes=names)
    with pytest.raises(DataError, match='^[^;]*own: images lie in .*train.* itself, in no class folder'):
        read(folder)


def test_a_folder_beside_train_and_test_is_not_mixed_with_them(tmp_path):
    for name in ('train', 'test', 'more'):
        own_images(tmp_path / name, 2)
    with pytest.raises(DataError, match='some classes lie in test, others, as more/calm, in no folder train or test'):
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
    with pytest.raises(DataError, match='no test images; give the part .*--test 0.2'):
        read(source)
    np.testing.assert_array_equal(read(source, test=0.2).counts, [[8, 8], [0, 0], [2, 2]])


@pytest.mark.parametrize('test', [None, 0.2])
@pytest.mark.parametrize('name', ['test', 'val'])
def test_test_without_train_says_what_is_missing(tmp_path, name, test):
    own_images(tmp_path / name)
    with pytest.raises(DataError, match='no training images, only images for testing; expected training images too'):
        read(tmp_path, test=test)


def test_folder_edition_without_test_holds_test_images_out_when_asked(tmp_path):
    images = originals(np.array([[5] * 7, [0] * 7, [0] * 7]))
    found = read(write_folders(tmp_path, images), test=0.2)
    np.testing.assert_array_equal(found.counts, [[4] * 7, [0] * 7, [1] * 7])


def test_images_outside_class_folders(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match='image a.png lies in no class folder'):
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


@pytest.mark.parametrize('keep', [0.3, 0.9, 0.999])
@pytest.mark.parametrize('kind', ['gz', 'tar.gz', 'zip', 'tar'])
def test_truncated_archives(tmp_path, data, kind, keep):
    path = tmp_path / f'fer2013.{kind}'
    if kind == 'gz':
        path.write_bytes(gzip.compress(csv_bytes(data)))
    elif kind == 'zip':
        zip_folder(path, write_folders(tmp_path / 'fer', data))
    else:
        tar_with(path, [('fer2013.csv', csv_bytes(data))], 'w:gz' if kind == 'tar.gz' else 'w')
    whole = path.read_bytes()
    if kind == 'tar':  # the end of a tar archive is only padding
        whole = whole[: len(csv_bytes(data))]
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(DataError, match=f'{path}: .*(truncated|expected)'):
        read(path)


def test_damaged_image_in_a_zip_is_named(tmp_path, data):
    path = zip_folder(tmp_path / 'fer.zip', write_folders(tmp_path / 'fer', data))
    with zipfile.ZipFile(path) as archive:
        entry = archive.infolist()[-1]
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 300] ^= 255
    path.write_bytes(content)
    if not entry.is_dir():
        with pytest.raises(DataError, match=f'{entry.filename}: truncated or damaged: Bad CRC'):
            read(path)


def test_expansion_without_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr('loaders.sources.archives.SLACK', 1 << 20)
    bomb = b'emotion,pixels,Usage\n' + b'\n' * (4 << 20)
    path = tmp_path / 'fer2013.csv.gz'
    path.write_bytes(gzip.compress(bomb))
    with pytest.raises(DataError, match='refused: .* bytes expand to'):
        read(path)
    tar_with(path, [('fer2013.csv', bomb)])
    with pytest.raises(DataError, match='refused: .* bytes expand to'):
        read(path)
    path = tmp_path / 'fer.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('train/happy/Training_1.jpg', bomb)
    with pytest.raises(DataError, match='refused: .* bytes expand to'):
        read(path)


def test_zip_that_asks_for_a_password(tmp_path, data):
    path = zip_folder(tmp_path / 'fer.zip', write_folders(tmp_path / 'fer', data))
    content = bytearray(path.read_bytes())
    at = content.find(b'PK\x01\x02')
    while at >= 0:
        content[at + 8] |= 1  # the flag of encryption
        at = content.find(b'PK\x01\x02', at + 4)
    path.write_bytes(content)
    with pytest.raises(DataError, match='password required'):
        read(path)


HEADER = 'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF'
FERPLUS_COLUMN = (4, 5, 6, 1, 3, 2, 0)  # of each FER2013 class


def write_votes(path, data, change=None):
    """FER+ votes that mostly agree with the labels; `change` alters the rows."""
    rows = []
    for label, usage in zip(data.labels, data.usage):
        votes = [0] * 10
        votes[FERPLUS_COLUMN[label]] = 8
        votes[9] = 2
        rows.append([('Training', 'PublicTest', 'PrivateTest')[usage], '', *votes])
    for row, votes in (change or {}).items():
        rows[row][2:] = votes
    path.write_text('\n'.join([HEADER, *(','.join(map(str, row)) for row in rows)]) + '\n')
    return path


def test_ferplus_majority(tmp_path):
    data = originals(np.full((3, 7), 3))
    contempt, tie, no_face = np.flatnonzero((data.labels == 3) & (data.usage < 2))[:3]
    votes = write_votes(
        tmp_path / 'fer2013new.csv',
        data,
        {
            contempt: [1, 1, 0, 0, 0, 0, 0, 8, 0, 0],
            tie: [4, 4, 0, 0, 1, 0, 0, 0, 0, 1],
            no_face: [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
        },
    )
    found = read(write_table(tmp_path / 'fer2013.csv', data), votes=votes)
    assert found.classes[:4] == ('angry', 'disgust', 'fear', 'happy')
    assert found.classes[7] == 'contempt' and len(found) == len(data) - 1
    assert no_face not in found.ids
    label = dict(zip(found.ids.tolist(), found.labels.tolist()))
    assert label[int(contempt)] == 7 and label[int(tie)] == 3  # happiness before neutral
    others = set(range(len(data))) - {int(contempt), int(tie), int(no_face)}
    assert all(label[row] == data.labels[row] for row in others)
    assert any('1 ties' in note and '1 images without a class' in note for note in found.notes)


def test_ferplus_votes_in_another_order_are_refused(tmp_path, data):
    source = write_table(tmp_path / 'fer2013.csv', data)
    votes = tmp_path / 'fer2013new.csv'
    other = originals()
    other.labels = (other.labels + 1) % 7
    with pytest.raises(DataError, match='not in the order of the challenge'):
        read(source, votes=write_votes(votes, other))
    other.usage = other.usage[::-1]
    with pytest.raises(DataError, match='42 votes do not go row by row with the 42 images'):
        read(source, votes=write_votes(votes, other))
    with pytest.raises(DataError, match='not with: folder edition'):
        read(write_folders(tmp_path / 'fer', data), votes=write_votes(votes, data))
    votes.write_text('a,b\n1,2\n')
    with pytest.raises(DataError, match='line 1: not fer2013new.csv: no column NF, Usage'):
        read(source, votes=votes)


def test_ferplus_bad_row(tmp_path, data):
    source = write_table(tmp_path / 'fer2013.csv', data)
    votes = write_votes(tmp_path / 'fer2013new.csv', data, {4: ['x'] * 10})
    with pytest.raises(DataError, match="fer2013new.csv: line 6: .*'x'"):
        read(source, votes=votes)


def test_the_files_that_macos_puts_beside_a_table_are_not_taken_for_it(tmp_path, data):
    packed = tar_with(
        tmp_path / 'fer2013.tar.gz', [('fer2013/._fer2013.csv', b'junk'), ('fer2013/fer2013.csv', csv_bytes(data))]
    )
    same(read(packed), data)


def test_class_folders_that_differ_in_case_alone(tmp_path):
    own_images(tmp_path / 'a', classes=('calm', 'tense', 'Calm'))
    with pytest.raises(DataError, match='class folders Calm and calm differ in case alone'):
        read(tmp_path / 'a')
    own_images(tmp_path / 'b' / 'train', classes=('Calm', 'tense'))
    own_images(tmp_path / 'b' / 'test', classes=('calm', 'tense'))
    found = read(tmp_path / 'b')
    assert found.classes == ('Calm', 'tense') and set(found.labels) == {0, 1}


def test_a_class_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    own_images(tmp_path / 'a')
    listed = os.scandir

    def scandir(path):
        if str(path).endswith('tense'):
            raise PermissionError(13, 'Permission denied', str(path))
        return listed(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    with pytest.raises(DataError, match='tense: cannot be read: Permission denied'):
        read(tmp_path / 'a')


def test_the_command_says_nothing_but_its_own_errors_of_a_broken_image(tmp_path):
    own_images(tmp_path / 'a')
    broken = tmp_path / 'a' / 'calm' / 'broken.png'
    broken.write_bytes(cv2.imencode('.png', np.full((20, 30), 7, np.uint8))[1].tobytes()[:-16])
    done = subprocess.run(
        [sys.executable, '-m', 'loaders', tmp_path / 'a', '-o', tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count('\n') == 1 and 'broken.png' in done.stderr


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path):
    own_images(tmp_path / 'a')
    command = f"set -o pipefail; '{sys.executable}' -m loaders audit '{tmp_path}/a' --exact | true"
    done = subprocess.run(['bash', '-c', command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 141) and not done.stderr
