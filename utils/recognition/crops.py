"""Faces cut out of a picture as FER2013's were: a square around the face, grey, at the size of the network.

FER2013's boxes are those of OpenCV's cascade. Measured on faces that both find, they are squares of 0.95 times the
height of YuNet's box, whose middle lies 0.014 times the height above the middle of that box.
"""

import math

import cv2
import numpy as np

from utils.recognition.detection import Detection

SIDE, UP = 0.95, 0.014  # of the height of the box


def square_of(face: Detection) -> tuple[float, float, float]:
    """Middle (x, y) and side of the square of a face, in pixels of the picture."""
    side = SIDE * face.height if face.landmarks else face.height
    up = UP * face.height if face.landmarks else 0.0
    return face.left + face.width / 2, face.top + face.height / 2 - up, max(side, 1.0)


def slope_of(face: Detection) -> float:
    """Degrees by which the line through the eyes falls to the right; 0 where there are no landmarks."""
    if len(face.landmarks) < 2:
        return 0.0
    (x1, y1), (x2, y2) = sorted(face.landmarks[:2])
    return math.degrees(math.atan2(y2 - y1, x2 - x1)) if x2 > x1 else 0.0


def crop(
    picture: np.ndarray,
    face: Detection,
    size: tuple[int, int],
    *,
    level: bool = False,
    shift: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
) -> np.ndarray:
    """The face as the network takes it, (height, width) uint8 grey.

    What lies beyond the edge of the picture is its mirror image.

    Parameters
    ----------
    picture : array (h, w, 3) uint8
        Blue, green, red.
    face : Detection
    size : (int, int)
        Height and width of what comes out.
    level : bool
        Turn the picture so that the eyes are level. FER2013's faces are not.
    shift : (float, float)
        Of the square to the right and down, in parts of its side.
    scale : float
        Of its side.
    """
    x, y, side = square_of(face)
    x, y, side = x + shift[0] * side, y + shift[1] * side, side * scale
    height, width = size
    slope = slope_of(face) if level else 0.0
    if slope:
        # First at the square's own size, so that the mean over areas, not a sample, makes the pixels.
        between = int(min(max(round(side), 8), 1024))
        turn = cv2.getRotationMatrix2D((x, y), slope, between / side)
        turn[:, 2] += between / 2 - x, between / 2 - y
        cut = cv2.warpAffine(picture, turn, (between, between), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    else:
        cut = _cut(picture, round(x - side / 2), round(y - side / 2), max(1, round(side)))
    grey = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY) if cut.ndim == 3 else cut
    shrinks = grey.shape[0] >= height and grey.shape[1] >= width
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _cut(picture, left, top, side):
    """A square of a picture, mirrored beyond its edges; a far larger square than the picture repeats the edge."""
    height, width = picture.shape[:2]
    rows, columns = np.arange(top, top + side), np.arange(left, left + side)
    if rows[0] >= 0 and columns[0] >= 0 and rows[-1] < height and columns[-1] < width:
        return picture[top : top + side, left : left + side]
    return picture[_mirrored(rows, height)[:, None], _mirrored(columns, width)]


def _mirrored(places, length):
    """Places along an axis, those beyond its ends mirrored at the edge (the pixel at the edge twice)."""
    places = np.mod(places, 2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
