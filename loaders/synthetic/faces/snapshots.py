"""The imperfections of a photograph: occlusions, captions, exposure, blur, noise, JPEG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from loaders.synthetic.faces.brushes import OVERSAMPLING, SIDE, fill, stroke
from loaders.synthetic.faces.people import spline

if TYPE_CHECKING:
    from loaders.synthetic.faces.painting import Pose


def occlude(image: np.ndarray, pose: Pose, person: Any, rng: np.random.Generator) -> None:
    """Draw a hand, a strand of hair, a scarf or a caption over one face in five, in place."""
    kind, side, x, y, tone = rng.random(5)
    if kind > 0.20:
        return
    sign = 1 if side < 0.5 else -1

    def at(points):
        return pose(points) / OVERSAMPLING

    if kind < 0.06:
        skin = person.skin * (0.75 + 0.4 * tone)
        wrist = np.array([sign * (0.9 + 0.5 * x), 2.2])
        palm = np.array([sign * (0.45 + 0.55 * x), 0.75 + 0.55 * y])
        side_step = np.array([0.28, 0.1 * sign])
        fill(image, at([wrist - 0.3, wrist + 0.3, palm + side_step, palm - side_step]), 0.92 * skin)
        for i in range(4):
            root = palm + side_step * (i / 1.5 - 1)
            tip = root + (sign * -0.10 * (i - 1), -0.55 + 0.08 * abs(i - 1.5))
            stroke(image, at([root, tip]), 0.85 * skin, 0.20 * pose.scale / OVERSAMPLING)
            stroke(image, at([root, tip]), skin, 0.13 * pose.scale / OVERSAMPLING)
    elif kind < 0.11:
        for i, bend in enumerate(rng.random(4)):
            start = np.array([sign * (0.1 + 0.2 * i), -1.1])
            middle = np.array([sign * (0.35 + 0.15 * i), -0.3 + 0.2 * bend])
            end = np.array([sign * (0.75 + 0.1 * bend), 0.5 + y])
            stroke(image, at(spline(3) @ [start, middle, end]), person.hair * (0.8 + 0.4 * bend), 1 + 2 * tone)
    elif kind < 0.14:
        top = 1.0 + 0.35 * y
        fill(image, at([(-1.5, top - 0.2), (0, top + 0.1 * x), (1.5, top - 0.2), (1.8, 3), (-1.8, 3)]), 30 + 200 * tone)
    else:
        caption(image, 0.06 if y < 0.35 else 0.86, 255 * (tone > 0.4), x > 0.6, rng)


def caption(image: np.ndarray, top: float, tone: Any, bar: Any, rng: np.random.Generator) -> None:
    """Draw a line of strokes that resemble letters, optionally on a bar.

    OpenCV's own text looks different from version to version.
    """
    n = len(image)
    height, x = 0.10 * n, 0.04 * n
    if bar:
        fill(
            image,
            [(0, top * n - 1), (n, top * n - 1), (n, top * n + height + 1), (0, top * n + height + 1)],
            255 - tone,
        )
    for corners in rng.random((int(4 + 8 * rng.random()), 3, 2)):
        stroke(image, (x, top * n) + corners * (0.055 * n, height), tone)
        x += 0.075 * n


def snapshot(image: np.ndarray, rng: np.random.Generator) -> Any:
    """Apply contrast, blur, sensor noise and JPEG compression: float32 (n, n) -> uint8 (n, n)."""
    contrast, brightness, blur, noise, packed, quality = rng.random(6)
    n = len(image)
    level = np.float32(128)
    # the exposure moves the mean most of the way to a medium grey
    image = image - np.float32(0.7) * (image.mean() - np.float32(115))
    image = (image - level) * np.float32(0.75 + 0.65 * contrast) + level + np.float32(60 * (brightness - 0.5))
    if blur > 0.35:
        image = cv2.GaussianBlur(image, (5, 5), float(0.7 * blur * n / SIDE))
    grain = rng.standard_normal((n, n), dtype=np.float32)
    image = image + np.float32(1 + 9 * noise**3) * grain
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    if packed < 0.7:
        code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, int(25 + 65 * quality)])[1]
        image = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return image
