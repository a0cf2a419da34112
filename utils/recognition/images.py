"""Decode pictures in many formats within bounds: the size is read from the header before memory is allocated.

Grey, colour, 16-bit, palette, transparent and CMYK pictures all become blue, green and red in 8 bits. The orientation
recorded by a camera (EXIF) is respected.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

MOST_PIXELS, MOST_PIXELS_OF_A_FILE = 1 << 24, 1 << 26  # limits for a picture from elsewhere, and for a user's own file
LARGE = 1 << 23  # pixels from which pictures are decoded one at a time
_ONE_LARGE = threading.Lock()
FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'PPM')
SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff', '.pbm', '.pgm', '.ppm')
BACKGROUND = 255  # grey level behind transparent pixels
# Errors that decoders raise for a damaged file; Pillow has no specific class for them.
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)


class PictureError(ValueError):
    """A picture cannot be used. The message names it and says why."""


def read(path: Path, most_pixels: int = MOST_PIXELS_OF_A_FILE) -> np.ndarray:
    """Read the picture in a file: uint8 (height, width, 3) in the order blue, green, red.

    Parameters
    ----------
    path : path
        File of the picture.
    most_pixels : int
        Largest number of pixels that is decoded.

    Raises
    ------
    PictureError
        The file is not a picture, is damaged, or has more than `most_pixels` pixels.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    if path.stat().st_size > 16 * most_pixels:
        raise PictureError(f"'{path}' has {path.stat().st_size} bytes, too many for a picture")
    return decode(path.read_bytes(), f"'{path}'", most_pixels)


def decode(data: bytes, name: str = 'the picture', most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Decode the bytes of a picture file. `name` is used in messages; the result and errors are those of `read`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # Pillow warns about damaged metadata
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = picture.size
            if width * height > most_pixels:
                raise PictureError(f'{name} has {width}x{height} pixels; at most {most_pixels} are read')
            with _ONE_LARGE if width * height > LARGE else nullcontext():
                return _plain(picture)
    except PictureError:
        raise
    except Image.UnidentifiedImageError:
        raise PictureError(f'{name} is not a {", ".join(FORMATS[:-1])} or {FORMATS[-1]} picture') from None
    except Image.DecompressionBombError:
        raise PictureError(f'{name} has far too many pixels; at most {most_pixels} are read') from None
    except DAMAGED as error:
        raise PictureError(f'{name} is damaged or truncated ({str(error)[:100]})') from None


def _plain(picture) -> np.ndarray:
    """Convert a Pillow picture of any mode to blue, green and red, upright and on a white background."""
    picture.load()
    if picture.mode in ('I;16', 'I;16B', 'I;16L', 'I', 'F'):
        values = np.asarray(picture, dtype=np.float64)
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        most = 65535.0 if picture.mode != 'F' else max(values.max(), 1e-9)
        grey = Image.fromarray(np.clip(values / most * 255, 0, 255).astype(np.uint8))
        picture = _turned(grey, picture)
    else:
        picture = _turned(picture, picture)
    if picture.mode in ('RGBA', 'LA', 'PA') or 'transparency' in picture.info:
        picture = picture.convert('RGBA')
        behind = Image.new('RGBA', picture.size, (BACKGROUND,) * 3 + (255,))
        picture = Image.alpha_composite(behind, picture)
    values = np.array(picture if picture.mode == 'RGB' else picture.convert('RGB'))
    return cv2.cvtColor(values, cv2.COLOR_RGB2BGR, dst=values)


def _turned(picture, original):
    """Turn the picture upright by the EXIF orientation of the original; damaged metadata are ignored."""
    try:
        orientation = original.getexif().get(0x0112, 1)
    except DAMAGED:
        return picture
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def of_array(values: np.ndarray, name: str = 'the picture') -> np.ndarray:
    """Convert an array to a picture (h, w, 3): grey, uint8 (h, w), or blue, green, red, uint8 (h, w, 3).

    Raises
    ------
    PictureError
        The array has another shape or type.
    """
    values = np.asarray(values)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or 0 in values.shape or values.shape[2:] not in ((), (3,)):
        raise PictureError(
            f'{name} must be uint8 of shape (height, width) or (height, width, 3), got {values.dtype} {values.shape}'
        )
    return np.repeat(values[:, :, None], 3, axis=2) if values.ndim == 2 else values
