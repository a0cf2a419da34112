"""Decode, crop and resize image files, and gather them in an array."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from loaders.errors import DataError, visible
from loaders.sources.headers import declared_pixels

if TYPE_CHECKING:
    from loaders.sources.archives import Folder, Zip

KINDS = 'JPEG, PNG, BMP, GIF, WebP, TIFF or PNM'
MAX_PIXELS = 1 << 24  # largest image in pixels, so that a small file cannot fill the memory
MAX_BYTES = 1 << 29  # largest total size in bytes if no image size is given
CONTEXT = 0.25  # fraction by which a box is enlarged on each side before a face is searched in it

Crop: TypeAlias = Callable[[np.ndarray], 'np.ndarray | None']
Box: TypeAlias = tuple[int, int, int, int]


def decode(data: bytes, name: str, colour: bool = False) -> np.ndarray:
    """Decode an image: bytes -> grey levels, uint8 (h, w), or colours, uint8 (h, w, 3): blue, green, red."""
    n_pixels = declared_pixels(data)
    if n_pixels > MAX_PIXELS:
        raise DataError(f'{name}: an image of {n_pixels} pixels, at most {MAX_PIXELS} are read')
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors name the file
    try:
        kind = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
        image = n_pixels and cv2.imdecode(np.frombuffer(data, np.uint8), kind)
    except cv2.error as error:
        raise DataError(f'{name}: cannot be decoded: {str(error).strip()[-80:]}') from error
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not isinstance(image, np.ndarray) or image.ndim != 2 + colour or image.dtype != np.uint8:
        raise DataError(f'{name}: not a {KINDS} image that can be decoded')
    return image


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image to (height, width), by averaging if it shrinks and by cubic interpolation otherwise."""
    height, width = size
    shrinks = image.shape[0] >= height and image.shape[1] >= width
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def cut(image: np.ndarray, box: Box, name: str) -> np.ndarray:
    """Crop an image, (h, w) or (h, w, 3), to a box of left, top, right, bottom in pixels."""
    left, top, right, bottom = box
    height, width = image.shape[:2]
    part = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not part.size:
        raise DataError(
            f'{name}: the box from ({left}, {top}) to ({right}, {bottom}) contains no pixel of the image, which is '
            f'{width} wide and {height} high; the boxes belong to other images, or to larger copies of these'
        )
    return part


def picture(
    container: Folder | Zip, name: str, *, box: Box | None = None, crop: Crop | None = None
) -> np.ndarray | None:
    """Read an image of a container as grey levels, uint8 (h, w). Return None if `crop` finds no face.

    Parameters
    ----------
    container : Folder or Zip
        Container of the image.
    name : str
        Name of the image in the container.
    box : (int, int, int, int), optional
        Left, top, right, bottom of the part to read, in pixels.
    crop : function, optional
        Function that crops the face, see `loaders.read`. It gets the whole image, or the box enlarged by a quarter on
        each side, and returns None if there is no face.
    """
    where = f'{container.name}: {visible(name)}'
    image = decode(container.read(name), where, colour=crop is not None)
    if box is not None and crop is not None:
        left, top, right, bottom = box
        across, down = round(CONTEXT * abs(right - left)), round(CONTEXT * abs(bottom - top))
        box = left - across, top - down, right + across, bottom + down
    if box is not None:
        image = cut(image, box, where)
    if crop is None:
        return image
    face = crop(image)
    if face is not None and not (
        isinstance(face, np.ndarray) and face.dtype == np.uint8 and face.ndim == 2 and face.size
    ):
        what = f'{face.dtype} {face.shape}' if isinstance(face, np.ndarray) else type(face).__name__
        raise DataError(f'{where}: crop must return None or a uint8 array (height, width), got {what}')
    return face


@dataclass
class Gathered:
    """Images of one size, uint8 (n, height, width), their indices, messages about bad images, and notes."""

    images: np.ndarray
    rows: np.ndarray
    bad: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather(
    n: int,
    read: Callable[[int], np.ndarray | None],
    *,
    source: str,
    size: tuple[int, int] | None = None,
    skip_bad: bool = False,
) -> Gathered:
    """Read n images and resize them to one size.

    Parameters
    ----------
    n : int
        Number of images.
    read : function
        ``read(k)`` returns image k, uint8 (h, w), or None for an image without a face, which is left out.
    source : str
        Name of the source, for messages.
    size : (int, int), optional
        Height and width; those of the first image by default.
    skip_bad : bool
        Whether to leave out images that cannot be read instead of raising an error.
    """
    images, rows, bad, n_resized, faceless = None, [], [], 0, []
    for k in range(n):
        try:
            image = read(k)
        except DataError as error:
            if not skip_bad:
                raise
            bad.append(str(error))
            continue
        if image is None:
            faceless.append(k)
            continue
        if images is None:
            if size is None and n * image.size > MAX_BYTES:
                raise DataError(
                    f'{source}: {n} images of the size of the first, '
                    f'{image.shape[0]}x{image.shape[1]}, would take '
                    f'{n * image.size / 2**30:.1f} GiB: give a smaller '
                    'size (size=(48, 48), --size 48x48)'
                )
            size = (size[0], size[1]) if size else (image.shape[0], image.shape[1])
            images = np.empty((n, *size), np.uint8)
        if image.shape != size:
            image = resize(image, size)
            n_resized += 1
        images[len(rows)] = image
        rows.append(k)
    if images is None:
        raise DataError(f'{source}: no image could be read' + (f'; {len(faceless)} show no face' if faceless else ''))
    notes = [f'{len(faceless)} images without a face left out'] if faceless else []
    notes += [f'{n_resized} images resized to {size[0]}x{size[1]}'] if n_resized else []
    return Gathered(images[: len(rows)], np.array(rows, np.int32), bad, notes)
