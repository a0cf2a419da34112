"""Convert the images found by an importer to Originals: map classes, crop faces, number people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loaders import fer2013
from loaders.errors import DataError
from loaders.sources.decoding import Crop, gather, picture
from loaders.sources.importing import CLASS_OF, Entry, Importer, Listing, Options, class_names, count_left_out
from loaders.sources.originals import Originals

VOTED = (*fer2013.CLASSES, 'contempt')  # order of the votes in an entry


def read_published(
    importer: Importer,
    listing: Listing,
    options: Options,
    *,
    size: tuple[int, int] | None = None,
    contempt: bool = False,
    crop: Crop | None = None,
) -> tuple[Originals, bool]:
    """Read a published data set.

    Parameters
    ----------
    importer : Importer
        Importer of the set.
    listing : Listing
        Files of the source.
    options : Options
        How the source is read.
    size : (int, int), optional
        Height and width, 48x48 by default.
    contempt : bool
        Whether to keep contempt, after FER2013's classes.
    crop : function, optional
        Function that crops the face from an image, see `loaders.read`.

    Returns
    -------
    Originals, bool
        Images, and whether the source itself separates training and test images.
    """
    found = importer.find(listing, options)
    labels = [entry.label for entry in found.entries]
    classes = class_names(labels, contempt)
    if contempt and 'contempt' not in classes:
        raise DataError(
            f'{listing.source}: {importer.name} has no image of contempt here: leave contempt=True, --contempt out'
        )
    entries = [entry for entry in found.entries if CLASS_OF.get(entry.label) in classes]
    if not entries:
        raise DataError(f'{listing.source}: {importer.name} has no image with a class; {count_left_out(labels, ())}')
    tested = {(entry.usage or 0) > 0 for entry in entries if entry.usage is not None}
    if len(tested) == 1:
        raise DataError(
            f'{listing.source}: {importer.name} has no labelled {"test" if False in tested else "training"} images: '
            'expected training and test images; give the folder that contains both'
        )
    gathered = gather(
        len(entries),
        lambda k: picture(listing.container, entries[k].name, box=entries[k].box, crop=crop),
        source=listing.source,
        size=size or fer2013.SIZE,
        skip_bad=options.skip_bad,
    )
    ids = np.array([k for k, entry in enumerate(found.entries) if CLASS_OF.get(entry.label) in classes], np.int32)
    kept = [entries[k] for k in gathered.rows]
    usage = np.array([entry.usage or 0 for entry in kept], np.uint8)
    split = kept[0].usage is not None
    person, people = number_people(kept)
    notes = [*found.notes, *gathered.notes]
    if split:
        notes.append(f"the source's own split: {(usage == 0).sum()} training and {(usage > 0).sum()} test images")
    absent = [name for name in fer2013.CLASSES if name not in classes]
    notes += [f'no images of {", ".join(absent)}: not among the classes'] if absent else []
    notes += [note for note in (count_left_out(labels, classes),) if note]
    notes += [f'left out: {message}' for message in (*options.left_out, *gathered.bad)]
    originals = Originals(
        gathered.images,
        np.array([classes.index(CLASS_OF[entry.label]) for entry in kept], np.uint8),
        usage,
        ids[gathered.rows],
        classes,
        f'{importer.name}: {found.layout}',
        notes,
        person,
        people,
        votes_of(kept, classes),
    )
    return originals, split


def number_people(entries: Sequence[Entry]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return (person int32 (n,), sorted names of the people); (None, ()) if no entry names a person."""
    people = tuple(sorted({entry.person for entry in entries} - {''}))
    if not people:
        return None, ()
    number = {'': -1, **{name: k for k, name in enumerate(people)}}
    return np.array([number[entry.person] for entry in entries], np.int32), people


def votes_of(entries: Sequence[Entry], classes: Sequence[str]) -> np.ndarray | None:
    """Return the votes (n, n_classes) for the given classes; None if an entry has none."""
    votes = [entry.votes for entry in entries if entry.votes is not None]
    if len(votes) < len(entries):
        return None
    columns = np.array(votes)[:, [VOTED.index(name) for name in classes]]
    return columns.astype(np.uint8 if columns.max() < 256 else np.float32)
