"""Features, float32, of images (n, height, width) uint8: one decorated function each.

==================  ===========================================================================
`pixels`            grey values, normalised for each image to mean 0 and standard deviation 1
`hog`               histograms of oriented gradients
`lbp`               histograms of local binary patterns
`gabor`             energies of Gabor filters
`landmarks`         distances and angles between YuNet's five points
`strips`            cosine transforms of overlapping strips, from the top down: (n, strips, d)
==================  ===========================================================================

The functions only set the parameters of libraries. Histograms and energies use a grid of 6x6 cells, with 8x8 pixels
each in an image of 48x48.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from scipy.fft import dctn

GRID = 6


@dataclass(frozen=True)
class Feature:
    """A feature of images.

    Attributes
    ----------
    name : str
    function : callable
        Function from images (n, height, width) uint8 to float32 (n, d), or (n, t, d) for sequences.
    library : str or None
        Library of the extra [classical] that it needs.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    library: str | None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.function(images), dtype=np.float32)


FEATURES: dict[str, Feature] = {}


def feature(name: str, library: str | None = None) -> Callable:
    """Decorator that registers a function of images in `FEATURES`."""

    def add(function):
        FEATURES[name] = Feature(name, function, library)
        return function

    return add


@feature('pixels')
def pixels(images):
    x = images.reshape(len(images), -1).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    deviation = x.std(axis=1, keepdims=True)
    return x / np.where(deviation > 0, deviation, 1)


@feature('hog', library='skimage')
def hog(images):
    """Dalal and Triggs (2005), Histograms of Oriented Gradients for Human Detection, CVPR: 9 directions, blocks 2x2."""
    transform = importlib.import_module('skimage.feature').hog
    cell = tuple(max(1, side // GRID) for side in images.shape[1:])
    return np.stack([transform(image, 9, cell, (2, 2), block_norm='L2-Hys').astype(np.float32) for image in images])


@feature('lbp', library='skimage')
def lbp(images):
    """Shan, Gong and McOwan (2009), Facial expression recognition based on Local Binary Patterns, IVC 27.

    The histogram of each cell has 58 bins for the uniform patterns of 8 neighbours and one for all others. The
    features are the square roots of the relative frequencies, so that Euclidean distances are Hellinger distances.
    """
    patterns = importlib.import_module('skimage.feature').local_binary_pattern
    cells = cells_of(images.shape[1:])
    pixels_in = np.bincount(cells.ravel())[:, None]
    out = np.empty((len(images), GRID * GRID * 59), np.float32)
    for k, image in enumerate(images):
        code = patterns(image, 8, 1, 'nri_uniform').astype(int)
        counts = np.bincount((cells * 59 + code).ravel(), minlength=GRID * GRID * 59).reshape(-1, 59)
        out[k] = np.sqrt(counts / pixels_in).ravel()
    return out


def cells_of(shape):
    """Cell of each pixel in the grid, 0 to 35 row by row, as an int array of the given shape."""
    down, right = (np.arange(side) * GRID // side for side in shape)
    if min(shape) < GRID:
        raise ValueError(f'images must have at least {GRID}x{GRID} pixels, got {shape[0]}x{shape[1]}')
    return down[:, None] * GRID + right


@functools.cache
def gabor_filters():
    """Pairs of real and imaginary filters, with wavelengths of 10, 5 and 3.3 pixels in eight directions."""
    kernel = importlib.import_module('skimage.filters').gabor_kernel
    made = (kernel(f, theta=k * np.pi / 8) for f in (0.1, 0.2, 0.3) for k in range(8))
    return [(one.real.astype(np.float32), one.imag.astype(np.float32)) for one in made]


@feature('gabor', library='skimage')
def gabor(images):
    """Lyons et al. (1998), Coding Facial Expressions with Gabor Wavelets, FG: mean magnitudes of each cell."""
    cells = cells_of(images.shape[1:]).ravel()
    mean = np.zeros((cells.size, GRID * GRID), np.float32)
    mean[np.arange(cells.size), cells] = 1 / np.bincount(cells)[cells]
    out = np.empty((len(images), len(gabor_filters()), GRID * GRID), np.float32)
    for k, image in enumerate(images):
        image = image.astype(np.float32) / 255
        for j, pair in enumerate(gabor_filters()):
            real, imaginary = (cv2.filter2D(image, -1, part) for part in pair)
            out[k, j] = cv2.magnitude(real, imaginary).ravel() @ mean
    return out.reshape(len(images), -1)


@functools.cache
def detector():
    from utils.recognition.detection import YuNet

    return YuNet(score=0.3)  # every image is known to contain a face; only its position is needed


def points_of(image, side=192):
    """YuNet's five points of a face in pixels, float (5, 2), or None if it finds no face.

    The image is enlarged until its smaller side has `side` pixels. YuNet then finds 99 of 100 faces of FER2013.
    """
    factor = side / min(image.shape)
    large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    found = detector()(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
    return np.array(max(found, key=lambda one: one.score).landmarks) / factor if found else None


@feature('landmarks')
def landmarks(images):
    """Geometry of five points, in place of the tracked face model of Cohen et al. (2003), CVIU 91.

    Features are computed from the ten lines between the points of the eyes, the nose and the corners of the mouth:
    lengths relative to the distance between the eyes, angles relative to the line between the eyes, and the tilt of
    this line. All are NaN if no face is found.
    """
    return np.stack([shape_of(points_of(image)) for image in images])


def shape_of(points):
    """Features of `landmarks`, (19,), from points (5, 2) or None."""
    lines = list(combinations(range(5), 2))  # the first is the line between the eyes
    eyes = 0.0 if points is None else float(np.hypot(*(points[1] - points[0])))
    if eyes < 1:
        return np.full(2 * len(lines) - 1, np.nan)
    x, y = np.array([points[b] - points[a] for a, b in lines]).T
    angles = np.arctan2(y, x)
    relative = (angles[1:] - angles[0] + np.pi) % (2 * np.pi) - np.pi
    return np.concatenate([np.hypot(x, y)[1:] / eyes, relative, angles[:1]])


@feature('strips')
def strips(images):
    """Nefian and Hayes (1998), Hidden Markov models for face recognition, ICASSP.

    Strips have a quarter of the height of the image, and each begins a third of a strip below the one before. The
    features of a strip are the 3x13 lowest-frequency coefficients of its cosine transform.
    """
    height = images.shape[1] // 4
    step = max(1, height // 3)
    x = pixels(images).reshape(images.shape)
    tops = range(0, images.shape[1] - height + 1, step)
    parts = [dctn(x[:, top : top + height], axes=(1, 2), norm='ortho')[:, :3, :13] for top in tops]
    return np.stack(parts, axis=1).reshape(len(images), len(tops), -1)
