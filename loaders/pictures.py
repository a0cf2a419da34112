"""Image files in folders, one folder a class: <class>/<image>, with train and test or without.

In the folder edition of FER2013 the names of the files, Training_<id>.jpg, PublicTest_<id>.jpg
and PrivateTest_<id>.jpg, tell the public from the private test images. Labels follow the names
of the classes: FER2013's order where they are FER2013's, the alphabet otherwise.
"""

import re
from pathlib import PurePosixPath

import cv2
import numpy as np

from . import fer2013
from .errors import DataError

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.pgm')
MAX_PIXELS = 1 << 24            # of an image file, so that a small one cannot fill the memory
MAX_BYTES = 1 << 29             # of all images at the size of the first, if none was asked for
SPLITS = {'train': 0, 'training': 0, 'val': 1, 'validation': 1, 'valid': 1, 'publictest': 1,
          'test': 2, 'privatetest': 2}
FER2013_NAME = re.compile(r'(Training|PublicTest|PrivateTest)_(\d+)\.\w+')


def is_image(name):
    path = PurePosixPath(name)
    return (path.suffix.lower() in SUFFIXES and not path.name.startswith('.')
            and '__MACOSX' not in path.parts)


def list_images(container, classes=None):
    """What the names in a container tell: (classes, [(usage, id, label, name)], layout).

    The list is in the order of the numbers that the images get: by usage, id, label and
    name. A usage of -1 means that nothing tells train from test.
    """
    every = container.names()
    names = [name for name in every if is_image(name)]
    paths = [PurePosixPath(name) for name in names]
    if any(len(path.parts) < 2 for path in paths):
        raise DataError(f'{container.name}: image {paths[0]} lies in no class folder; expected '
                        '<class>/<image> or train|test/<class>/<image>')
    folders = {path.parent for path in paths}
    depths = {len(folder.parts) for folder in folders}
    if len(depths) > 1:
        raise DataError(f'{container.name}: images lie at different depths, for example in '
                        f'{min(folders)} and {max(folders, key=lambda f: len(f.parts))}')
    # an empty class is a folder beside those with images in them
    beside = {folder.parent for folder in folders}
    folders |= {PurePosixPath(name) for name in every
                if name.endswith('/') and PurePosixPath(name).parent in beside
                and '__MACOSX' not in name}
    found = {folder.name.lower() for folder in folders}
    named = all(FER2013_NAME.fullmatch(path.name) for path in paths)
    if classes is not None:
        if {name.lower() for name in classes} != found:
            raise DataError(f"{container.name}: expected the class folders {', '.join(classes)}, "
                            f"found {', '.join(sorted(found))}")
    elif found == set(fer2013.CLASSES) or (named and found < set(fer2013.CLASSES)):
        classes = fer2013.CLASSES
    else:
        classes = tuple(sorted({folder.name for folder in folders}))
    label = {name.lower(): k for k, name in enumerate(classes)}
    split = all(folder.parent.name.lower() in SPLITS for folder in folders)
    entries = []
    for path, name in zip(paths, names):
        usage, number = -1, 0
        if named:
            prefix, number = FER2013_NAME.fullmatch(path.name).groups()
            usage, number = fer2013.USAGES.index(prefix), int(number)
        elif split:
            usage = SPLITS[path.parts[-3].lower()]
        entries.append((usage, number, label[path.parts[-2].lower()], name))
    layout = ('folder edition of FER2013, public and private told apart by file name' if named
              else 'folders train and test of <class>/<image>' if split
              else 'folder of <class>/<image>')
    return classes, sorted(entries), layout


def declared_pixels(data):
    """Pixels that the header of an image file promises, 0 where it cannot be read.

    Knows JPEG, PNG, BMP and PGM; other kinds give 0, whatever their names end in.
    """
    if data[:8] == b'\x89PNG\r\n\x1a\n' and len(data) > 24:
        return int.from_bytes(data[16:20], 'big') * int.from_bytes(data[20:24], 'big')
    if data[:2] == b'BM' and len(data) > 26:
        width, height = np.frombuffer(data, '<i4', 2, 18).tolist()      # negative: top row first
        return abs(width * height)
    if data[:2] == b'P5' and (header := re.match(rb'P5\s(?:#.*\s)*(\d{1,9})\s+(\d{1,9})\s', data)):
        return int(header[1]) * int(header[2])
    at = 2 if data[:2] == b'\xff\xd8' else len(data)                    # JPEG: a chain of segments
    while at + 9 <= len(data) and data[at] == 0xff:
        if data[at + 1] in range(0xc0, 0xd0) and data[at + 1] not in (0xc4, 0xc8, 0xcc):
            return int.from_bytes(data[at + 5:at + 7], 'big') * int.from_bytes(
                data[at + 7:at + 9], 'big')
        at += 1 if data[at + 1] == 0xff else 2 + int.from_bytes(data[at + 2:at + 4], 'big')
    return 0


def decode(data, name):
    """The grey levels of an encoded image: bytes -> uint8 (h, w)."""
    n_pixels = declared_pixels(data)
    if n_pixels > MAX_PIXELS:
        raise DataError(f'{name}: an image of {n_pixels} pixels, at most {MAX_PIXELS} are read')
    try:
        image = n_pixels and cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:
        raise DataError(f'{name}: cannot be decoded: {str(error).strip()[-80:]}') from error
    if not isinstance(image, np.ndarray):
        raise DataError(f'{name}: not a JPEG, PNG, BMP or PGM image that can be decoded')
    return image


def resize(image, size):
    """An image brought to (height, width): averaged if it shrinks, else cubic."""
    height, width = size
    shrinks = image.shape[0] >= height and image.shape[1] >= width
    return cv2.resize(image, (width, height),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def read_pictures(container, *, classes=None, size=None, skip_bad=False):
    """Images of a container.

    Parameters
    ----------
    container : Folder or Zip
    classes : tuple of str, optional
        Names of the class folders in the order of their labels.
    size : (int, int), optional
        Height and width; those of the first image by default. Images of another size are
        resized.
    skip_bad : bool
        Leave out images that cannot be decoded instead of raising an error.

    Returns
    -------
    images, labels, usage, ids, classes, layout, notes, bad
        `usage` is None where nothing tells train from test; `bad` has a message for each
        image left out.
    """
    classes, entries, layout = list_images(container, classes)
    images, ids, bad, n_resized = None, [], [], 0
    for k, (_, _, _, name) in enumerate(entries):
        try:
            image = decode(container.read(name), f'{container.name}: {name}')
        except DataError as error:
            if not skip_bad:
                raise
            bad.append(str(error))
            continue
        if images is None:
            if size is None and len(entries) * image.size > MAX_BYTES:
                raise DataError(f'{container.name}: {len(entries)} images of the size of the first, '
                                f'{image.shape[0]}x{image.shape[1]}, would take '
                                f'{len(entries) * image.size / 2 ** 30:.1f} GiB: give the size '
                                'wanted (size=(48, 48), --size 48x48)')
            size = tuple(size or image.shape)
            images = np.empty((len(entries), *size), np.uint8)
        if image.shape != size:
            image = resize(image, size)
            n_resized += 1
        images[len(ids)] = image
        ids.append(k)
    if not ids:
        raise DataError(f'{container.name}: no image could be read')
    notes = [f'{n_resized} images resized to {size[0]}x{size[1]}'] if n_resized else []
    usage, labels = (np.array([entries[k][column] for k in ids]) for column in (0, 2))
    usage = None if usage.min() < 0 else usage.astype(np.uint8)
    return (images[:len(ids)], labels.astype(np.uint8), usage, np.array(ids, np.int32), classes,
            layout, notes, bad)
