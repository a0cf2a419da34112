"""ExpW: 91,793 faces in photographs. ``label.lst`` has a line for each face in ``origin/<image>``.

A line has the image, the number of the face in it, top, left, right and bottom of its box, the confidence, and the
label in FER2013's order.

References
----------
.. [1] Zhang, Luo, Loy and Tang, "From Facial Expression Recognition to Interpersonal Relation Prediction",
   International Journal of Computer Vision 126(5), 2018.
"""

from __future__ import annotations

from loaders import fer2013
from loaders.errors import visible
from loaders.sources.importing import Entry, Found, Listing, Options, importer, whole_number

LABELS = 'label.lst'
FIELDS = 8
MOST = 1 << 16  # largest coordinate


def signs(listing: Listing) -> bool:
    """Recognise ExpW by its list of labels."""
    return bool(listing.files(LABELS))


@importer('ExpW', signs)
def find(listing: Listing, options: Options) -> Found:
    """Read the faces from the list. Repeated lines are read once."""
    file = listing.one(LABELS)
    where = f'{listing.source}: {visible(file)}'
    images = listing.by_tail(1)
    entries, seen, repeated = [], set(), 0
    for number, line in listing.lines(file):
        fields = line.rsplit(None, FIELDS - 1)
        numbers = [whole_number(field, -MOST, MOST) for field in fields[2:6]]
        label = whole_number(fields[-1], 0, len(fer2013.CLASSES) - 1)
        if len(fields) != FIELDS or label is None or None in numbers:
            options.complain(
                f'{where}: line {number}: expected image, number, top, left, right, bottom, confidence and a label '
                f'from 0 to {len(fer2013.CLASSES) - 1}, found {line[:80]!r}'
            )
            continue
        if line in seen:
            repeated += 1
            continue
        seen.add(line)
        top, left, right, bottom = numbers
        if fields[0] in images:
            entries.append(Entry(images[fields[0]], fer2013.CLASSES[label], box=(left, top, right, bottom)))
        else:
            options.miss(where, fields[0])
    options.check_absent()
    return Found(f'{LABELS} and images', entries, [f'{repeated} repeated lines left out'] if repeated else [])
