"""JAFFE: 213 photographs of ten Japanese women, ``KA.AN1.39.tiff`` for person, expression and number.

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
    """Most images are named as JAFFE's."""
    return listing.most(lambda image: NAME.fullmatch(image.name))


@importer('JAFFE', signs)
def find(listing: Listing, options: Options) -> Found:
    """Class and person from the names of the files."""
    entries = []
    for image in listing.images:
        parts = NAME.fullmatch(image.name)
        if parts:
            entries.append(Entry(str(image), parts[2].lower(), person=parts[1].upper()))
        else:
            options.complain(
                f'{listing.source}: {visible(str(image))}: expected a name such as KA.AN1.39.tiff, of person, one of '
                'AN DI FE HA NE SA SU and numbers; take the image away or give it such a name'
            )
    return Found('<person>.<expression>.<number>', entries)
