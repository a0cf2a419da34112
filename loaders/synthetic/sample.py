"""Drawn faces in the layout of FER2013, for when FER2013 itself is not there.

FER2013 may not be redistributed. This module makes sets of small grey
portraits instead; `loaders.synthetic.faces` draws them.

References
----------
.. [1] I. Goodfellow et al., Challenges in Representation Learning, ICONIP
   2013: FER2013, its classes, class frequencies and CSV layout.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from loaders.synthetic.faces.action_units import express
from loaders.synthetic.faces.brushes import OVERSAMPLING, SIDE
from loaders.synthetic.faces.painting import draw_pose, paint
from loaders.synthetic.faces.people import draw_person
from loaders.synthetic.faces.snapshots import occlude, snapshot

if TYPE_CHECKING:
    from pathlib import Path


EMOTIONS = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
USAGES = ('Training', 'PublicTest', 'PrivateTest')

# Training images of each class in FER2013 [1].
FREQUENCIES = (3995, 436, 4097, 7215, 4830, 3171, 4965)


def draw_face(emotion: Any, rng: np.random.Generator, size: tuple[int, int] = SIDE) -> Any:
    """A face that shows an emotion, of a person drawn at random.

    Parameters
    ----------
    emotion : int
        Position in `EMOTIONS`, 0 angry .. 6 neutral.
    rng : numpy.random.Generator
        The only source of what varies.
    size : int
        Side of the image in pixels.

    Returns
    -------
    numpy.ndarray
        Grey tones, uint8 (size, size).

    Raises
    ------
    ValueError
        If `emotion` is not one of 0..6 or `size` no whole number >= 16.
    """
    if not isinstance(size, (int, np.integer)) or size < 16:
        raise ValueError(f'size must be a whole number of pixels >= 16, got {size!r}')
    if emotion not in range(len(EMOTIONS)):
        raise ValueError(f'emotion must be a whole number from 0 to {len(EMOTIONS) - 1}, got {emotion!r}')
    person = draw_person(rng)
    intensities = express(int(emotion), rng)
    uneven = np.clip(0.1 * rng.standard_normal(2), -0.25, 0.25)
    left, right = ({unit: a * (1 + float(u)) for unit, a in intensities.items()} for u in uneven)
    pose = draw_pose(rng, size * OVERSAMPLING)
    image = paint(person, left, right, pose, rng, size)
    image = np.clip(image, 0, 255).astype(np.uint8)
    occlude(image, pose, person, rng)
    return snapshot(image.astype(np.float32), rng)


def frequencies(without: Any = None) -> Any:
    """Cumulative class frequencies of FER2013, (7,), the last 1."""
    counts = np.array(FREQUENCIES, float)
    if without is not None:
        counts[without] = 0
    return np.cumsum(counts) / counts.sum()


def draw_class(cumulative: Any, u: Any) -> Any:
    """The class in whose part of [0, 1) the number u falls."""
    return int(np.searchsorted(cumulative[:-1], u, side='right'))


def early_classes(seed: int, subset: int) -> dict[int, int]:
    """Places among the first 50 images where every class is met once.

    Disgust is so rare (1.5 %) that a small subset could lack it.
    """
    # no image has this seed: numpy reads a missing third number as 0
    rng = np.random.default_rng([seed, len(USAGES) + subset])
    places = rng.permutation(50)[: len(EMOTIONS)]
    return {int(place): label for label, place in enumerate(places)}


def draw_labels(rng: np.random.Generator, planned: Any, wrong_labels: Any) -> Any:
    """The emotion shown and the label given to one image.

    A wrong label is drawn from the frequencies of the other classes: one
    drawn evenly would fill the rare class of disgust with errors.  An image
    planned to represent its class keeps its label.
    """
    shown, wrong, other = rng.random(3)
    emotion = draw_class(frequencies(), shown) if planned is None else planned
    if planned is None and wrong < wrong_labels:
        return emotion, draw_class(frequencies(emotion), other)
    return emotion, emotion


def draw_faces(
    n_training: int = 2000, n_public: int = 300, n_private: int = 300, *, seed: int = 0, wrong_labels: float = 0.08
) -> Any:
    """Draw a set of faces with the class frequencies of FER2013.

    Every image has its own generator, seeded by (seed, subset, position):
    a longer subset begins with the images and labels of a shorter one, and
    the same seed with other `wrong_labels` gives the same images.  A subset
    of 50 or more has every class.

    Parameters
    ----------
    n_training, n_public, n_private : int
        Images in the three subsets.
    seed : int
        Not negative.
    wrong_labels : float
        Probability in [0, 1) that a label is not the emotion drawn.

    Returns
    -------
    images : numpy.ndarray
        uint8 (n, 48, 48), in the order of the subsets.
    labels : numpy.ndarray
        uint8 (n,), positions in `EMOTIONS`.
    usage : numpy.ndarray
        uint8 (n,), positions in `USAGES`.

    Raises
    ------
    ValueError
        If a number of images or the seed is no whole number >= 0, or
        `wrong_labels` lies outside [0, 1).
    """
    sizes = (n_training, n_public, n_private)
    for name, value in zip(('n_training', 'n_public', 'n_private', 'seed'), (*sizes, seed)):
        if not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f'{name} must be a whole number >= 0, got {value!r}')
    if not 0 <= wrong_labels < 1:
        raise ValueError(f'wrong_labels must lie in [0, 1), got {wrong_labels!r}')
    usage = np.repeat(np.arange(3, dtype=np.uint8), sizes)
    images = np.empty((len(usage), SIDE, SIDE), np.uint8)
    labels = np.empty(len(usage), np.uint8)
    row = 0
    for subset, size in enumerate(sizes):
        planned = early_classes(seed, subset)
        for i in range(size):
            rng = np.random.default_rng([seed, subset, i])
            emotion, labels[row] = draw_labels(rng, planned.get(i), wrong_labels)
            images[row] = draw_face(emotion, rng)
            row += 1
    return images, labels, usage


def write_csv(
    path: Path,
    n_training: int = 2000,
    n_public: int = 300,
    n_private: int = 300,
    *,
    seed: int = 0,
    wrong_labels: float = 0.08,
) -> Any:
    """Write a drawn set as the challenge's CSV: emotion,pixels,Usage.

    Parameters
    ----------
    path : str or os.PathLike
        File to write; it appears complete or not at all.
    n_training, n_public, n_private, seed, wrong_labels
        As for `draw_faces`.

    Returns
    -------
    str or os.PathLike
        `path` as it was given.

    Raises
    ------
    ValueError
        As `draw_faces`.
    OSError
        If the file cannot be written.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(f'path must name a file, got folder {os.fspath(path)!r}')
    temporary = f'{os.fspath(path)}.{os.getpid()}.part'
    try:
        # opened before the drawing: a wrong path fails at once
        file = open(temporary, 'w', encoding='ascii', newline='\n')
    except OSError as error:
        raise type(error)(
            f'path must lie in a folder that can be written, got {os.fspath(path)!r}: {error.strerror}'
        ) from error
    try:
        with file:
            write_rows(file, *draw_faces(n_training, n_public, n_private, seed=seed, wrong_labels=wrong_labels))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def write_rows(file: TextIO, images: np.ndarray, labels: dict[Any, int], usage: np.ndarray) -> None:
    """Write the header and one row an image, pixels row by row."""
    file.write('emotion,pixels,Usage\n')
    for image, label, part in zip(images, labels, usage):
        pixels = ' '.join(map(str, image.ravel().tolist()))
        file.write(f'{label},{pixels},{USAGES[part]}\n')
