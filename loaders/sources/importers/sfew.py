"""SFEW 2.0: 958 training and 436 validation stills of films.

The layout is ``Train|Val/<class>/Airheads_000519240_00000005.png``. The folders may also be called Train_Aligned_Faces
and Val_Aligned_Faces, or be nested. The test images have no public labels.

References
----------
.. [1] Dhall, Goecke, Lucey and Gedeon, "Static Facial Expression Analysis in Tough Conditions: Data, Evaluation
   Protocol and Benchmark", ICCV Workshops 2011.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from loaders.errors import visible
from loaders.sources.importing import CLASS_OF, TEST, TRAINING, Entry, Found, Listing, Options, importer

NAME = re.compile(r'.+_\d{9}_\d{8}\.\w+')  # film, time, number
PART = re.compile(r'(train|val|test)(_aligned_faces\w*)?', re.IGNORECASE)


def part_of(image: PurePosixPath) -> str:
    """Return 'train', 'val' or 'test' from the folders of an image; '' if none says so."""
    parts = [match[1].lower() for folder in image.parts[:-1] if (match := PART.fullmatch(folder))]
    return parts[-1] if parts else ''


def signs(listing: Listing) -> bool:
    """Recognise SFEW by the names of most images and by folders of its parts or classes."""
    return bool(listing.images) and listing.most(
        lambda image: (
            NAME.fullmatch(image.name)
            and (part_of(image) or image.parts[-2:-1] and image.parts[-2].lower() in CLASS_OF)
        )
    )


@importer('SFEW', signs)
def find(listing: Listing, options: Options) -> Found:
    """Read labels and parts from the folders. The validation images are used for testing."""
    entries, unlabelled = [], 0
    for image in listing.images:
        part, label = part_of(image), image.parts[-2].lower() if len(image.parts) > 1 else ''
        if part == 'test':
            unlabelled += 1
        elif part and label in CLASS_OF:
            entries.append(Entry(str(image), label, TRAINING if part == 'train' else TEST))
        else:
            options.complain(
                f'{listing.source}: {visible(str(image))}: expected SFEW as Train|Val/<Angry, Disgust, Fear, Happy, '
                'Neutral, Sad or Surprise>/<image>; give the folder that holds Train and Val'
            )
    notes = [f'{unlabelled} test images, which have no labels, left out'] if unlabelled else []
    return Found('Train and Val of <class>/<image>', entries, notes)
