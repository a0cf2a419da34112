"""What an importer of a published data set works with, and which importers there are.

An importer is one function in a file of `loaders.sources.importers`, decorated with the name of its set and with the
signs by which that is recognised. It tells of every labelled image where it lies, its class, its person and its box;
images are read, cut out and resized by `loaders.sources.imported`, alike for every set.
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
TRAINING, TEST = 0, 2  # usages; where the source does not tell them apart the usage is None

# words for FER2013's classes, and for contempt
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
NO_CLASS = ('none', 'uncertain', 'no face', 'unknown')  # labels that are no emotion: such images are left out


@dataclass(frozen=True, slots=True)
class Entry:
    """A labelled image of a source.

    Attributes
    ----------
    name : str
        Its file in the container.
    label : str
        A word of `CLASS_OF` or `NO_CLASS`.
    usage : int, optional
        0 Training, 1 PublicTest, 2 PrivateTest; None where the source does not tell.
    person : str
        Who it is; '' where the source does not tell.
    box : (int, int, int, int), optional
        Left, top, right, bottom of the face in pixels, the latter two not included; None for the whole picture.
    votes : tuple of int, optional
        Votes for FER2013's classes and for contempt, in that order.
    """

    name: str
    label: str
    usage: int | None = None
    person: str = ''
    box: tuple[int, int, int, int] | None = None
    votes: tuple[int, ...] | None = None


@dataclass
class Found:
    """What an importer found: the layout in a few words, the labelled images in order, notes for the user."""

    layout: str
    entries: list[Entry]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Importer:
    """An importer: what `importer` is given, and the function (listing, options) -> Found."""

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
        Leave out what is wrong instead of raising an error.
    angles : str
        'all' or 'frontal', for a set that photographs faces from several sides.
    """

    skip_bad: bool = False
    angles: str = 'all'
    left_out: list[str] = field(default_factory=list)
    absent: dict[str, list[str]] = field(default_factory=dict)

    def complain(self, message: str) -> None:
        """Raise a DataError, or note what is left out with `skip_bad`."""
        if not self.skip_bad:
            raise DataError(message)
        self.left_out.append(message)

    def miss(self, file: str, image: str) -> None:
        """Note that a file has a label for an image that is not there; `check_absent` says so."""
        self.absent.setdefault(file, []).append(image)

    def check_absent(self) -> None:
        """Complain of labels without an image, once for each file that has them."""
        for file, images in self.absent.items():
            self.complain(
                f'{file} has labels for {len(images)} images that are not there, the first {visible(images[0])}; '
                'unpack all parts of the set into one folder, or leave these labels out (skip_bad=True, --skip-bad)'
            )
        self.absent.clear()


def importer(name: str, signs: Callable[[Listing], bool], *, angles: bool = False) -> Callable[..., Any]:
    """Decorator: a function ``(listing, options) -> Found`` is the importer of the set `name`.

    Parameters
    ----------
    name : str
        As in messages.
    signs : function
        ``(listing) -> bool``: whether a container is this set, complete or not.
    angles : bool
        The set has faces from several sides, and minds `Options.angles`.
    """

    def enter(find):
        IMPORTERS[name] = Importer(name, signs, angles, find)
        return find

    return enter


class Listing:
    """The files of a container, hidden ones left out, as importers ask for them.

    Attributes
    ----------
    container : Folder or Zip
    source : str
        Name of the container, for messages.
    names : list of str
        Of all files, sorted.
    images : list of PurePosixPath
        The image files among them.
    """

    def __init__(self, container: Folder | Zip) -> None:
        self.container, self.source = container, container.name
        self.names = sorted(name for name in container.names() if not (name.endswith('/') or is_hidden(name)))
        self.images = [path for path in map(PurePosixPath, self.names) if path.suffix.lower() in SUFFIXES]
        self.by_last: dict[str, list[str]] = {}
        for name in self.names:
            self.by_last.setdefault(name.rpartition('/')[2].lower(), []).append(name)

    def files(self, *names: str) -> list[str]:
        """Files whose last part is one of these, in lower case."""
        return [file for name in names for file in self.by_last.get(name, ())]

    def one(self, *names: str) -> str:
        """The only file of one of these names, in lower case.

        Raises
        ------
        DataError
            There is none, or several.
        """
        found = self.files(*names)
        if len(found) != 1:
            raise DataError(
                f'{self.source}: expected one file {" or ".join(names)}, found {len(found)}'
                + (f': {", ".join(map(visible, found[:3]))}; give the folder of one set alone' if found else '')
            )
        return found[0]

    def most(self, matches: Callable[[PurePosixPath], Any]) -> bool:
        """True where this is true of more than half of the images."""
        return 2 * sum(bool(matches(image)) for image in self.images) > len(self.images)

    def by_tail(self, depth: int, images: Iterable[PurePosixPath] | None = None) -> dict[str, str]:
        """Names of images by the last parts of their paths, as many as `depth`; the first of several."""
        tails: dict[str, str] = {}
        for image in self.images if images is None else images:
            tails.setdefault('/'.join(image.parts[-depth:]), str(image))
        return tails

    def lines(self, name: str, longest: int = 10_000) -> Iterator[tuple[int, str]]:
        """Numbers, from 1 on, and contents of the lines of a text file that are not empty."""
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
        """Numbers and fields of the lines of a table, whose fields may be quoted and hold no line break."""
        for number, line in self.lines(name):
            try:
                yield number, next(csv.reader([line], strict=True))
            except csv.Error as error:
                raise DataError(f'{self.source}: {visible(name)}: line {number}: {error}') from error


def whole_number(text: str, least: int, most: int) -> int | None:
    """The whole number that a text is, from `least` to `most`; None where it is none. '3.0e0' is one, too."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() and least <= value <= most else None


def recognised(listing: Listing) -> Importer | None:
    """The importer whose signs a container has, or None."""
    from loaders.sources import importers  # noqa: F401  (enters them)

    return next((one for one in IMPORTERS.values() if one.signs(listing)), None)


def is_of_importer(layout: str) -> bool:
    """True for the layout of a published set other than FER2013, as it stands in a set file."""
    from loaders.sources import importers  # noqa: F401

    return layout.partition(':')[0] in IMPORTERS


def class_names(labels: Sequence[str], contempt: bool) -> tuple[str, ...]:
    """The classes of a source in FER2013's order, those without an image left out."""
    there = {CLASS_OF[label] for label in labels if label in CLASS_OF}
    return tuple(name for name in (*fer2013.CLASSES, *(('contempt',) if contempt else ())) if name in there)


def count_left_out(labels: Sequence[str], classes: Sequence[str]) -> str:
    """A note on images whose label is none of the classes; '' where there are none."""
    counts = Counter(name for label in labels if (name := CLASS_OF.get(label, label)) not in classes)
    if not counts:
        return ''
    what = [
        f'{n} of {name}' + (' (contempt=True, --contempt keep them)' if name == 'contempt' else '')
        for name, n in sorted(counts.items())
    ]
    return f'images left out for their label: {", ".join(what)}'
