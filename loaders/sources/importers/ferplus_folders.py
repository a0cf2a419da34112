"""FER+ as written by its owners' program: FER2013Train|Valid|Test, each with images and a ``label.csv`` of votes.

A line is ``fer0000000.png,"(0, 0, 48, 48)",`` followed by the votes of ten people. The class with most votes is the
label, as in `loaders.sources.ferplus`, which joins the votes to the challenge's table.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from loaders.errors import DataError, visible
from loaders.sources.ferplus import MAX_VOTES, VOTED
from loaders.sources.importing import Entry, Found, Listing, Options, importer, whole_number

FOLDERS = {'fer2013train': 0, 'fer2013valid': 1, 'fer2013test': 2}
LABELS = 'label.csv'
COLUMNS = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt', 'unknown', 'no face')
ORDER = [COLUMNS.index(name) for name in (*VOTED, 'unknown', 'no face')]


def signs(listing: Listing) -> bool:
    """Recognise FER+ by a table or an image in one of its folders."""
    files = (*listing.images[:1], *listing.images[-1:], *map(PurePosixPath, listing.files(LABELS)))
    return any(len(file.parts) > 1 and file.parts[-2].lower() in FOLDERS for file in files)


@importer('FER+', signs)
def find(listing: Listing, options: Options) -> Found:
    """Read the images with their votes."""
    tables = {PurePosixPath(name).parts[-2].lower(): name for name in listing.files(LABELS) if '/' in name}
    if missing := [folder for folder in FOLDERS if folder not in tables]:
        raise DataError(
            f'{listing.source}: FER+ without {missing[0]}/{LABELS}; expected FER2013Train, FER2013Valid and '
            f"FER2013Test, each with images and {LABELS}, as FER+'s generate_training_data.py writes them: give the "
            'folder that contains all three'
        )
    images = {tail.lower(): name for tail, name in listing.by_tail(2).items()}
    entries = []
    for folder, usage in FOLDERS.items():
        where = f'{listing.source}: {visible(tables[folder])}'
        for number, row in listing.rows(tables[folder]):
            votes = [whole_number(field, 0, MAX_VOTES) for field in row[-len(COLUMNS) :]]
            if len(row) != len(COLUMNS) + 2 or None in votes:
                options.complain(
                    f'{where}: line {number}: expected image, box and {len(COLUMNS)} votes from 0 to {MAX_VOTES}, '
                    f'found {",".join(row)[:80]!r}'
                )
                continue
            ordered = [votes[k] for k in ORDER]
            label = COLUMNS[ORDER[int(np.argmax(ordered))]]
            name = images.get(f'{folder}/{row[0].strip().lower()}')
            if name is not None or label in COLUMNS[-2:]:
                entries.append(Entry(name or '', label, usage, votes=tuple(ordered[: len(VOTED)])))
            else:
                options.miss(where, row[0])
    options.check_absent()
    return Found(f'folders with {LABELS}', entries)
