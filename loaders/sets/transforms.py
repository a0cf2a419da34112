"""Transforms of images, by name; a view of an image is one or several of them in turn.

A transform takes images, uint8 (n, h, w), and the size (height, width) that the set is to
have, and returns uint8 (n, h', w'). A view is written `'rotate45+mirror'`: transforms
joined by `+`, applied from left to right; the last has to leave images of the set's size.

A set of one's own takes a few lines:

>>> import numpy as np
>>> from loaders import Recipe, transform, views
>>> @transform
... def darker(images, size):
...     return images // 2
>>> five = Recipe('set 5', size=(44, 44), views=('centre', 'centre+mirror', 'darker+centre'))
>>> views(np.full((2, 48, 48), 200, np.uint8), five.views, five.size).shape
(2, 3, 44, 44)

`build('fer2013.csv', sets=(five,))` then writes datasets/set5.h5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from loaders.errors import DataError

TRANSFORMS = {}


def transform(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function under its own name, for use in the views of a `Recipe`."""
    TRANSFORMS[function.__name__] = function
    return function


def views(images: np.ndarray, names: Sequence[str], size: tuple[int, int]) -> np.ndarray:
    """Views of images: uint8 ``(n, h, w)`` -> ``(n, len(names), *size)``.

    Raises
    ------
    DataError
        An unknown transform, or a view whose size is not the set's.
    """
    made: dict[tuple[str, ...], np.ndarray] = {(): images}
    result = np.empty((len(images), len(names), *size), np.uint8)
    for v, name in enumerate(names):
        steps = tuple(name.split('+'))
        for k, step in enumerate(steps, 1):
            if steps[:k] not in made:
                if step not in TRANSFORMS:
                    raise DataError(f'unknown transform {step!r}; known are {", ".join(sorted(TRANSFORMS))}')
                made[steps[:k]] = TRANSFORMS[step](made[steps[: k - 1]], size)
        view = made[steps]
        if view.shape[1:] != tuple(size) or view.dtype != np.uint8:
            raise DataError(
                f'view {name!r} gives {view.dtype} images of {view.shape[1:]}, expected uint8 of {tuple(size)}'
            )
        result[:, v] = view
    return result


def crop(images: np.ndarray, size: tuple[int, int], down: int, right: int) -> np.ndarray:
    """The part of that size whose top left pixel lies at (down, right)."""
    height, width = size
    if not (0 <= down <= images.shape[1] - height and 0 <= right <= images.shape[2] - width):
        raise DataError(f'cannot cut {height}x{width} out of {images.shape[1]}x{images.shape[2]} images')
    return images[:, down : down + height, right : right + width]


def margins(images: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that a crop of that size leaves out."""
    return images.shape[1] - size[0], images.shape[2] - size[1]


@transform
def identity(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The images as they are."""
    return images


@transform
def mirror(images: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """The images mirrored, left to right."""
    n, h, w = images.shape
    # all images under one another are mirrored in one call
    return cv2.flip(np.ascontiguousarray(images).reshape(n * h, w), 1).reshape(n, h, w)


@transform
def centre(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of each image."""
    down, right = margins(images, size)
    return crop(images, size, down // 2, right // 2)


@transform
def top_left(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The top left corner of each image."""
    return crop(images, size, 0, 0)


@transform
def top_right(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The top right corner of each image."""
    return crop(images, size, 0, margins(images, size)[1])


@transform
def bottom_left(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The bottom left corner of each image."""
    return crop(images, size, margins(images, size)[0], 0)


@transform
def bottom_right(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The bottom right corner of each image."""
    return crop(images, size, *margins(images, size))


@transform
def left(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The crop half the margin left of the central one: 3 pixels for 42 of 48."""
    return crop(images, size, margins(images, size)[0] // 2, 0)


@transform
def right(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The crop half the margin right of the central one: 3 pixels for 42 of 48."""
    down, right = margins(images, size)
    return crop(images, size, down // 2, right)


def rotate(images: np.ndarray, angle: int) -> np.ndarray:
    """Images turned counter-clockwise by an angle in degrees; corners become black."""
    n, h, w = images.shape
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), angle, 1)
    turned = np.empty((n, h, w), np.uint8)
    for image, out in zip(images, turned):
        cv2.warpAffine(image, matrix, (w, h), dst=out)
    return turned


@transform
def rotate45(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of each image, turned by 45 degrees."""
    return centre(rotate(images, 45), size)


@transform
def rotate315(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Turned clockwise by 45 degrees."""
    return centre(rotate(images, -45), size)


@transform
def enlarge(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarged 1.2 times, then cut to size in the centre."""
    large = [cv2.resize(image, None, fx=1.2, fy=1.2, interpolation=cv2.INTER_CUBIC) for image in images]
    return centre(np.stack(large), size)


@transform
def reduce(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The whole image reduced to the size of the set."""
    height, width = size
    return np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in images])
