"""FER+: the votes of ten people on each image of FER2013, joined to the challenge's table by row.

References
----------
.. [1] Barsoum et al., "Training Deep Networks for Facial Expression Recognition with
   Crowd-Sourced Label Distribution", ICMI 2016. github.com/microsoft/FERPlus
"""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from loaders import fer2013
from loaders.errors import DataError
from loaders.sources.originals import Originals

if TYPE_CHECKING:
    from pathlib import Path


# FER2013's order, so that the labels agree, followed by contempt
CLASSES = (*fer2013.CLASSES, 'contempt')
VOTED = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral', 'contempt')
NO_CLASS = ('unknown', 'NF')  # NF: not a face
MIN_AGREEMENT = 0.4
MAX_VOTES = 1000


def read_votes(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the votes and the usage of each row of fer2013new.csv.

    Returns
    -------
    votes : int64 array (n, 10)
        Votes for the classes of VOTED, then for unknown and for not a face.
    usage : uint8 array (n,)
        0 Training, 1 PublicTest, 2 PrivateTest.
    """
    votes, usage = [], []
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = csv.DictReader(file)
            missing = {'Usage', *VOTED, *NO_CLASS} - set(rows.fieldnames or ())
            if missing:
                raise DataError(f'{path}: line 1: not fer2013new.csv: no column {", ".join(sorted(missing))}')
            for row in rows:
                try:
                    votes.append([int(row[name]) for name in (*VOTED, *NO_CLASS)])
                    if not all(0 <= n <= MAX_VOTES for n in votes[-1]):
                        raise ValueError(f'expected votes from 0 to {MAX_VOTES}')
                    usage.append(fer2013.USAGES.index(row['Usage']))
                except (TypeError, ValueError) as error:
                    raise DataError(f'{path}: line {rows.line_num}: {error}') from error
    except OSError as error:
        raise DataError(f'{path}: {error.strerror}') from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f'{path}: not a table of text: {error}') from error
    return np.array(votes).reshape(len(votes), -1), np.array(usage, np.uint8)


def with_votes(originals: Originals, path: Path, contempt: bool = False) -> Originals:
    """Replace the labels of the challenge's table by the majority of the votes, and add the votes.

    In a tie, the first class in the order of VOTED wins. Images whose majority is unknown or not a face are left out.
    The remaining images lose their votes for unknown and not a face.

    Parameters
    ----------
    originals : Originals
        Images of the challenge's table.
    path : path
        The file fer2013new.csv.
    contempt : bool
        Whether to keep contempt as the eighth class. If False, its images and votes are left out, which leaves
        FER2013's seven classes.

    Raises
    ------
    DataError
        The votes are for a different number of images, or for images in a different order.
    """
    votes, usage = read_votes(path)
    n = int(originals.ids[-1]) + 1
    if len(votes) < n or (usage[originals.ids] != originals.usage).any():
        raise DataError(
            f'{path}: its {len(votes)} rows of votes do not match the {n} images row by row: '
            "they can be joined only to the challenge's own table"
        )
    votes = votes[originals.ids]
    classes = CLASSES if contempt else fer2013.CLASSES
    majority = votes.argmax(axis=1)
    good = majority < len(classes)
    agreement = (majority[good] == originals.labels[good]).mean() if good.any() else 0
    if agreement < MIN_AGREEMENT:
        raise DataError(
            f'{path}: the votes agree with the labels of only {agreement:.0%} of the '
            "images: the rows are not in the order of the challenge's table"
        )
    winners = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1)
    ties = int((winners[good] > 1).sum())
    left_out = int((majority >= len(CLASSES)).sum())
    notes = [
        f'labels by majority of FER+ votes: {agreement:.1%} as in FER2013, {ties} ties '
        f'went to the first class, {left_out} images without a class left out'
    ]
    if not contempt:
        notes.append(f'{int((majority == len(fer2013.CLASSES)).sum())} images of contempt left out')
    kept = votes[:, : len(classes)]
    return replace(
        originals.select(np.flatnonzero(good)),
        labels=majority[good].astype(np.uint8),
        classes=classes,
        layout=f'{originals.layout} with FER+ votes',
        notes=originals.notes + notes,
        votes=kept[good].astype(np.uint8 if kept.max(initial=0) < 256 else np.float32),
    )
