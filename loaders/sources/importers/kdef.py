"""KDEF: 4,900 photographs of 70 people from five angles, with names such as ``AF01ANS.JPG``.

A name consists of series A or B, sex F or M, number of the person, expression, and angle (S straight, HL and HR half
left and right, FL and FR full left and right). The two series show the same people.

References
----------
.. [1] Lundqvist, Flykt and Öhman, "The Karolinska Directed Emotional Faces (KDEF)", Karolinska Institutet 1998.
"""

from __future__ import annotations

import re

from loaders.errors import visible
from loaders.sources.importing import Entry, Found, Listing, Options, importer

NAME = re.compile(r'[AB]([FM]\d\d)(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)\.\w+', re.IGNORECASE)
AVERAGED = 'akdef'  # folder of averaged faces, which do not show a person


def signs(listing: Listing) -> bool:
    """Recognise KDEF by the names of most images."""
    return listing.most(lambda image: NAME.fullmatch(image.name))


@importer('KDEF', signs, angles=True)
def find(listing: Listing, options: Options) -> Found:
    """Read class and person from the file names, for all angles or only for straight faces."""
    entries, turned, averaged = [], 0, 0
    for image in listing.images:
        parts = NAME.fullmatch(image.name)
        if AVERAGED in (part.lower() for part in image.parts[:-1]):
            averaged += 1
        elif not parts:
            options.complain(
                f'{listing.source}: {visible(str(image))}: expected a name such as AF01ANS.JPG, made of series, sex, '
                'person, one of AF AN DI HA NE SA SU, and one of S HL HR FL FR; remove the image or rename it'
            )
        elif options.angles == 'frontal' and parts[3].upper() != 'S':
            turned += 1
        else:
            entries.append(Entry(str(image), parts[2].lower(), person=parts[1].upper()))
    notes = [f'{turned} images of turned faces left out'] if turned else []
    notes += [f'{averaged} averaged faces (AKDEF) left out'] if averaged else []
    return Found('<series, sex, person, expression, angle>', entries, notes)
