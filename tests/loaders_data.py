"""Small data in the layouts of FER2013, for the tests of loaders/."""

import os
from pathlib import Path

import cv2
import numpy as np

from loaders import Originals
from loaders.fer2013 import CLASSES, COUNTS, USAGES

ROOT = Path(__file__).parents[1]


def real_data():
    """Return the path of FER2013 on this machine, or None."""
    named = os.environ.get('SYMFER_FER2013')
    path = Path(named) if named else ROOT.parent / 'shared' / 'data' / 'fer2013-images.zip'
    return path if path.exists() else None


def originals(counts=None, size=(48, 48), seed=0):
    """Make random images, with the given number of each usage (row) and class (column)."""
    rng = np.random.default_rng(seed)
    counts = np.full((3, 7), 2) if counts is None else np.asarray(counts)
    labels = np.concatenate([rng.permutation(np.repeat(np.arange(counts.shape[1]), row)) for row in counts])
    usage = np.repeat(np.arange(3), counts.sum(axis=1))
    images = rng.integers(0, 256, (len(labels), *size), np.uint8)
    return Originals(images, labels.astype(np.uint8), usage.astype(np.uint8), np.arange(len(labels), dtype=np.int32))


def fer2013_sized(size=(8, 8)):
    """Make tiny images with FER2013's numbers of each usage and class."""
    return originals(COUNTS, size)


def table_lines(data, columns=('emotion', 'pixels', 'Usage')):
    """Return the lines of a table of originals, the column names first."""
    lines = [','.join(columns)]
    for image, label, usage in zip(data.images, data.labels, data.usage):
        fields = dict(emotion=str(label), pixels=' '.join(map(str, image.ravel())), Usage=USAGES[usage])
        lines.append(','.join(fields[name.strip()] for name in columns))
    return lines


def write_table(path, data, columns=('emotion', 'pixels', 'Usage')):
    """Write originals as a table and return its path."""
    path.write_text('\n'.join(table_lines(data, columns)) + '\n')
    return path


def write_folders(folder, data):
    """Write originals as the folder edition of FER2013, losslessly, in random id order."""
    for k, (image, label, usage) in enumerate(zip(data.images, data.labels, data.usage)):
        path = folder / ('train' if usage == 0 else 'test') / CLASSES[label] / f'{USAGES[usage]}_{1000 + k}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    return folder


def same(a, b):
    """Return whether two Originals have the same images, labels, usages and numbers."""
    return (
        np.array_equal(a.images, b.images)
        and np.array_equal(a.labels, b.labels)
        and np.array_equal(a.usage, b.usage)
        and np.array_equal(a.ids, b.ids)
        and a.classes == b.classes
    )
