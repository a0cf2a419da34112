"""Drawn faces in the layout of FER2013, for use without FER2013.

FER2013 may not be redistributed. This module makes sets of small grey portraits, which `loaders.synthetic.faces` draws.

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
    """Draw a face that shows an emotion, of a random person.

    Parameters
    ----------
    emotion : int
        Index into `EMOTIONS`, 0 angry .. 6 neutral.
    rng : numpy.random.Generator
        Only source of randomness.
    size : int
        Side of the image in pixels.

    Returns
    -------
    numpy.ndarray
        Grey levels, uint8 (size, size).

    Raises
    ------
    ValueError
        If `emotion` is not one of 0..6 or `size` is not a whole number >= 16.
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
    """Return the cumulative class frequencies of FER2013, (7,), optionally without one class; the last is 1."""
    counts = np.array(FREQUENCIES, float)
    if without is not None:
        counts[without] = 0
    return np.cumsum(counts) / counts.sum()


def draw_class(cumulative: Any, u: Any) -> Any:
    """Return the class whose part of [0, 1) contains the number u."""
    return int(np.searchsorted(cumulative[:-1], u, side='right'))


def early_classes(seed: int, subset: int) -> dict[int, int]:
    """Choose positions among the first 50 images, one for each class: position to class.

    Disgust is so rare (1.5 %) that a small subset could lack it.
    """
    # No image has this seed, although NumPy takes a missing third number as 0: subsets are numbered below len(USAGES).
    rng = np.random.default_rng([seed, len(USAGES) + subset])
    places = rng.permutation(50)[: len(EMOTIONS)]
    return {int(place): label for label, place in enumerate(places)}


def draw_labels(rng: np.random.Generator, planned: Any, wrong_labels: Any) -> Any:
    """Draw the emotion shown in an image and the label of the image.

    A wrong label is drawn by the frequencies of the other classes. Drawn uniformly, wrong labels would dominate the
    rare class disgust. An image planned to represent its class has the correct label.
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

    Every image has its own generator, seeded by (seed, subset, position). A longer subset therefore starts with the
    images and labels of a shorter one, and a different `wrong_labels` gives the same images. A subset of at least 50
    images contains every class.

    Parameters
    ----------
    n_training, n_public, n_private : int
        Numbers of images in the three subsets.
    seed : int
        Seed of all draws, >= 0.
    wrong_labels : float
        Probability in [0, 1) that a label is not the emotion drawn.

    Returns
    -------
    images : numpy.ndarray
        Grey levels, uint8 (n, 48, 48), in the order of the subsets.
    labels : numpy.ndarray
        Indices into `EMOTIONS`, uint8 (n,).
    usage : numpy.ndarray
        Indices into `USAGES`, uint8 (n,).

    Raises
    ------
    ValueError
        If a number of images or the seed is not a whole number >= 0, or `wrong_labels` is outside [0, 1).
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
    """Draw a set of faces and write it as the challenge's CSV: emotion,pixels,Usage.

    Parameters
    ----------
    path : str or os.PathLike
        File to write, completely or not at all.
    n_training, n_public, n_private, seed, wrong_labels
        Arguments of `draw_faces`.

    Returns
    -------
    str or os.PathLike
        `path`, unchanged.

    Raises
    ------
    ValueError
        If an argument of `draw_faces` is out of range.
    OSError
        If the file cannot be written.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(f'path must name a file, got folder {os.fspath(path)!r}')
    temporary = f'{os.fspath(path)}.{os.getpid()}.part'
    try:
        # opened before the faces are drawn, so that a wrong path fails immediately
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
    """Write the header and one row per image, with its pixels in row-major order."""
    file.write('emotion,pixels,Usage\n')
    for image, label, part in zip(images, labels, usage):
        pixels = ' '.join(map(str, image.ravel().tolist()))
        file.write(f'{label},{pixels},{USAGES[part]}\n')
