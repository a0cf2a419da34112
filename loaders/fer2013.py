"""The class names and counts of FER2013, used to recognise and check a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CLASSES = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
USAGES = ('Training', 'PublicTest', 'PrivateTest')
SIZE = (48, 48)

# images of each class (columns) in each usage (rows)
COUNTS = np.array(
    [[3995, 436, 4097, 7215, 4830, 3171, 4965], [467, 56, 496, 895, 653, 415, 607], [491, 55, 528, 879, 594, 416, 626]]
)
N_TRAINING = int(COUNTS[0].sum())  # 28,709


def count(labels: np.ndarray, usage: np.ndarray, n_classes: int) -> np.ndarray:
    """Count the images of each usage and class: two arrays (n,) -> array (3, n_classes)."""
    cells = usage.astype(np.int64) * n_classes + labels
    return np.bincount(cells, minlength=3 * n_classes).reshape(3, n_classes)


def is_fer2013(classes: Sequence[str], counts: np.ndarray) -> bool:
    """Return True if the classes and counts (3, n_classes) are those of the challenge."""
    return tuple(classes) == CLASSES and np.array_equal(counts, COUNTS)


def table(classes: Sequence[str], counts: np.ndarray) -> list[str]:
    """Return lines of text: the number of images of each usage (row) and class (column), with totals."""
    width = max(9, *(len(name) + 1 for name in classes))
    rows = [('', 'total', *classes)]
    rows += [(usage, row.sum(), *row) for usage, row in zip(USAGES, counts) if row.any()]
    return [f'{row[0]:12s}' + ''.join(f'{cell:>{width}}' for cell in row[1:]) for row in rows]


def compare(classes: Sequence[str], counts: np.ndarray) -> list[str]:
    """Return lines of text that say whether these are FER2013's counts and, if not, where they differ."""
    if is_fer2013(classes, counts):
        return ["these are FER2013's counts"]
    if tuple(classes) != CLASSES:
        return ['not compared with FER2013: the classes are different']
    lines = ["these are not FER2013's counts:"]
    for u, k in np.argwhere(counts != COUNTS):
        lines.append(f'  {USAGES[u]} {CLASSES[k]}: {counts[u, k]}, FER2013 has {COUNTS[u, k]}')
    return lines
