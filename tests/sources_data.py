"""Archives, folders and tables for tests of sources."""

import io
import tarfile
import zipfile

import cv2
import numpy as np
from loaders_data import table_lines


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


def own_images(folder, n=10, classes=('calm', 'tense'), size=(20, 30)):
    """Write custom colour images, n per class, and return (folder, images by name)."""
    rng = np.random.default_rng(1)
    images = {}
    for name in classes:
        (folder / name).mkdir(parents=True)
        for k in range(n):
            images[name, k] = rng.integers(0, 256, (*size, 3), np.uint8)
            cv2.imwrite(str(folder / name / f'{k:02d}.png'), images[name, k])
    return folder, images
