"""The interface and the registry of importers of published data sets.

An importer is a function in a file of `loaders.sources.importers`. Its decorator gives the name of the set and a
function that recognises the set. For every labelled image, the importer returns the file, class, person and box.
`loaders.sources.imported` then reads, crops and resizes the images of all sets in the same way.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from loaders import fer2013
from loaders.errors import DataError, visible
from loaders.sources.archives import damage, is_hidden
from loaders.sources.pictures import SUFFIXES

if TYPE_CHECKING:
    from loaders.sources.archives import Folder, Zip

IMPORTERS: dict[str, Importer] = {}
TRAINING, TEST = 0, 2  # usages; None if the source does not separate training and test images

# synonyms of FER2013's classes and of contempt
ALIASES = {
    'angry': ('anger', 'an'),
    'disgust': ('disgusted', 'di'),
    'fear': ('afraid', 'fearful', 'scared', 'fe', 'af'),
    'happy': ('happiness', 'joy', 'ha'),
    'sad': ('sadness', 'sa'),
    'surprise': ('surprised', 'su'),
    'neutral': ('ne',),
    'contempt': ('contemptuous',),
}
CLASS_OF = {word: name for name, words in ALIASES.items() for word in (name, *words)}
NO_CLASS = ('none', 'uncertain', 'no face', 'unknown')  # labels that are not emotions: such images are left out


@dataclass(frozen=True, slots=True)
class Entry:
    """A labelled image of a source.

    Attributes
    ----------
    name : str
        Name of its file in the container.
    label : str
        Word of `CLASS_OF` or `NO_CLASS`.
    usage : int, optional
        0 Training, 1 PublicTest, 2 PrivateTest; None if the source does not say.
    person : str
        Name of the person; '' if the source does not say.
    box : (int, int, int, int), optional
        Left, top, right, bottom of the face in pixels, right and bottom exclusive; None for the whole image.
    votes : tuple of int, optional
        Votes for FER2013's classes and for contempt, in this order.
    """

    name: str
    label: str
    usage: int | None = None
    person: str = ''
    box: tuple[int, int, int, int] | None = None
    votes: tuple[int, ...] | None = None


@dataclass
class Found:
    """Result of an importer: a short name of the layout, the labelled images in order, and notes for the user."""

    layout: str
    entries: list[Entry]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Importer:
    """A registered importer: the arguments of `importer`, and the function (listing, options) -> Found."""

    name: str
    signs: Callable[[Listing], bool]
    angles: bool
    find: Callable[[Listing, Options], Found]


@dataclass
class Options:
    """How a source is read.

    Attributes
    ----------
    skip_bad : bool
        Whether to leave out bad entries instead of raising an error.
    angles : {'all', 'frontal'}
        Faces to read from a set that shows them from several angles.
    left_out : list of str
        Messages about what was left out.
    absent : dict of str to list of str
        Missing images by the file that has their labels.
    """

    skip_bad: bool = False
    angles: str = 'all'
    left_out: list[str] = field(default_factory=list)
    absent: dict[str, list[str]] = field(default_factory=dict)

    def complain(self, message: str) -> None:
        """Raise a DataError or, with `skip_bad`, add the message to `left_out`."""
        if not self.skip_bad:
            raise DataError(message)
        self.left_out.append(message)

    def miss(self, file: str, image: str) -> None:
        """Note that a file has a label for a missing image; `check_absent` reports it."""
        self.absent.setdefault(file, []).append(image)

    def check_absent(self) -> None:
        """Complain about labels without an image, once for each file that has them."""
        for file, images in self.absent.items():
            self.complain(
                f'{file} has labels for {len(images)} missing images, the first {visible(images[0])}; '
                'unpack all parts of the set into one folder, or leave these labels out (skip_bad=True, --skip-bad)'
            )
        self.absent.clear()


def importer(name: str, signs: Callable[[Listing], bool], *, angles: bool = False) -> Callable[..., Any]:
    """Register a function ``(listing, options) -> Found`` as the importer of the set `name`; a decorator.

    Parameters
    ----------
    name : str
        Name of the set, as used in messages.
    signs : function
        Function ``(listing) -> bool`` that recognises the set in a container, complete or not.
    angles : bool
        Whether the set has faces from several angles and observes `Options.angles`.
    """

    def enter(find):
        IMPORTERS[name] = Importer(name, signs, angles, find)
        return find

    return enter


class Listing:
    """The files of a container, except hidden ones, with the queries that importers need.

    Attributes
    ----------
    container : Folder or Zip
        Container of the files.
    source : str
        Name of the container, for messages.
    names : list of str
        Names of all files, sorted.
    images : list of PurePosixPath
        Paths of the image files.
    by_last : dict of str to list of str
        Names of the files by the last part of their path, in lower case.
    """

    def __init__(self, container: Folder | Zip) -> None:
        self.container, self.source = container, container.name
        self.names = sorted(name for name in container.names() if not (name.endswith('/') or is_hidden(name)))
        self.images = [path for path in map(PurePosixPath, self.names) if path.suffix.lower() in SUFFIXES]
        self.by_last: dict[str, list[str]] = {}
        for name in self.names:
            self.by_last.setdefault(name.rpartition('/')[2].lower(), []).append(name)

    def files(self, *names: str) -> list[str]:
        """Return the files whose last part, in lower case, is one of these names."""
        return [file for name in names for file in self.by_last.get(name, ())]

    def one(self, *names: str) -> str:
        """Return the only file whose last part, in lower case, is one of these names.

        Raises
        ------
        DataError
            There is no such file, or more than one.
        """
        found = self.files(*names)
        if len(found) != 1:
            raise DataError(
                f'{self.source}: expected one file {" or ".join(names)}, found {len(found)}'
                + (f': {", ".join(map(visible, found[:3]))}; give the folder of one set' if found else '')
            )
        return found[0]

    def most(self, matches: Callable[[PurePosixPath], Any]) -> bool:
        """Return True if `matches` is true for more than half of the images."""
        return 2 * sum(bool(matches(image)) for image in self.images) > len(self.images)

    def by_tail(self, depth: int, images: Iterable[PurePosixPath] | None = None) -> dict[str, str]:
        """Map the last `depth` parts of each image's path to its name; the first image wins."""
        tails: dict[str, str] = {}
        for image in self.images if images is None else images:
            tails.setdefault('/'.join(image.parts[-depth:]), str(image))
        return tails

    def lines(self, name: str, longest: int = 10_000) -> Iterator[tuple[int, str]]:
        """Yield the number, counted from 1, and the text of each non-empty line of a text file."""
        where, number = f'{self.source}: {visible(name)}', 0
        with damage(where), self.container.open(name) as stream:
            while line := stream.readline(longest):
                number += 1
                if len(line) >= longest:
                    raise DataError(f'{where}: line {number}: more than {longest} bytes')
                try:
                    text = line.decode('utf-8-sig' if number == 1 else 'utf-8').strip()
                except UnicodeDecodeError as error:
                    raise DataError(f'{where}: line {number}: not text: {error}') from error
                if text:
                    yield number, text

    def rows(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the fields of each line of a table. Fields may be quoted but contain no line break."""
        for number, line in self.lines(name):
            try:
                yield number, next(csv.reader([line], strict=True))
            except csv.Error as error:
                raise DataError(f'{self.source}: {visible(name)}: line {number}: {error}') from error


def whole_number(text: str, least: int, most: int) -> int | None:
    """Parse a whole number from `least` to `most`, which may be written as '3.0e0'; None if the text is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() and least <= value <= most else None


def recognised(listing: Listing) -> Importer | None:
    """Return the importer that recognises a container, or None."""
    return next((one for one in IMPORTERS.values() if one.signs(listing)), None)


def is_of_importer(layout: str) -> bool:
    """Return True if the layout, as stored in a set file, is that of a published set other than FER2013."""
    return layout.partition(':')[0] in IMPORTERS


def class_names(labels: Sequence[str], contempt: bool) -> tuple[str, ...]:
    """Return the classes that have images, in FER2013's order."""
    there = {CLASS_OF[label] for label in labels if label in CLASS_OF}
    return tuple(name for name in (*fer2013.CLASSES, *(('contempt',) if contempt else ())) if name in there)


def count_left_out(labels: Sequence[str], classes: Sequence[str]) -> str:
    """Return a note about images whose label is not one of the classes; '' if there are none."""
    counts = Counter(name for label in labels if (name := CLASS_OF.get(label, label)) not in classes)
    if not counts:
        return ''
    what = [
        f'{n} of {name}' + (' (contempt=True or --contempt keeps them)' if name == 'contempt' else '')
        for name, n in sorted(counts.items())
    ]
    return f'images left out because of their label: {", ".join(what)}'
