"""RAF-DB, basic emotions: 12,271 training and 3,068 test images.

The owners' layout is ``EmoLabel/list_patition_label.txt``, with lines such as ``train_00001.jpg 5``, and
``Image/aligned/train_00001_aligned.jpg``. A widespread copy is ``train|test/<1 to 7>/train_00001_aligned.jpg``.

References
----------
.. [1] Li, Deng and Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the
   Wild", CVPR 2017.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from loaders.errors import DataError, visible
from loaders.sources.importing import TEST, TRAINING, Entry, Found, Listing, Options, importer, whole_number

CLASSES = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')  # labels 1 to 7
LABELS = ('list_patition_label.txt', 'list_partition_label.txt')
NAME = re.compile(r'(train|test)_\d+(_aligned)?\.\w+', re.IGNORECASE)
USAGES = {'train': TRAINING, 'test': TEST}


def is_sorted(image: PurePosixPath) -> bool:
    """Return True for an image in a class folder below train or test."""
    return len(image.parts) > 2 and image.parts[-3].lower() in USAGES and image.parts[-2].isdecimal()


def signs(listing: Listing) -> bool:
    """Recognise RAF-DB by its list of labels or by the names of most images."""
    if listing.files(*LABELS):
        return True
    return bool(listing.images) and listing.most(
        lambda image: (match := NAME.fullmatch(image.name)) and (match[2] or is_sorted(image))
    )


@importer('RAF-DB', signs)
def find(listing: Listing, options: Options) -> Found:
    """Read the labels from the list or from the folders."""
    if listing.files(*LABELS):
        return by_list(listing, options)
    if not listing.most(is_sorted):
        raise DataError(
            f"{listing.source}: RAF-DB's images without their labels; expected EmoLabel/{LABELS[0]} beside Image, or "
            'train|test/<1 to 7>/<image>: give the folder that contains both'
        )
    return by_folder(listing, options)


def by_list(listing: Listing, options: Options) -> Found:
    """Read the owners' layout."""
    file = listing.one(*LABELS)
    where = f'{listing.source}: {visible(file)}'
    images = listing.by_tail(1)
    aligned = any(PurePosixPath(image).stem.endswith('_aligned') for image in images)
    entries = []
    for number, line in listing.lines(file):
        name, _, word = line.rpartition(' ')
        label = whole_number(word, 1, len(CLASSES))
        match = NAME.fullmatch(name.strip())
        if label is None or not match:
            options.complain(
                f'{where}: line {number}: expected an image and a label from 1 to {len(CLASSES)} as in '
                f"'train_00001.jpg 5', found {line[:80]!r}; RAF-DB's compound emotions are not read"
            )
            continue
        path = PurePosixPath(name.strip())
        wanted = path.stem + ('_aligned' if aligned and not match[2] else '') + path.suffix
        if wanted in images:
            entries.append(Entry(images[wanted], CLASSES[label - 1], USAGES[match[1].lower()]))
        else:
            options.miss(where, wanted)
    options.check_absent()
    return Found(f'{LABELS[0]} and {"aligned" if aligned else "original"} images', entries)


def by_folder(listing: Listing, options: Options) -> Found:
    """Read the layout of class folders."""
    entries = []
    for image in listing.images:
        label = whole_number(image.parts[-2], 1, len(CLASSES)) if is_sorted(image) else None
        if label is None:
            options.complain(
                f'{listing.source}: {visible(str(image))}: expected RAF-DB as train|test/<1 to 7>/<image>; '
                'remove the image or move it to the folder of its class'
            )
        else:
            entries.append(Entry(str(image), CLASSES[label - 1], USAGES[image.parts[-3].lower()]))
    return Found('train|test/<1 to 7>/<image>', entries)
