"""Audit a data set: exact duplicates, near duplicates, contradicting labels and constant images."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loaders.audit.duplicates import duplicates_in_training, groups
from loaders.errors import DataError
from loaders.fer2013 import USAGES
from loaders.sets.transforms import mirror

if TYPE_CHECKING:
    from loaders.sources.originals import Originals


BLOCK = 2048  # correlations are computed in blocks of BLOCK x BLOCK images
THRESHOLDS = (0.98, 0.95, 0.90)


@dataclass
class Audit:
    """Findings on n originals.

    Attributes
    ----------
    group : int64 array (n,)
        Number of the group of images with exactly the same pixels.
    duplicate : bool array (n,)
        Whether the image has an exact duplicate, other than itself, among the training originals.
    constant : bool array (n,)
        Whether all pixels are equal.
    pairs : int32 array (m, 2)
        Rows of near duplicates, first < second: images that correlate but are not exactly equal.
    correlation : float32 array (m,)
        Correlation of each pair.
    mirrored : int32 array (k, 2), float32 array (k,)
        Rows (test, training), where the training image is the one that correlates most with the mirrored test image,
        and the correlations.
    """

    group: np.ndarray
    duplicate: np.ndarray
    constant: np.ndarray
    pairs: np.ndarray
    correlation: np.ndarray
    mirrored: tuple


def audit(originals: Originals, near: int | None = 0.9) -> Audit:
    """Find exact duplicates, near duplicates and constant images.

    Parameters
    ----------
    originals : Originals
        Images to audit.
    near : float or None
        Smallest correlation, between 0 and 1, at which two images count as near duplicates. None skips the search for
        near duplicates, which takes most of the time.

    Returns
    -------
    Audit
    """
    if near is not None and not 0 < near < 1:
        raise DataError(f'a correlation must lie between 0 and 1, got {near}')
    images, usage = originals.images, originals.usage
    constant = images.min(axis=(1, 2)) == images.max(axis=(1, 2))
    group = groups(images)
    pairs, correlation = np.empty((0, 2), np.int32), np.empty(0, np.float32)
    mirrored = pairs, correlation
    if near is not None:
        pairs, correlation = near_pairs(images, near)
        other = group[pairs[:, 0]] != group[pairs[:, 1]]
        pairs, correlation = pairs[other], correlation[other]
        mirrored = near_mirrors(images, usage, near)
    return Audit(group, duplicates_in_training(images, usage), constant, pairs, correlation, mirrored)


def normalized(images: np.ndarray) -> np.ndarray:
    """Subtract each image's mean and divide by its norm: uint8 (n, h, w) -> float32 (n, h*w).

    The dot product of two rows is the correlation of the two images. Constant images become 0.
    """
    x = images.reshape(len(images), -1).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum('ij,ij->i', x, x))[:, None]
    return np.divide(x, norm, out=x, where=norm > 1e-3)


def near_pairs(images: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the pairs of rows, first < second, whose correlation is at least `near`.

    Returns
    -------
    int32 array (m, 2), float32 array (m,)
        Pairs and their correlations.
    """
    pairs, correlations = [np.empty((0, 2), np.int32)], [np.empty(0, np.float32)]
    for i in range(0, len(images), BLOCK):
        x = normalized(images[i : i + BLOCK])
        for j in range(i, len(images), BLOCK):
            r = x @ (x if i == j else normalized(images[j : j + BLOCK])).T
            first, second = np.nonzero(r >= near)
            earlier = first + i < second + j
            first, second = first[earlier], second[earlier]
            pairs.append(np.stack([first + i, second + j], axis=1).astype(np.int32))
            correlations.append(r[first, second])
    return np.concatenate(pairs), np.concatenate(correlations)


def near_mirrors(images: np.ndarray, usage: np.ndarray, near: Any) -> Any:
    """Find the test images whose mirror image correlates by `near` or more with a training image.

    Returns
    -------
    int32 array (k, 2), float32 array (k,)
        Rows (test, training), with the training image that correlates most, and the correlations.
    """
    test, training = np.flatnonzero(usage > 0), np.flatnonzero(usage == 0)
    best = np.zeros(len(test), np.float32)
    nearest = np.zeros(len(test), np.int64)
    for i in range(0, len(test), BLOCK):
        x = normalized(mirror(images[test[i : i + BLOCK]], None))
        for j in range(0, len(training), BLOCK):
            r = x @ normalized(images[training[j : j + BLOCK]]).T
            k = r.argmax(axis=1)
            largest = r[np.arange(len(x)), k]
            better = largest > best[i : i + BLOCK]
            best[i : i + BLOCK][better] = largest[better]
            nearest[i : i + BLOCK][better] = training[k[better] + j]
    found = best >= near
    return np.stack([test, nearest], axis=1)[found].astype(np.int32), best[found]


def figures(originals: Originals, found: Audit) -> dict[str, Any]:
    """Summarise the findings as named counts.

    Returns
    -------
    dict
        'surplus' (copies beyond the first), 'groups', 'grouped' (images in groups), 'contradicting' (groups),
        'contradicting_images', 'constant', 'leaked' (public, private). 'near' and 'mirrored' map each threshold to the
        number of (public, private) test images with such a training image.
    """
    size = np.bincount(found.group)
    n_labels = np.bincount(np.unique(np.stack([found.group, originals.labels]), axis=1)[0])
    contradicting = n_labels > 1
    usage = originals.usage
    result: dict[str, Any] = dict(
        surplus=int((size - 1).sum()),
        groups=int((size > 1).sum()),
        grouped=int(size[size > 1].sum()),
        contradicting=int(contradicting.sum()),
        contradicting_images=int(size[contradicting].sum()),
        constant=int(found.constant.sum()),
        leaked=tuple(int((found.duplicate & (usage == u)).sum()) for u in (1, 2)),
        near={},
        mirrored={},
    )
    rows, r = found.mirrored
    for threshold in THRESHOLDS:
        leaked = found.duplicate.copy()
        pairs = found.pairs[found.correlation >= threshold]
        for a, b in ((0, 1), (1, 0)):
            leaked[pairs[usage[pairs[:, b]] == 0, a]] = True
        result['near'][threshold] = tuple(int((leaked & (usage == u)).sum()) for u in (1, 2))
        result['mirrored'][threshold] = tuple(int((usage[rows[r >= threshold, 0]] == u).sum()) for u in (1, 2))
    return result


def report(originals: Originals, found: Audit, near: float | None) -> list[str]:
    """Return the findings as lines of text."""
    f = figures(originals, found)
    public, private = ((originals.usage == u).sum() for u in (1, 2))
    lines = [
        f'exact duplicates: {f["surplus"]} surplus copies, {f["groups"]} groups of {f["grouped"]} images',
        f'contradicting labels: {f["contradicting"]} groups of {f["contradicting_images"]} images',
        f'test images with an exact duplicate in training: public {f["leaked"][0]} of {public}, '
        f'private {f["leaked"][1]} of {private}',
        f'constant images: {f["constant"]}',
    ]
    if near is not None:
        lines.append(
            f'near duplicates: {len(found.pairs)} pairs with a correlation of {near:g} or more, not exactly equal'
        )
        for t in THRESHOLDS:
            if t >= near:
                lines.append(
                    f'test images with a duplicate in training, exact or correlated by '
                    f'{t:.2f}: public {f["near"][t][0]}, private {f["near"][t][1]}; '
                    f'mirrored: {f["mirrored"][t][0]}, {f["mirrored"][t][1]}'
                )
    return lines


def write_list(path: Path, originals: Originals, found: Audit, overwrite: bool = False) -> None:
    """Write every finding as a row of a CSV table.

    Columns: kind (exact, constant, near, mirrored); group of an exact duplicate; source, usage and class of the image;
    source, usage and class of the other image; correlation.

    Raises
    ------
    DataError
        The file cannot be written, or exists and `overwrite` is False.
    """

    def image(row):
        name = originals.classes[originals.labels[row]]
        # Spreadsheets would take a text that starts with one of these characters for a formula.
        return (
            originals.ids[row],
            USAGES[originals.usage[row]],
            f"'{name}" if name.startswith(('=', '+', '-', '@')) else name,
        )

    nothing = ('', '', '')
    size = np.bincount(found.group)
    in_groups = np.flatnonzero(size[found.group] > 1)
    try:
        with open(path, 'w' if overwrite else 'x', newline='', encoding='utf-8') as file:
            out = csv.writer(file)
            out.writerow(
                (
                    'kind',
                    'group',
                    'source',
                    'usage',
                    'class',
                    'other_source',
                    'other_usage',
                    'other_class',
                    'correlation',
                )
            )
            for row in in_groups[np.argsort(found.group[in_groups], kind='stable')]:
                out.writerow(('exact', found.group[row], *image(row), *nothing, ''))
            for row in np.flatnonzero(found.constant):
                out.writerow(('constant', '', *image(row), *nothing, ''))
            for kind, (pairs, r) in (('near', (found.pairs, found.correlation)), ('mirrored', found.mirrored)):
                for (a, b), value in zip(pairs, r):
                    out.writerow((kind, '', *image(a), *image(b), f'{value:.4f}'))
    except FileExistsError:
        there = Path(path).is_file()
        what = 'already exists: choose another name, or use --overwrite' if there else 'cannot be written'
        raise DataError(f'{path}: {what}') from None
    except OSError as error:
        raise DataError(f'{path}: cannot be written: {error.strerror}') from error
