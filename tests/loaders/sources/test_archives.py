"""Tables of FER2013 in archives, and archives with false sizes."""

import gzip
import tarfile
import zipfile

import pytest
from loaders_data import same, write_table
from sources_data import csv_bytes, tar_with

from loaders import DataError, read


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
        match='no test images; give the fraction .* --test 0.2.*test.csv: '
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
