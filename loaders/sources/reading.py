"""`read(source)`: any layout in which FER2013 is found, or a data set of one's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from loaders import fer2013
from loaders.errors import DataError, NoLabels
from loaders.sets.dataset import load
from loaders.sets.splits import draw, number_of
from loaders.sources.archives import Folder, Zip, is_hidden, is_table, table_stream
from loaders.sources.ferplus import with_votes
from loaders.sources.originals import Originals
from loaders.sources.pictures import is_image, read_pictures, unread
from loaders.sources.table import read_table

# tables of the challenge that hold everything, the best first
WHOLE = ('fer2013.csv', 'icml_face_data.csv', 'fer2013', 'fer2013.csv.gz', 'fer2013.tar.gz')
# tables of one usage each
PARTS = (('train.csv', 0), ('val.csv', 1), ('test.csv', 2))
NO_SPLIT_TEST = 0.2


def read(
    source: Any,
    *,
    size: tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    test: float | None = None,
    votes: Any = None,
    contempt: bool = False,
    seed: int = 0,
    skip_bad: bool = False,
) -> Originals:
    """The original images of a source in any layout.

    Parameters
    ----------
    source : path or Originals
        A table (fer2013.csv, icml_face_data.csv, train.csv; also as .gz, .tar.gz or in a
        zip archive), a folder or zip archive with train|test/<class>/<image> or
        <class>/<image>, or a data set file that holds the images as they are (sets 1, 2).
        It is recognised by its contents.
    size : (int, int), optional
        Height and width. Tables: 48x48 by default. Images: the size of the first by
        default; others are resized.
    classes : tuple of str, optional
        Names of the labels 0, 1, ... By default FER2013's; for folders with other names,
        these in the order of the alphabet.
    test : int or float, optional
        Number or fraction of the images held out for testing, in equal parts of each
        class, where the source has no test images. 0.2 by default for a folder of
        <class>/<image>; otherwise it has to be given. Such images get the usage 2.
    votes : path, optional
        fer2013new.csv of FER+, for the challenge's table: the majority of the votes gives
        the labels, and the votes are kept; see `loaders.sources.ferplus`.
    contempt : bool
        Keep contempt as an eighth class where the source has it; otherwise such images are left out, and counted.
    seed : int
        Seed of the choice of test images.
    skip_bad : bool
        Leave bad rows and images out, and list them in the notes.

    Returns
    -------
    Originals

    Raises
    ------
    DataError
        Names the file, and the line or image.
    """
    if isinstance(source, Originals):
        source.check('originals')
        return source
    source = Path(source)
    try:
        originals, split = read_path(source, size, classes, skip_bad)
    except OSError as error:
        raise DataError(f'{source}: {error.strerror or error}') from error
    if votes is not None:
        if 'table' not in originals.layout:
            raise DataError(
                f"{votes}: FER+ votes go row by row with the challenge's table, not with: {originals.layout}"
            )
        originals = with_votes(originals, votes, contempt)
    if not split and (test is not None or originals.layout.startswith('folder of')):
        hold_out_test(originals, NO_SPLIT_TEST if test is None else test, seed)
    elif test is not None and not originals.usage.all():
        raise DataError(f'{source}: has test images of its own; test={test} cannot be given')
    originals.check(source)
    return originals


def read_path(
    path: Path, size: tuple[int, int] | None, classes: Sequence[str], skip_bad: bool
) -> tuple[Originals, bool]:
    """(Originals, whether the source itself tells train from test) of a path."""
    if not (path.is_dir() or path.is_file()) and path.exists():
        raise DataError(f'{path}: a pipe or a device, not a file or a folder')
    if path.is_dir():
        with Folder(path) as container:
            return read_container(container, size, classes, skip_bad)
    with open(path, 'rb') as file:
        magic = file.read(8)
    if not magic:
        raise DataError(f'{path}: empty file')
    if magic == b'\x89HDF\r\n\x1a\n':
        return read_set(path, size), True
    if magic[:2] == b'PK':
        with Zip(path) as container:
            return read_container(container, size, classes, skip_bad)
    with open(path, 'rb') as file:
        return tables([(file, os.path.getsize(path), str(path), None)], size, classes, skip_bad)


def read_container(
    container: Zip | Folder, size: tuple[int, int] | None, classes: Sequence[str] | None, skip_bad: bool
) -> tuple[Originals, bool]:
    """(Originals, whether split) of a folder or zip archive."""
    names = [name for name in container.names() if not is_hidden(name)]
    by_name = {PurePosixPath(name).name: name for name in reversed(names)}
    whole = [(by_name[name], None) for name in WHOLE if name in by_name][:1]
    chosen = whole or [(by_name[name], usage) for name, usage in PARTS if name in by_name]  # type: ignore[misc]
    if not chosen and not any(is_image(name) for name in names):
        chosen = [(name, None) for name in names if is_table(name)]
        if len(chosen) != 1:
            raise DataError(
                f'{container.name}: expected fer2013.csv, one other table or '
                f'<class>/<image>, found {len(chosen)} tables and no images'
                + ''.join(f'; {note}' for note in unread(names))
            )
    if chosen:
        streams = [
            (container.open(name), os.path.getsize(container.name), f'{container.name}: {name}', usage)
            for name, usage in chosen
        ]
        return tables(streams, size, classes, skip_bad)
    images, labels, usage, ids, found, layout, notes, bad = read_pictures(
        container, classes=classes, size=size, skip_bad=skip_bad
    )
    usage = np.zeros_like(labels) if usage is None else usage
    return (Originals(images, labels, usage, ids, found, layout, notes + left_out(bad)), bool(usage.any()))


def tables(
    streams: Sequence[Sequence[Any]], size: tuple[int, int], classes: Sequence[str], skip_bad: bool
) -> tuple[Originals, bool]:
    """(Originals, whether split) of one table, or of several with one usage each.

    Parameters
    ----------
    streams : list of (binary file, size in bytes, name, usage or None)
    """
    classes = tuple(classes or fer2013.CLASSES)
    parts, notes, layouts, n = [], [], [], 0
    for stream, n_bytes, name, whole_usage in streams:
        with stream, table_stream(stream, n_bytes, name) as (table, kind):
            try:
                images, labels, usage, ids, bad = read_table(
                    table, name, classes=classes, size=size or fer2013.SIZE, skip_bad=skip_bad
                )
            except NoLabels as error:
                if not parts:
                    raise
                notes.append(f'left out: {error}')
                continue
        if usage is None:
            usage = np.full(len(labels), whole_usage or 0, np.uint8)
        notes += left_out(bad)
        layouts.append(f'{kind} {PurePosixPath(name).name}')
        parts.append((images, labels, usage, ids + n))
        n += int(ids[-1]) + 1
    images, labels, usage, ids = (column[0] if len(column) == 1 else np.concatenate(column) for column in zip(*parts))
    return (Originals(images, labels, usage, ids, classes, ' and '.join(layouts), notes), bool(usage.any()))


def left_out(bad: Sequence[Any]) -> list[Any]:
    """Notes on what was left out."""
    return [f'left out: {message}' for message in bad]


def hold_out_test(originals: Originals, part: float, seed: int) -> None:
    """Make some of the images test images, stratified by class, by seed."""
    k = number_of(part, len(originals))
    rows = draw(np.arange(len(originals)), originals.labels, k, seed, stratify=True)
    originals.usage[rows] = 2
    originals.notes.append(
        f'{k} of {len(originals)} images held out for testing, in equal parts of each class, seed {seed}'
    )


def read_set(path: Path, size: tuple[int, int] | None = None) -> Originals:
    """Originals of a data set file."""
    with load(path) as data:
        data.verify()
        if 'identity' not in data.transforms:
            raise DataError(
                f'{path}: {data.name} does not hold the images as they were; give set 1 or what it was made from'
            )
        if size is not None and tuple(size) != data.shape:
            raise DataError(f'{path}: holds images of {data.shape}, not {tuple(size)}')
        rows = np.flatnonzero(data.training.view == data.transforms.index('identity'))
        parts = ((data.training, rows), (data.test, np.arange(len(data.test))))
        source = np.concatenate([s.source[r] for s, r in parts])
        order = np.argsort(source, kind='stable')
        images = np.empty((len(source), *data.shape), np.uint8)
        images[np.argsort(order)] = np.concatenate([s.images(r) for s, r in parts])
        labels, usage, person, votes = (
            None
            if getattr(data.training, what) is None
            else np.concatenate([getattr(s, what)[r] for s, r in parts])[order]
            for what in ('y', 'usage', 'person', 'votes')
        )
        return Originals(
            images,
            labels,
            usage,
            source[order],
            data.classes,
            data.layout,
            [f'read from {data.name}'],
            person,
            data.people,
            votes,
        )
