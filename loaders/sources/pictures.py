"""Image files with one folder per class: <class>/<image>, with or without folders train and test.

In the folder edition of FER2013, the file names Training_<id>.jpg, PublicTest_<id>.jpg and PrivateTest_<id>.jpg
distinguish the public from the private test images. Labels follow FER2013's order if the classes are FER2013's, and
the alphabet otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from loaders import fer2013
from loaders.errors import DataError, check_class_names, visible
from loaders.sources.archives import is_hidden
from loaders.sources.decoding import KINDS, Crop, gather, picture

if TYPE_CHECKING:
    from loaders.sources.archives import Folder, Zip


SUFFIXES = (
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.png',
    '.bmp',
    '.dib',
    '.gif',
    '.webp',
    '.tif',
    '.tiff',
    '.pbm',
    '.pgm',
    '.ppm',
    '.pnm',
)
SPLITS = {
    'train': 0,
    'training': 0,
    'val': 1,
    'validation': 1,
    'valid': 1,
    'publictest': 1,
    'test': 2,
    'testing': 2,
    'privatetest': 2,
}
FER2013_NAME = re.compile(r'(Training|PublicTest|PrivateTest)_(\d+)\.\w+')


def is_image(name: str) -> bool:
    """Return True for the name of an image file in a format that is read."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not is_hidden(name)


def unread(names: Sequence[str]) -> list[Any]:
    """Return a note about the files that are not read as images, as a list of at most one str."""
    kinds = Counter(
        PurePosixPath(name).suffix.lower() or 'without an ending'
        for name in names
        if not (name.endswith('/') or is_image(name) or is_hidden(name))
    )
    if not kinds:
        return []
    more = f' and {len(kinds) - 10} more kinds' if len(kinds) > 10 else ''
    return [
        f'{kinds.total()} files were not read: '
        + ', '.join(f'{n} {visible(kind)}' for kind, n in kinds.most_common(10))
        + f'{more}; images are read from {KINDS} files'
    ]


def list_images(container: Zip | Folder, classes: Sequence[str] | None = None) -> Sequence[Any]:
    """Read classes, splits and layout from the names in a container.

    Returns
    -------
    classes : tuple of str
    entries : list of (usage, id, label, name)
        Images in the order of their numbers: sorted by usage, id, label and name. A usage of -1 means that the names
        do not separate training and test images.
    layout : str
    """
    every = container.names()
    names = [name for name in every if is_image(name)]
    paths = [PurePosixPath(name) for name in names]
    if any(len(path.parts) < 2 for path in paths):
        raise DataError(
            f'{container.name}: image {paths[0]} is not in a class folder; expected '
            '<class>/<image> or train|test/<class>/<image>'
        )
    folders = {path.parent for path in paths}
    check_class_names(sorted({folder.name for folder in folders}), container.name)
    depths = {len(folder.parts) for folder in folders}
    if len(depths) > 1:
        raise DataError(
            f'{container.name}: images lie at different depths, for example in '
            f'{min(folders)} and {max(folders, key=lambda f: len(f.parts))}'
        )
    # folders without images beside class folders are empty classes
    beside = {folder.parent for folder in folders}
    folders |= {
        PurePosixPath(name)
        for name in every
        if name.endswith('/') and PurePosixPath(name).parent in beside and not is_hidden(name)
    }
    check_spelling(folders, container.name)
    found = {folder.name.lower() for folder in folders}
    if found <= SPLITS.keys():
        raise DataError(
            f'{container.name}: images are directly in {" and ".join(sorted(found))}, not in class folders; '
            'expected <class>/<image> or train|test/<class>/<image>'
        )
    named = all(FER2013_NAME.fullmatch(path.name) for path in paths)
    if classes is not None:
        if {name.lower() for name in classes} != found:
            raise DataError(
                f'{container.name}: expected the class folders {", ".join(classes)}, found {", ".join(sorted(found))}'
            )
    elif found == set(fer2013.CLASSES) or (named and found < set(fer2013.CLASSES)):
        classes = fer2013.CLASSES
    else:
        spelled = sorted({folder.name for folder in folders}, reverse=True)  # a class may be both Calm and calm
        classes = tuple(sorted({name.lower(): name for name in spelled}.values()))
    label = {name.lower(): k for k, name in enumerate(classes)}
    whole = sorted(folder for folder in folders if folder.parent.name.lower() not in SPLITS)
    split = not whole
    if not named and 0 < len(whole) < len(folders):
        raise DataError(
            f'{container.name}: some classes are in {min(folders - set(whole)).parent}, others, such as '
            f'{whole[0]}, in no folder train or test; move them, or give one of the folders'
        )
    entries = []
    for path, name in zip(paths, names):
        usage, number = -1, 0
        if named:
            prefix, number = FER2013_NAME.fullmatch(path.name).groups()
            usage, number = fer2013.USAGES.index(prefix), int(number)
        elif split:
            usage = SPLITS[path.parts[-3].lower()]
        entries.append((usage, number, label[path.parts[-2].lower()], name))
    layout = (
        'folder edition of FER2013, public and private distinguished by file name'
        if named
        else 'folders train and test of <class>/<image>'
        if split
        else 'folder of <class>/<image>'
    )
    return classes, sorted(entries), layout


def check_spelling(folders: set[Any], source: str) -> None:
    """Raise DataError for two class folders in one folder whose names differ only in case."""
    seen = {}
    for folder in sorted(folders):
        other = seen.setdefault((folder.parent, folder.name.lower()), folder)
        if other != folder:
            raise DataError(f'{source}: class folders {other} and {folder} differ only in case: rename or merge them')


def read_pictures(
    container: Zip | Folder,
    *,
    classes: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    skip_bad: bool = False,
    crop: Crop | None = None,
) -> tuple:
    """Read the images of a container.

    Parameters
    ----------
    container : Folder or Zip
        Container of the images.
    classes : tuple of str, optional
        Names of the class folders in the order of their labels.
    size : (int, int), optional
        Height and width; those of the first image by default. Images of another size are resized.
    skip_bad : bool
        Whether to leave out images that cannot be decoded instead of raising an error.
    crop : function, optional
        Function that crops the face from an image, see `loaders.read`.

    Returns
    -------
    images, labels, usage, ids, classes, layout, notes, bad
        `usage` is None if the names do not separate training and test images. `bad` has a message for each image left
        out.
    """
    classes, entries, layout = list_images(container, classes)
    names = [name for _, _, _, name in entries]
    found = gather(
        len(names),
        lambda k: picture(container, names[k], crop=crop),
        source=container.name,
        size=size,
        skip_bad=skip_bad,
    )
    notes = unread(container.names()) + found.notes
    usage, labels = (np.array([entries[k][column] for k in found.rows]) for column in (0, 2))
    usage = None if usage.min() < 0 else usage.astype(np.uint8)
    return found.images, labels.astype(np.uint8), usage, found.rows, classes, layout, notes, found.bad
