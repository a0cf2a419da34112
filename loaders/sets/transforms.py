"""Named transforms of images. A view is one transform or a sequence of them.

A transform takes images, uint8 (n, h, w), and the size (height, width) of the set, and returns uint8 (n, h', w'). A
view such as `'rotate45+mirror'` joins transforms by `+`. They are applied from left to right, and the result must have
the size of the set.

A custom set takes a few lines:

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
    """Compute views of images: uint8 ``(n, h, w)`` -> ``(n, len(names), *size)``.

    Parameters
    ----------
    images : uint8 array (n, h, w)
        Original images.
    names : sequence of str
        Names of the views, such as 'rotate45+mirror'.
    size : (int, int)
        Height and width of the set.

    Raises
    ------
    DataError
        A transform is unknown, or a view does not have the size of the set.
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
    """Return the crop of that size whose top left pixel is at (down, right)."""
    height, width = size
    if not (0 <= down <= images.shape[1] - height and 0 <= right <= images.shape[2] - width):
        raise DataError(f'cannot cut {height}x{width} out of {images.shape[1]}x{images.shape[2]} images')
    return images[:, down : down + height, right : right + width]


def margins(images: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Return the numbers of rows and columns that a crop of that size leaves out."""
    return images.shape[1] - size[0], images.shape[2] - size[1]


@transform
def identity(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the images unchanged."""
    return images


@transform
def mirror(images: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Mirror the images left to right."""
    n, h, w = images.shape
    # stacked vertically, so that one call mirrors them all
    return cv2.flip(np.ascontiguousarray(images).reshape(n * h, w), 1).reshape(n, h, w)


@transform
def centre(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop the centre of each image."""
    down, right = margins(images, size)
    return crop(images, size, down // 2, right // 2)


@transform
def top_left(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop the top left corner of each image."""
    return crop(images, size, 0, 0)


@transform
def top_right(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop the top right corner of each image."""
    return crop(images, size, 0, margins(images, size)[1])


@transform
def bottom_left(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop the bottom left corner of each image."""
    return crop(images, size, margins(images, size)[0], 0)


@transform
def bottom_right(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop the bottom right corner of each image."""
    return crop(images, size, *margins(images, size))


@transform
def left(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop at the left edge, half the margin left of the central crop: 3 pixels for 42 of 48."""
    return crop(images, size, margins(images, size)[0] // 2, 0)


@transform
def right(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop at the right edge, half the margin right of the central crop: 3 pixels for 42 of 48."""
    down, right = margins(images, size)
    return crop(images, size, down // 2, right)


def rotate(images: np.ndarray, angle: int) -> np.ndarray:
    """Rotate images counter-clockwise by an angle in degrees. Corners become black."""
    n, h, w = images.shape
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), angle, 1)
    turned = np.empty((n, h, w), np.uint8)
    for image, out in zip(images, turned):
        cv2.warpAffine(image, matrix, (w, h), dst=out)
    return turned


@transform
def rotate45(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rotate each image counter-clockwise by 45 degrees, then crop the centre."""
    return centre(rotate(images, 45), size)


@transform
def rotate315(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rotate each image clockwise by 45 degrees, then crop the centre."""
    return centre(rotate(images, -45), size)


@transform
def enlarge(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge each image 1.2 times, then crop the centre."""
    large = [cv2.resize(image, None, fx=1.2, fy=1.2, interpolation=cv2.INTER_CUBIC) for image in images]
    return centre(np.stack(large), size)


@transform
def reduce(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize the whole image to the size of the set."""
    height, width = size
    return np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in images])
