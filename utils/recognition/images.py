"""Pictures of any kind, decoded within bounds: the size is read from the header before memory is taken.

Colour, 16 bit, palettes, transparency and CMYK come to one form, blue, green and red in 8 bits; the orientation that
a camera wrote down (EXIF) is respected.
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

MOST_PIXELS, MOST_PIXELS_OF_A_FILE = 1 << 24, 1 << 26  # of a picture from elsewhere; of one of the user's own
LARGE = 1 << 23  # pixels from which pictures are decoded one at a time
_ONE_LARGE = threading.Lock()
FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF', 'PPM')
SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff', '.pbm', '.pgm', '.ppm')
BACKGROUND = 255  # behind what is transparent
# Whatever a decoder says of a damaged file; Pillow has no class of its own for it.
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)


class PictureError(ValueError):
    """A picture that cannot be used; the message names it and says why."""


def read(path: Path, most_pixels: int = MOST_PIXELS_OF_A_FILE) -> np.ndarray:
    """The picture in a file, (height, width, 3) uint8 in the order blue, green, red.

    Raises
    ------
    PictureError
        No picture, damaged, or larger than `most_pixels`.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    if path.stat().st_size > 16 * most_pixels:
        raise PictureError(f"'{path}' has {path.stat().st_size} bytes, too many for a picture")
    return decode(path.read_bytes(), f"'{path}'", most_pixels)


def decode(data: bytes, name: str = 'the picture', most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """The picture that bytes encode; arguments and errors as of `read`, `name` is for messages."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of Pillow, about damaged metadata
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = picture.size
            if width * height > most_pixels:
                raise PictureError(f'{name} has {width}x{height} pixels; at most {most_pixels} are read')
            with _ONE_LARGE if width * height > LARGE else nullcontext():
                return _plain(picture)
    except PictureError:
        raise
    except Image.UnidentifiedImageError:
        raise PictureError(f'{name} is no {", ".join(FORMATS[:-1])} or {FORMATS[-1]} picture') from None
    except Image.DecompressionBombError:
        raise PictureError(f'{name} has far too many pixels; at most {most_pixels} are read') from None
    except DAMAGED as error:
        raise PictureError(f'{name} is damaged or cut off ({str(error)[:100]})') from None


def _plain(picture) -> np.ndarray:
    """Blue, green and red of a picture as a person sees it."""
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
    """The picture turned as the metadata of the original say; damaged metadata turn nothing."""
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
    """An array as a picture: grey (h, w), or (h, w, 3) blue, green, red, uint8.

    Raises
    ------
    PictureError
        Another shape or type.
    """
    values = np.asarray(values)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or 0 in values.shape or values.shape[2:] not in ((), (3,)):
        raise PictureError(
            f'{name} must be uint8 of shape (height, width) or (height, width, 3), got {values.dtype} {values.shape}'
        )
    return np.repeat(values[:, :, None], 3, axis=2) if values.ndim == 2 else values
