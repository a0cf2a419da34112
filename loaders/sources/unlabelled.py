"""Read the images of a folder or zip archive without classes, for training without labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from loaders.errors import DataError
from loaders.sources.archives import MAX_BYTES, Folder, Zip
from loaders.sources.decoding import KINDS, decode, resize
from loaders.sources.pictures import is_image


def read_unlabelled(source: str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """Read all images anywhere in a folder or zip archive as grey levels of one size.

    Parameters
    ----------
    source : path
        Folder or zip archive.
    size : (int, int)
        Height and width; images of another size are resized.

    Returns
    -------
    uint8 array (n, height, width)
        Images in the order of their file names.

    Raises
    ------
    DataError
        There is no such folder or archive, it contains no image, or an image cannot be decoded. The message names the
        file.
    """
    path = Path(source)
    try:
        if not path.is_dir() and not path.is_file():
            raise DataError(f'{path}: no such folder or file')
        with Folder(path) if path.is_dir() else Zip(path) as container:
            names = sorted(name for name in container.names() if is_image(name))
            if not names:
                raise DataError(f'{path}: contains no image; images are read from {KINDS} files')
            if len(names) * size[0] * size[1] > MAX_BYTES:
                raise DataError(f'{path}: {len(names)} images of {size[0]}x{size[1]} would take over 8 GiB')
            images = np.empty((len(names), *size), np.uint8)
            for k, name in enumerate(names):
                image = decode(container.read(name), f'{path}: {name}')
                images[k] = image if image.shape == tuple(size) else resize(image, size)
    except OSError as error:
        raise DataError(f'{path}: {error.strerror or error}') from error
    return images
