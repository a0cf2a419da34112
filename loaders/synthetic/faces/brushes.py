"""Draw shapes with soft edges on a canvas; the sizes of canvas and image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np

SIDE = 48  # side of a FER2013 image in pixels
OVERSAMPLING = 3  # canvas pixels per image pixel while painting
SUBPIXEL = 4  # fractional bits of the coordinates given to OpenCV


def fixed(points: Any) -> np.ndarray:
    """Convert pixel coordinates to OpenCV's fixed-point integers with SUBPIXEL fractional bits."""
    return np.rint(np.asarray(points) * (1 << SUBPIXEL)).astype(np.int32)


def fill(image: np.ndarray, points: Any, tone: Any) -> None:
    """Fill a polygon (n, 2) with a grey tone."""
    cv2.fillPoly(image, [fixed(points)], float(np.clip(tone, 0, 255)), cv2.LINE_AA, SUBPIXEL)


def stroke(
    image: np.ndarray, points: Sequence[np.ndarray] | np.ndarray, tone: Any, width: float = 1, closed: bool = False
) -> None:
    """Draw a line along points (n, 2) with a grey tone and a width in pixels."""
    cv2.polylines(
        image, [fixed(points)], closed, float(np.clip(tone, 0, 255)), max(1, int(round(width))), cv2.LINE_AA, SUBPIXEL
    )


def disc(image: np.ndarray, centre: Any, radius: float, tone: Any) -> None:
    """Fill a circle with a radius in pixels."""
    centre = fixed(centre)
    cv2.circle(
        image,
        (int(centre[0]), int(centre[1])),
        int(round(radius * (1 << SUBPIXEL))),
        float(np.clip(tone, 0, 255)),
        -1,
        cv2.LINE_AA,
        SUBPIXEL,
    )


def mix(first: np.ndarray | float, second: float | np.ndarray, share: float) -> np.ndarray | float:
    """Interpolate from the first tone to the second by the fraction `share`."""
    return first + share * (second - first)


def blend(image: np.ndarray, over: np.ndarray, mask: np.ndarray) -> None:
    """Blend `over` into the image in place: fully where the mask is 255, partly where it is lower."""
    weight = mask.astype(np.int32)
    image[:] = (image * (255 - weight) + over * weight + 127) // 255


@cache
def circle(n: int = 20) -> np.ndarray:
    """Return n points of the unit circle, (n, 2)."""
    t = np.arange(n) * (2 * np.pi / n)
    return np.stack([np.cos(t), np.sin(t)], 1)
