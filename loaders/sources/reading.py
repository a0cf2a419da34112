"""`read(source)`: read FER2013, another published set or a custom data set in any layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from loaders import fer2013
from loaders.errors import DataError, NoLabels
from loaders.sets.dataset import load
from loaders.sets.splits import hold_out_test
from loaders.sources import importers  # noqa: F401  (registers them)
from loaders.sources.archives import Folder, Zip, is_hidden, is_table, table_stream
from loaders.sources.decoding import Crop
from loaders.sources.ferplus import with_votes
from loaders.sources.imported import read_published
from loaders.sources.importing import Listing, Options, is_of_importer, recognised
from loaders.sources.originals import Originals
from loaders.sources.pictures import is_image, read_pictures, unread
from loaders.sources.table import read_table

# complete tables of the challenge, in order of preference
WHOLE = ('fer2013.csv', 'icml_face_data.csv', 'fer2013', 'fer2013.csv.gz', 'fer2013.tar.gz')
# tables with one usage each
PARTS = (('train.csv', 0), ('val.csv', 1), ('test.csv', 2))
NO_SPLIT_TEST = 0.2
ANGLES = ('all', 'frontal')


def read(
    source: Any,
    *,
    size: tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    test: float | None = None,
    votes: Any = None,
    contempt: bool = False,
    crop: Crop | None = None,
    angles: str = 'all',
    seed: int = 0,
    skip_bad: bool = False,
) -> Originals:
    """Read the original images of a source in any layout.

    Parameters
    ----------
    source : path or Originals
        Source of the images, recognised by its contents: a table (fer2013.csv, icml_face_data.csv, train.csv; also as
        .gz, .tar.gz or in a zip archive); a folder or zip archive with train|test/<class>/<image> or <class>/<image>; a
        folder or zip archive with RAF-DB, AffectNet, CK+, JAFFE, KDEF, ExpW, SFEW or FER+; or a data set file that
        stores the untransformed images (sets 1 and 2).
    size : (int, int), optional
        Height and width. The default is 48x48 for tables and published sets and the size of the first image for other
        image files. Image files of another size are resized.
    classes : tuple of str, optional
        Names of the labels 0, 1, ... The default is FER2013's classes or, for folders with other names, these names in
        alphabetical order.
    test : int or float, optional
        Number or fraction of the images held out for testing, in equal parts of each class, if the source has no test
        images. They get the usage 2. If people are known, whole people are held out. The default is 0.2 for a folder of
        <class>/<image> and for published sets; other sources require a value.
    votes : path, optional
        The file fer2013new.csv of FER+, for the challenge's table. The majority of the votes gives the labels, and the
        votes are kept; see `loaders.sources.ferplus`.
    contempt : bool
        Whether to keep contempt as an eighth class if FER+ or a published set has it. If False, its images are left
        out.
    crop : function, optional
        Function that crops the face from an image, for image files only: uint8 array (h, w, 3) of blue, green, red ->
        uint8 array (height, width) of grey levels, or None if there is no face. Images without a face are left out and
        counted. If the source has boxes, the function gets the box enlarged by a quarter on each side.
    angles : {'all', 'frontal'}
        Whether to read faces from all angles or only frontal ones; for KDEF.
    seed : int
        Seed of the choice of test images.
    skip_bad : bool
        Whether to leave out bad rows and images, and list them in the notes, instead of raising an error.

    Returns
    -------
    Originals
        Images with labels and usages.

    Raises
    ------
    DataError
        The source cannot be read. The message names the file, and the line or image.
    """
    if isinstance(source, Originals):
        source.check('originals')
        return source
    if angles not in ANGLES:
        raise DataError(f'angles must be one of {", ".join(ANGLES)}, got {angles!r}')
    source = Path(source)
    try:
        originals, split = read_path(source, Reading(size, classes, skip_bad, contempt, crop, angles))
    except OSError as error:
        raise DataError(f'{source}: {error.strerror or error}') from error
    if votes is not None:
        if 'table' not in originals.layout:
            raise DataError(
                f"{votes}: FER+ votes belong to the rows of the challenge's table, not to: {originals.layout}"
            )
        originals = with_votes(originals, votes, contempt)
    published = is_of_importer(originals.layout)
    if contempt and votes is None and not published:
        raise DataError(
            f'{source}: contempt=True and --contempt are for FER+ and published sets, not for: {originals.layout}'
        )
    if not split and (test is not None or published or originals.layout.startswith('folder of')):
        hold_out_test(originals, NO_SPLIT_TEST if test is None else test, seed)
    elif test is not None and not originals.usage.all():
        raise DataError(f'{source}: already has test images; leave out test={test}')
    originals.check(source)
    return originals


@dataclass(frozen=True)
class Reading:
    """How a source is read; see `read`."""

    size: tuple[int, int] | None
    classes: Sequence[str] | None
    skip_bad: bool
    contempt: bool
    crop: Crop | None
    angles: str

    def pixels_only(self, source: str) -> None:
        """Raise DataError if `crop` or `angles` is given for a source of pixels instead of image files."""
        for given, what in ((self.crop, 'crop, --faces'), (self.angles != 'all', 'angles, --angles')):
            if given:
                raise DataError(f'{source}: {what} are for folders and zip archives of image files, not for: pixels')


def read_path(path: Path, how: Reading) -> tuple[Originals, bool]:
    """Read a path: (Originals, whether the source itself separates training and test images)."""
    if not (path.is_dir() or path.is_file()) and path.exists():
        raise DataError(f'{path}: a pipe or a device, not a file or a folder')
    if path.is_dir():
        with Folder(path) as container:
            return read_container(container, how)
    with open(path, 'rb') as file:
        magic = file.read(8)
    if not magic:
        raise DataError(f'{path}: empty file')
    if magic == b'\x89HDF\r\n\x1a\n':
        how.pixels_only(str(path))
        return read_set(path, how.size), True
    if magic[:2] == b'PK':
        with Zip(path) as container:
            return read_container(container, how)
    with open(path, 'rb') as file:
        return tables([(file, os.path.getsize(path), str(path), None)], how)


def read_container(container: Zip | Folder, how: Reading) -> tuple[Originals, bool]:
    """Read a folder or zip archive: (Originals, whether the source itself is split)."""
    names = [name for name in container.names() if not is_hidden(name)]
    by_name = {PurePosixPath(name).name: name for name in reversed(names)}
    whole = [(by_name[name], None) for name in WHOLE if name in by_name][:1]
    if not whole and (published := read_recognised(container, how)):
        return published
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
        return tables(streams, how)
    if how.angles != 'all':
        raise DataError(f"{container.name}: angles, --angles are for KDEF; its images are not named as KDEF's")
    images, labels, usage, ids, found, layout, notes, bad = read_pictures(
        container, classes=how.classes, size=how.size, skip_bad=how.skip_bad, crop=how.crop
    )
    usage = np.zeros_like(labels) if usage is None else usage
    return (Originals(images, labels, usage, ids, found, layout, notes + left_out(bad)), bool(usage.any()))


def read_recognised(container: Zip | Folder, how: Reading) -> tuple[Originals, bool] | None:
    """Read a published data set: (Originals, whether the source itself is split); None if it is not one."""
    listing = Listing(container)
    importer = recognised(listing)
    if importer is None:
        return None
    if how.classes is not None:
        raise DataError(
            f"{container.name}: {importer.name}'s classes are mapped to {', '.join(fer2013.CLASSES)}: leave out "
            'classes, --classes'
        )
    if how.angles != 'all' and not importer.angles:
        raise DataError(f'{container.name}: angles, --angles are for KDEF, not for {importer.name}')
    options = Options(how.skip_bad, how.angles)
    return read_published(importer, listing, options, size=how.size, contempt=how.contempt, crop=how.crop)


def tables(streams: Sequence[Sequence[Any]], how: Reading) -> tuple[Originals, bool]:
    """Read one table, or several with one usage each: (Originals, whether the source itself is split).

    Parameters
    ----------
    streams : list of (binary file, size in bytes, name, usage or None)
        Streams to read, with the usage of all their images if the table has no such column.
    how : Reading
        How the source is read.
    """
    how.pixels_only(streams[0][2])
    classes = tuple(how.classes or fer2013.CLASSES)
    parts, notes, layouts, n = [], [], [], 0
    for stream, n_bytes, name, whole_usage in streams:
        with stream, table_stream(stream, n_bytes, name) as (table, kind):
            try:
                images, labels, usage, ids, bad = read_table(
                    table, name, classes=classes, size=how.size or fer2013.SIZE, skip_bad=how.skip_bad
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
    """Return notes on what was left out, from its messages."""
    return [f'left out: {message}' for message in bad]


def read_set(path: Path, size: tuple[int, int] | None = None) -> Originals:
    """Read the originals of a data set file."""
    with load(path) as data:
        data.verify()
        if 'identity' not in data.transforms:
            raise DataError(
                f'{path}: {data.name} does not store the original images; give set 1, or the source of the set'
            )
        if size is not None and tuple(size) != data.shape:
            raise DataError(f'{path}: has images of {data.shape}, not {tuple(size)}')
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
