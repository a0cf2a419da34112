"""JAFFE: 213 photographs of ten Japanese women. ``KA.AN1.39.tiff`` names the person, expression and number.

References
----------
.. [1] Lyons, Akamatsu, Kamachi and Gyoba, "Coding Facial Expressions with Gabor Wavelets", FG 1998.
"""

from __future__ import annotations

import re

from loaders.errors import visible
from loaders.sources.importing import Entry, Found, Listing, Options, importer

NAME = re.compile(r'([A-Z]{2})\.(AN|DI|FE|HA|NE|SA|SU)\d+\.\d+\.\w+', re.IGNORECASE)


def signs(listing: Listing) -> bool:
    """Recognise JAFFE by the names of most images."""
    return listing.most(lambda image: NAME.fullmatch(image.name))


@importer('JAFFE', signs)
def find(listing: Listing, options: Options) -> Found:
    """Read class and person from the file names."""
    entries = []
    for image in listing.images:
        parts = NAME.fullmatch(image.name)
        if parts:
            entries.append(Entry(str(image), parts[2].lower(), person=parts[1].upper()))
        else:
            options.complain(
                f'{listing.source}: {visible(str(image))}: expected a name such as KA.AN1.39.tiff, made of person, one '
                'of AN DI FE HA NE SA SU, and numbers; remove the image or rename it'
            )
    return Found('<person>.<expression>.<number>', entries)
