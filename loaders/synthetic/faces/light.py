"""Skin folds, shading and lighting, as factors of the grey levels."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from loaders.synthetic.faces.brushes import OVERSAMPLING, circle, disc, fill, mix, stroke

if TYPE_CHECKING:
    from loaders.synthetic.faces.painting import Pose
    from loaders.synthetic.faces.people import Person


def relief(
    curves: dict[str, np.ndarray], folds: dict[str, float], person: Person, pose: Pose, light: np.ndarray, side: int
) -> np.ndarray:
    """Compute the shading of the skin by its form, as a factor: (side, side), 1 for none.

    Broad forms are blurred, and fine skin folds are drawn into them.
    """
    s = pose.scale / OVERSAMPLING
    c = {name: curve / OVERSAMPLING for name, curve in curves.items()}
    image = np.full((side, side), 128, np.uint8)
    stroke(image, c['outline'], 104, 0.14 * s, True)
    forehead = circle(12) * (0.5, 0.22) + (0, -0.72)
    fill(image, pose(forehead) / OVERSAMPLING, 138)
    shadow = 1 if light[0] < 0 else -1  # the side away from the light
    for sign, name in ((-1, '_left'), (1, '_right')):
        lid, brow = c['upper_lid' + name], c['brow' + name]
        fill(image, np.concatenate([brow, lid[::-1]]), 112 - 16 * folds['socket'])
        cheek = c['cheek' + name][0]
        disc(image, cheek, 0.24 * s, 136 + 8 * folds['cheek'])
        nose = c['nose' + name]
        ridge = pose([(sign * 0.02, 0.05), (sign * 0.03, 0.52)]) / OVERSAMPLING
        fill(image, np.concatenate([nose[:16], ridge[::-1]]), 104 if sign == shadow else 136)
        stroke(image, c['lower_lid' + name] + (0, 0.09 * s), 118 - 14 * person.age - 8 * folds['cheek'], 0.08 * s)
    stroke(image, pose([(0, 0.1), (0, 0.5)]) / OVERSAMPLING, 150, 0.07 * s)
    lower = c['lower_lip'][12]
    chin = c['outline'][0]
    disc(image, mix(lower, chin, 0.25), 0.13 * s, 110 - 14 * folds['chin'])
    disc(image, mix(lower, chin, 0.65), 0.15 * s, 138 + 8 * folds['chin'])
    image = cv2.GaussianBlur(image, (0, 0), 0.055 * s)
    draw_folds(image, c, folds, person.age, s)
    image = cv2.GaussianBlur(image, (3, 3), 0.55)
    return image.astype(np.float32) / np.float32(128)


def draw_folds(image: np.ndarray, c: dict[str, np.ndarray], folds: dict[str, float], age: float, s: float) -> None:
    """Draw the lines of expression and age, dark on the relief of 128.

    `c` has the curves, and `s` is the face unit in pixels of the relief.
    """

    def line(points, depth):
        if depth > 0.08:
            stroke(image, points, 128 - 62 * min(depth, 1.3))

    for sign, name in ((-1, '_left'), (1, '_right')):
        line(c['nasolabial' + name], 0.15 + 0.35 * age + 0.75 * folds['nasolabial'])
        eye = c['upper_lid' + name][-1]
        for dy in (-0.10, 0.0, 0.10):
            line(
                [eye + (sign * 0.06 * s, dy * 0.4 * s), eye + (sign * 0.22 * s, dy * s)],
                0.3 * age + 0.5 * folds['crow'],
            )
        inner = c['brow' + name][0]
        line([inner + (-sign * 0.09 * s, -0.10 * s), inner + (-sign * 0.08 * s, 0.14 * s)], 0.8 * folds['glabella'])
        bridge = c['nose' + name][0]
        for dy in (0.02, 0.12):
            line(
                [bridge + (sign * 0.10 * s, (dy + 0.06) * s), bridge + (-sign * 0.04 * s, dy * s)], 0.8 * folds['nose']
            )
    for i, dy in enumerate((0.14, 0.26, 0.38)):
        left, right = c['brow_left'], c['brow_right']
        curve = np.concatenate([left[12:2:-3], right[3:13:3]])
        line(curve - (0, dy * s), (0.35 * age + 0.55 * folds['forehead']) * (1, 0.9, 0.6)[i])
    lower = c['lower_lip']
    line(lower[8:17] + (0, 0.13 * s), 0.6 * folds['chin'] + 0.15 * age)


@cache
def pixel_grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and y coordinates of all pixels, each float32 (side, side)."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return x, y


def lighting(pose: Pose, light: np.ndarray, strength: float, side: int) -> np.ndarray:
    """Compute the light on a head, modelled as an ellipsoid: factor (side, side), mean near 1.

    The light follows Lambert's law, with `light` a unit vector (3,) towards the lamp (z towards the viewer). Beyond the
    head, the factor fades towards 1.
    """
    x, y = pixel_grid(side)
    unit = np.float32(OVERSAMPLING / pose.scale)
    x = (x - np.float32(pose.x / OVERSAMPLING)) * unit / np.float32(1.15)
    y = ((y - np.float32(pose.y / OVERSAMPLING)) * unit - np.float32(0.05)) / np.float32(1.5)
    r2 = x * x + y * y
    inside = np.minimum(r2, np.float32(0.92))
    shrink = np.sqrt(inside / np.maximum(r2, np.float32(1e-6)))
    lambert = (x * np.float32(light[0]) + y * np.float32(light[1])) * shrink + np.sqrt(1 - inside) * np.float32(
        light[2]
    )
    lambert = np.maximum(lambert, np.float32(-0.1)) - np.float32(0.78 * light[2])
    fade = np.clip(np.float32(2.2) - r2, np.float32(0.15), 1)
    return 1 + np.float32(strength) * lambert * fade
