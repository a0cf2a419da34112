"""AffectNet: tables with boxes, or the smaller edition of 2021 with an annotation file for each image.

The tables ``training.csv`` and ``validation.csv`` have the columns subDirectory_filePath, face_x, face_y, face_width,
face_height, facial_landmarks, expression, valence and arousal. Some copies lack the line of column names. The edition
of 2021 has ``train_set|val_set/images/N.jpg`` and ``.../annotations/N_exp.npy``. Valence and arousal are not read.

References
----------
.. [1] Mollahosseini, Hasani and Mahoor, "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing
   in the Wild", IEEE Transactions on Affective Computing 10(1), 2019.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from loaders.errors import DataError, visible
from loaders.sources.importing import NO_CLASS, TEST, TRAINING, Entry, Found, Listing, Options, importer, whole_number

CLASSES = (
    'neutral',
    'happy',
    'sad',
    'surprise',
    'fear',
    'disgust',
    'anger',
    'contempt',
    *NO_CLASS[:3],
)  # labels 0 to 10
TABLES = {'training.csv': TRAINING, 'validation.csv': TEST}
COLUMNS = (
    'subdirectory_filepath face_x face_y face_width face_height facial_landmarks expression valence arousal'.split()
)
FOLDERS = {'train_set': TRAINING, 'val_set': TEST}
MAX_HEADER = 512  # bytes of an annotation that are searched for its header
# header of an array of one number or string: length, data type
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<>|][iufU][1-9]\d?)', "
    rb"'fortran_order': (?:True|False), 'shape': \((?:1,)?\), \}",
    re.DOTALL,
)


def signs(listing: Listing) -> bool:
    """Recognise AffectNet by a table with its columns, or by its folders of annotations."""
    for file in listing.files(*TABLES):
        try:
            first = next((row for _, row in listing.rows(file)), [])
        except DataError:
            continue
        if is_header(first) or len(first) == len(COLUMNS) and '/' in first[0]:
            return True
    return any(name.endswith('_exp.npy') and is_in(PurePosixPath(name), 'annotations') for name in listing.names)


def is_header(row: Sequence[str]) -> bool:
    """Return True for the row of column names."""
    return bool(row) and row[0].strip().lower() == COLUMNS[0]


def is_in(path: PurePosixPath, folder: str) -> bool:
    """Return True for a file in ``train_set|val_set/<folder>/``."""
    return len(path.parts) > 2 and path.parts[-3].lower() in FOLDERS and path.parts[-2].lower() == folder


@importer('AffectNet', signs)
def find(listing: Listing, options: Options) -> Found:
    """Read the labels from the tables or from the annotation files."""
    if any(is_in(PurePosixPath(name), 'annotations') for name in listing.names):
        return by_files(listing, options)
    return by_tables(listing, options)


def by_tables(listing: Listing, options: Options) -> Found:
    """Read the layout of tables with boxes."""
    images = listing.by_tail(2)
    entries: list[Entry] = []
    for table, usage in TABLES.items():
        file = listing.one(table)
        where = f'{listing.source}: {visible(file)}'
        columns = COLUMNS
        for k, (number, row) in enumerate(listing.rows(file)):
            if k == 0 and is_header(row):
                columns = [name.strip().lower() for name in row]
                if missing := set(COLUMNS[:5] + ['expression']) - set(columns):
                    raise DataError(f'{where}: line {number}: no column {", ".join(sorted(missing))}')
                continue
            fields = dict(zip(columns, row))
            label = whole_number(fields.get('expression', ''), 0, len(CLASSES) - 1)
            if label is None or len(row) != len(columns):
                options.complain(
                    f'{where}: line {number}: expected {len(columns)} fields, including an expression from 0 to '
                    f'{len(CLASSES) - 1}, found {len(row)} and {fields.get("expression", "")[:40]!r}'
                )
                continue
            tail = '/'.join(fields[COLUMNS[0]].replace('\\', '/').split('/')[-2:])
            if CLASSES[label] in NO_CLASS:
                entries.append(Entry('', CLASSES[label], usage))
            elif tail in images:
                entries.append(Entry(images[tail], CLASSES[label], usage, box=box_of(fields)))
            else:
                options.miss(where, tail)
    options.check_absent()
    whole = sum(entry.box is None and entry.name != '' for entry in entries)
    notes = [f'{whole} images without a face box used whole'] if whole else []
    return Found('training.csv and validation.csv', entries, notes)


def box_of(fields: dict[str, str]) -> tuple[int, int, int, int] | None:
    """Return the box of a row; None if it has none, which is written as NULL, -1 or 0."""
    left, top = (whole_number(fields[name], -(1 << 16), 1 << 16) for name in ('face_x', 'face_y'))
    width, height = (whole_number(fields[name], 1, 1 << 16) for name in ('face_width', 'face_height'))
    if left is None or top is None or width is None or height is None:
        return None
    return left, top, left + width, top + height


def by_files(listing: Listing, options: Options) -> Found:
    """Read the edition of 2021."""
    found = {
        PurePosixPath(name).parts[-3].lower() for name in listing.names if is_in(PurePosixPath(name), 'annotations')
    }
    if missing := set(FOLDERS) - found:
        raise DataError(
            f'{listing.source}: AffectNet without {min(missing)}/annotations; expected train_set and val_set, each '
            'with images and annotations: give the folder that contains both'
        )
    images = {}
    for image in listing.images:
        if is_in(image, 'images'):
            images[image.parts[-3].lower(), image.stem] = str(image)
    entries, unlabelled = [], dict(images)
    for name in listing.names:
        path = PurePosixPath(name)
        if not (is_in(path, 'annotations') and name.endswith('_exp.npy')):
            continue
        key = path.parts[-3].lower(), path.name.removesuffix('_exp.npy')
        label = label_of(listing, name, options)
        if label is not None and key not in images:
            options.miss(f'{listing.source}: {"/".join(path.parts[-3:-1])}', f'{key[0]}/images/{key[1]}')
        elif label is not None:
            entries.append(Entry(images[key], label, FOLDERS[key[0]]))
        unlabelled.pop(key, None)
    options.check_absent()
    if unlabelled:
        options.complain(
            f'{listing.source}: {len(unlabelled)} images have no annotation, the first '
            f'{visible(min(unlabelled.values()))}; expected annotations/N_exp.npy for images/N.jpg'
        )
    return Found('train_set and val_set of 2021', entries)


def label_of(listing: Listing, name: str, options: Options) -> str | None:
    """Read the class from an annotation file."""
    value = value_of(listing.container.read(name))
    label = None if value is None else whole_number(value, 0, len(CLASSES) - 1)
    if label is None:
        options.complain(
            f'{listing.source}: {visible(name)}: expected a NumPy file of one number from 0 to {len(CLASSES) - 1}, '
            'found ' + ('something else' if value is None else repr(value[:40]))
        )
        return None
    return CLASSES[label]


def value_of(data: bytes) -> str | None:
    """Read the single number or string in a NumPy file of format 1.0; None if the file is not one.

    The header is matched by a regular expression. NumPy would evaluate it, which is slower and compiles an expression
    from the file.
    """
    header = HEADER.match(data[:MAX_HEADER])
    if header is None:
        return None
    start, kind = 10 + int.from_bytes(header[1], 'little'), header[2].decode()
    try:
        if kind[1] == 'U':
            end = start + 4 * int(kind[2:])
            return data[start:end].decode('utf-32-be' if kind[0] == '>' else 'utf-32-le').rstrip('\0')
        return str(np.frombuffer(data, kind, 1, start)[0])
    except (TypeError, ValueError):  # unknown type, truncated file, or invalid character
        return None
