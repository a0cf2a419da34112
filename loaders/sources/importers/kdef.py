"""KDEF: 4,900 photographs of 70 people from five sides, ``AF01ANS.JPG``.

The parts of a name are series A or B, sex F or M, number of the person, expression, angle (S straight, HL and HR half
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
AVERAGED = 'akdef'  # folder of averaged faces, which are no people


def signs(listing: Listing) -> bool:
    """Most images are named as KDEF's."""
    return listing.most(lambda image: NAME.fullmatch(image.name))


@importer('KDEF', signs, angles=True)
def find(listing: Listing, options: Options) -> Found:
    """Class and person from the names of the files; all angles, or straight faces alone."""
    entries, turned, averaged = [], 0, 0
    for image in listing.images:
        parts = NAME.fullmatch(image.name)
        if AVERAGED in (part.lower() for part in image.parts[:-1]):
            averaged += 1
        elif not parts:
            options.complain(
                f'{listing.source}: {visible(str(image))}: expected a name such as AF01ANS.JPG, of series, sex, '
                'person, one of AF AN DI HA NE SA SU and one of S HL HR FL FR; take the image away, or give it such '
                'a name'
            )
        elif options.angles == 'frontal' and parts[3].upper() != 'S':
            turned += 1
        else:
            entries.append(Entry(str(image), parts[2].lower(), person=parts[1].upper()))
    notes = [f'{turned} images of turned faces left out'] if turned else []
    notes += [f'{averaged} averaged faces (AKDEF) left out'] if averaged else []
    return Found('<series, sex, person, expression, angle>', entries, notes)
