"""CK+: sequences of 123 people from a neutral face to the peak of an emotion, or faces cropped from them.

The owners' layout is ``cohn-kanade-images/S005/001/S005_001_00000001.png`` and ``Emotion/S005/001/
S005_001_00000011_emotion.txt``. The image with the number of the label file has the emotion, and the first image of a
sequence is neutral. Sequences without an emotion are left out. The widespread copy CK+48 is ``<class>/
S010_004_00000017.png``: the last three images of each sequence, none of them neutral.

References
----------
.. [1] Lucey et al., "The Extended Cohn-Kanade Dataset (CK+): A complete dataset for action unit and emotion-specified
   expression", CVPR Workshops 2010.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from loaders.errors import DataError, visible
from loaders.sources.importing import CLASS_OF, Entry, Found, Listing, Options, importer, whole_number

CLASSES = ('neutral', 'anger', 'contempt', 'disgust', 'fear', 'happy', 'sadness', 'surprise')  # labels 0 to 7
IMAGE = re.compile(r'(S\d{3})_(\d{3})_(\d{8})\.\w+', re.IGNORECASE)
LABEL = re.compile(r'(S\d{3})_(\d{3})_(\d{8})_emotion\.txt', re.IGNORECASE)


def signs(listing: Listing) -> bool:
    """Recognise CK+ by the names of most images."""
    return bool(listing.images) and listing.most(lambda image: IMAGE.fullmatch(image.name))


def is_in_class(image: PurePosixPath) -> bool:
    """Return True for an image in a class folder."""
    return len(image.parts) > 1 and image.parts[-2].lower() in CLASS_OF


@importer('CK+', signs)
def find(listing: Listing, options: Options) -> Found:
    """Read sequences with labels, or faces in class folders."""
    labels = [name for name in listing.names if LABEL.fullmatch(PurePosixPath(name).name)]
    if labels:
        return by_sequences(listing, labels, options)
    if not listing.most(is_in_class):
        raise DataError(
            f"{listing.source}: CK+'s images without their labels; expected Emotion/S005/001/"
            'S005_001_00000011_emotion.txt etc. beside cohn-kanade-images, or <class>/<image>: give the folder '
            'that contains both'
        )
    return by_folder(listing, options)


def by_sequences(listing: Listing, labels: list[str], options: Options) -> Found:
    """Read the owners' layout."""
    sequences: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for image in listing.images:
        if parts := IMAGE.fullmatch(image.name):
            sequences[parts[1].upper(), parts[2]][parts[3]] = str(image)
    entries, labelled = [], set()
    for name in labels:
        parts = LABEL.fullmatch(PurePosixPath(name).name)
        person, sequence, number = parts[1].upper(), parts[2], parts[3]
        texts = [text for _, text in listing.lines(name)]
        label = whole_number(texts[0], 0, len(CLASSES) - 1) if len(texts) == 1 else None
        frames = sequences.get((person, sequence), {})
        labelled.add((person, sequence))
        if label is None:
            options.complain(
                f'{listing.source}: {visible(name)}: expected one number from 0 to {len(CLASSES) - 1}, found '
                f'{"; ".join(texts)[:40]!r}'
            )
        elif number not in frames:
            options.miss(f'{listing.source}: Emotion', f'{person}/{sequence}/{person}_{sequence}_{number}.png')
        else:
            if min(frames) < number:
                entries.append(Entry(frames[min(frames)], 'neutral', person=person))
            entries.append(Entry(frames[number], CLASSES[label], person=person))
    options.check_absent()
    notes = ['the first image of each sequence is used as neutral']
    if without := len(sequences.keys() - labelled):
        notes.append(f'{without} sequences without an emotion left out')
    return Found('sequences with labels', entries, notes)


def by_folder(listing: Listing, options: Options) -> Found:
    """Read the layout of CK+48."""
    entries = []
    for image in listing.images:
        parts = IMAGE.fullmatch(image.name)
        if parts and is_in_class(image):
            entries.append(Entry(str(image), image.parts[-2].lower(), person=parts[1].upper()))
        else:
            options.complain(
                f'{listing.source}: {visible(str(image))}: expected CK+48 as <class>/S010_004_00000017.png with the '
                f'classes {", ".join(CLASSES)}; remove the image or move it'
            )
    return Found('<class>/<image>', entries)
