"""Crop faces as in FER2013: a grey square around the face, at the input size of the network.

FER2013's boxes come from OpenCV's cascade. On faces that both detectors find, they are squares whose side is 0.95 times
the height of YuNet's box. Their centre is above that of the box, by 0.014 times its height.
"""

import math

import cv2
import numpy as np

from utils.recognition.detection import Detection

SIDE, UP = 0.95, 0.014  # as fractions of the height of the box


def square_of(face: Detection) -> tuple[float, float, float]:
    """Return the centre (x, y) and the side of the square of a face, in pixels of the picture."""
    side = SIDE * face.height if face.landmarks else face.height
    up = UP * face.height if face.landmarks else 0.0
    return face.left + face.width / 2, face.top + face.height / 2 - up, max(side, 1.0)


def slope_of(face: Detection) -> float:
    """Return the angle in degrees by which the line through the eyes falls to the right; 0 without landmarks."""
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
    """Crop a face for the network: grey, uint8 (height, width).

    Beyond its edges, the picture is continued by its mirror image.

    Parameters
    ----------
    picture : array (h, w, 3) uint8
        Picture in the order blue, green, red.
    face : Detection
        Face to crop.
    size : (int, int)
        Height and width of the crop.
    level : bool
        Whether to rotate the picture so that the eyes are level. FER2013's faces are not levelled.
    shift : (float, float)
        Shift of the square to the right and down, as fractions of its side.
    scale : float
        Factor of the side of the square.
    """
    x, y, side = square_of(face)
    x, y, side = x + shift[0] * side, y + shift[1] * side, side * scale
    height, width = size
    slope = slope_of(face) if level else 0.0
    if slope:
        # Rotate at the square's own size, so that the resize below averages over areas instead of sampling.
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
    """Cut a square from a picture that is continued periodically by its mirror image."""
    height, width = picture.shape[:2]
    rows, columns = np.arange(top, top + side), np.arange(left, left + side)
    if rows[0] >= 0 and columns[0] >= 0 and rows[-1] < height and columns[-1] < width:
        return picture[top : top + side, left : left + side]
    return picture[_mirrored(rows, height)[:, None], _mirrored(columns, width)]


def _mirrored(places, length):
    """Reflect positions beyond the ends of an axis at the edges, with the edge pixel repeated."""
    places = np.mod(places, 2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
