"""The sub-commands of ``symfer data``, defined as in commands.py; ``python -m loaders`` is the same."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from utils.cli.registry import command
from utils.experiment.kinds import Choice, Flag, Kind, Location, Number, Several, Text, Whole
from utils.experiment.values import is_number

SET, SOURCE, FOLDER, FILE = (Location(metavar) for metavar in ('SET', 'SOURCE', 'FOLDER', 'FILE'))
FACE = (48, 48)  # height and width of a face for --faces without a size


class Size(Kind):
    """Height and width of images, each from 1 to 4096."""

    wanted, metavar = 'HEIGHTxWIDTH, each from 1 to 4096', 'HxW'

    def fits(self, value: Any) -> Any:
        return isinstance(value, tuple) and len(value) == 2 and all(1 <= side <= 4096 for side in value)

    def read(self, word: str) -> Any:
        height, _, width = word.lower().partition('x')
        return int(height), int(width)


class Part(Kind):
    """A number of images, or a fraction of them."""

    wanted, metavar = 'a number of images, or a fraction between 0 and 1', 'N|FRACTION'

    def fits(self, value: Any) -> Any:
        return is_number(value) and (0 < value < 1 if isinstance(value, float) else value >= 0)

    def read(self, word: str) -> Any:
        return float(word) if '.' in word else int(word)


@command('data')
def data(
    source: SOURCE,
    *,
    sets: Several(Choice(1, 2, 3, 4), 'sets') = (2,),
    out: FOLDER = 'datasets',
    prefix: Text() = '',
    validation: Part() = None,
    stratify: Flag() = False,
    no_duplicates: Flag() = False,
    test: Part() = None,
    size: Size() = None,
    classes: Several(Text('NAME'), 'names') = None,
    votes: FILE = None,
    contempt: Flag() = False,
    faces: Flag() = False,
    angles: Choice('all', 'frontal') = 'all',
    seed: Whole() = 0,
    skip_bad: Flag() = False,
) -> None:
    """Make data sets; data audit, data show, data check inspect them.

    Parameters
    ----------
    source : path
        fer2013.csv, .csv.gz, .tar.gz, icml_face_data.csv, train.csv, a folder or zip archive with any of these or with
        [train|test/]<class>/<image>, or an existing set 1 or 2; a folder or archive of RAF-DB, AffectNet, CK+, JAFFE,
        KDEF, ExpW, SFEW or FER+. A source called audit must be given as ./audit.
    sets : list of int
        Sets of thesis 5.2. 1: original images; 2: with mirror images; 3: five crops of 44x44; 4: shifted, rotated and
        scaled, 42x42.
    out : path
        Output folder.
    prefix : str
        Prefix of the file names.
    validation : number, optional
        Number or fraction of the original training images held out for validation; by default as in the thesis.
    stratify : bool
        Hold out the same fraction of each class; always done for published sets other than FER2013.
    no_duplicates : bool
        Hold out only images that have no exact duplicate in the training set.
    test : number, optional
        Number or fraction of the images held out for testing if the source has no test images.
    size : HxW, optional
        Height and width of the images.
    classes : list of str, optional
        Names of the labels 0, 1, ...
    votes : path, optional
        fer2013new.csv of FER+: labels by majority of votes, and the votes as soft labels.
    contempt : bool
        Keep contempt as an eighth class if the source has it; otherwise it is left out.
    faces : bool
        Crop the largest face of each picture, as FER2013's were; pictures without a face are left out. [faces]
    angles : str
        Faces from all angles or only frontal ones; for KDEF.
    seed : int
        Seed of all random choices.
    skip_bad : bool
        Leave out invalid rows and images, and list them.
    """
    arguments = dict(locals())
    from loaders import build

    with guarded():
        if arguments.pop('faces'):
            arguments['size'] = size or FACE
            arguments['crop'] = face_crop(arguments['size'])
        build(**arguments)


def face_crop(size: tuple[int, int]) -> Callable[[Any], Any]:
    """Return a function that crops the largest face of a picture, grey, (height, width), as in FER2013.

    The function returns None for a picture without a face.

    Raises
    ------
    MissingExtra
        If the face detector is not installed.
    """
    from utils.files.extras import MissingExtra
    from utils.recognition.crops import crop
    from utils.recognition.detection import FILE, YuNet

    try:
        detect = YuNet()
    except MissingExtra:
        raise MissingExtra(
            '--faces needs the face detector, which is not installed: pip install -e ".[faces]" in symfer\'s folder, '
            f'or set SYMFER_FACE_MODEL to the path of {FILE}; or leave --faces out'
        ) from None

    def face_of(picture):
        found = detect(picture)
        return crop(picture, max(found, key=lambda face: face.area), size) if found else None

    return face_of


@command('data audit')
def data_audit(
    set: SET, *, near: Number(least=0) = 0.9, exact: Flag() = False, list: FILE = None, overwrite: Flag() = False
) -> None:
    """Find exact and near duplicates, contradicting labels and constant images.

    Parameters
    ----------
    set : path
        Set 1 or 2, or any source.
    near : float
        Smallest correlation of near duplicates.
    exact : bool
        Find exact duplicates only, which is much faster.
    list : path, optional
        Write all findings as a CSV table.
    overwrite : bool
        Overwrite an existing table.
    """
    from loaders import fer2013, read
    from loaders.audit.findings import audit, report, write_list
    from loaders.sources.importing import is_of_importer

    near = None if exact else near
    with guarded():
        originals = read(set)
        print(f'{set}: {originals.layout}')
        if not is_of_importer(originals.layout):
            print(*fer2013.compare(originals.classes, originals.counts), sep='\n')
        found = audit(originals, near)
        print(*report(originals, found, near), sep='\n')
        if list:
            write_list(list, originals, found, overwrite)
            print(list)


@command('data show')
def data_show(
    set: SET,
    *,
    out: FOLDER = '.',
    per_class: Whole() = 100,
    image: Whole() = None,
    seed: Whole() = 0,
    overwrite: Flag() = False,
) -> None:
    """Draw contact sheets: one for each class, one with all views of an image.

    Parameters
    ----------
    set : path
        An HDF5 set.
    out : path
        Output folder.
    per_class : int
        Number of images of each class.
    image : int, optional
        Number, in the source, of an image whose views are all shown.
    seed : int
        Seed of the choice of images.
    overwrite : bool
        Overwrite existing files.
    """
    from loaders import load
    from loaders.audit.show import show

    with load(set) as opened:
        print(*show(opened, out, per_class=per_class, image=image, seed=seed, overwrite=overwrite), sep='\n')


@command('data check')
def data_check(sets: Several(SET, 'data sets')) -> None:
    """Check data sets against their checksums.

    Parameters
    ----------
    sets : list of path
        HDF5 sets.
    """
    from loaders import load

    for path in sets:
        with load(path) as data:
            whole = data.verify()
        print(f'{path}: ' + ('intact' if whole else 'made before there were checksums, but consistent'))


@contextmanager
def guarded() -> Iterator[None]:
    """Block in which SIGTERM raises an exception, so that no file is left half-written, and image decoders are silent.

    What libpng and libjpeg write to standard error names no file; the errors of loaders do.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)) if main else None
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    except MemoryError:
        raise MemoryError(
            'the memory is used up: make fewer --sets per command, or smaller images with --size'
        ) from None
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        if main:
            signal.signal(signal.SIGTERM, before)
        if interrupted:
            print('error: interrupted; no file was left half-written', file=sys.stderr)
