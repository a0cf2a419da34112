"""Archives that are truncated, damaged, locked or expand without bound."""

import gzip
import zipfile

import pytest
from loaders_data import write_folders
from sources_data import csv_bytes, tar_with, zip_folder

from loaders import DataError, read


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
