"""A head in a pose, painted part by part on a canvas larger than the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from loaders.synthetic.faces.brushes import OVERSAMPLING, blend, circle, disc, fill, mix, stroke
from loaders.synthetic.faces.light import lighting, relief
from loaders.synthetic.faces.people import landmarks, spline


@dataclass
class Pose:
    """The pose of a head in the picture, which maps face units to pixels of the canvas.

    Yaw, pitch and roll are in radians, and `scale` is in pixels per face unit. (x, y) is the pixel of the point midway
    between the eyes.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    x: float
    y: float

    def __post_init__(self):
        sy, cy = np.sin(self.yaw), np.cos(self.yaw)
        sp, cp = np.sin(self.pitch), np.cos(self.pitch)
        sr, cr = np.sin(self.roll), np.cos(self.roll)
        turn = np.array([[cy, 0, sy], [sp * sy, cp, -sp * cy]])
        self.matrix = self.scale * np.array([[cr, -sr], [sr, cr]]) @ turn

    def __call__(self, points: Any) -> Any:
        """Map face coordinates (n, 2) on the skin to pixels (n, 2).

        The head is an ellipsoid with a bump for the nose, in parallel projection.
        """
        x, y = np.asarray(points, float).T
        z = 0.8 * np.sqrt(np.maximum(1 - (x / 1.15) ** 2 - (y / 1.7) ** 2, 0)) - 0.8
        z += 0.25 * np.maximum(1 - (x / 0.3) ** 2 - ((y - 0.5) / 0.4) ** 2, 0)
        return np.stack([x, y, z], 1) @ self.matrix.T + (self.x, self.y)


def draw_pose(rng: np.random.Generator, side: int) -> Any:
    """Draw a random pose for a canvas of side x side pixels."""
    yaw, pitch, roll, dx, dy, size = np.clip(rng.standard_normal(6), -2, 2)
    return Pose(
        yaw=0.18 * yaw,
        pitch=0.09 * pitch,
        roll=0.08 * roll,
        scale=side * (0.415 + 0.025 * size),
        x=side * (0.5 + 0.022 * dx),
        y=side * (0.40 + 0.022 * dy),
    )


def paint_background(side: int, rng: np.random.Generator) -> Any:
    """Paint a wall, a blurred room or a few edges: canvas (side, side), uint8."""
    kind, tone, contrast = rng.random(3)
    tone = np.clip(1.4 * tone - 0.2, 0, 1)  # walls are often black or white
    coarse = rng.random((5, 5), dtype=np.float32) - np.float32(0.5)
    coarse = 255 * (0.03 + 0.94 * tone) + 180 * contrast**2 * coarse
    canvas = cv2.resize(np.clip(coarse, 0, 255).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    if kind < 0.4:
        for x, y, width, height, grey in rng.random((3, 5)):
            corner = np.array([x, y]) * side
            size = np.array([0.1 + 0.5 * width, 0.1 + 0.8 * height]) * side
            box = corner + size * [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]
            fill(canvas, box, 255 * grey)
    return canvas


def paint_body(canvas: Any, pose: Pose, person: Any, rng: np.random.Generator) -> None:
    """Paint the neck and the clothes below it."""
    skin, (cloth, collar) = person.skin, rng.random(2)
    wide = 0.62 * person.width * person.jaw
    fill(canvas, pose([(-wide, 0.7), (wide, 0.7), (wide * 1.1, 2.6), (-wide * 1.1, 2.6)]), 0.72 * skin)
    shoulder = 1.75 + 0.25 * collar
    fill(
        canvas,
        pose(
            [
                (-0.2, shoulder + 0.35),
                (-wide, shoulder - 0.05),
                (-2, shoulder + 0.4),
                (-2, 3.5),
                (2, 3.5),
                (2, shoulder + 0.4),
                (wide, shoulder - 0.05),
                (0.2, shoulder + 0.35),
            ]
        ),
        20 + 215 * cloth,
    )


def paint_hair_behind(canvas: Any, pose: Pose, person: Any, rng: np.random.Generator) -> None:
    """Paint the hair that the head partly hides."""
    tone = person.hair
    if person.hair_style == 'long':
        length = 0.6 + 1.6 * rng.random()
        x = person.width * np.array([1.22, 1.28, 1.2])
        y = np.array([-0.6, 0.4, length])
        side = np.stack([x, y], 1)
        top = circle()[10:] * (1.12 * person.width, 1.05) + (0, -0.55)
        fill(canvas, pose(np.concatenate([top, side, side[::-1] * (-1, 1)])), tone * 0.85)
    elif person.hair_style == 'curly':
        for t, size in zip(np.linspace(-0.1, 1.1, 11), rng.random(11)):
            centre = (-np.cos(np.pi * t) * 1.02 * person.width, -0.45 - np.sin(np.pi * t) * 0.85)
            disc(canvas, pose([centre])[0], pose.scale * (0.28 + 0.16 * size), tone * (0.8 + 0.4 * size))
    elif person.hair_style != 'bald':
        top = circle()[10:] * (1.06 * person.width, 1.05) + (0, -0.42)
        fill(canvas, pose(top), tone)


def paint_hair_before(canvas: Any, pose: Pose, person: Any, rng: np.random.Generator) -> None:
    """Paint hairline and fringe, or the rim of a cap, over the forehead."""
    if person.hair_style == 'bald':
        return
    top = circle()[10:] * (1.04 * person.width, 0.95) + (0, -0.50)
    wave = rng.random(7)
    low = -0.98 + 0.55 * person.fringe**3
    x = np.linspace(0.93, -0.93, 7) * person.width
    y = low + 0.12 * (wave - 0.5) + 0.30 * np.abs(np.linspace(-1, 1, 7)) ** 3
    if person.hair_style == 'cap':
        y = np.full(7, -0.62) + 0.1 * np.abs(np.linspace(-1, 1, 7))
    edge = spline(7) @ np.stack([x, y], 1)
    fill(canvas, pose(np.concatenate([top, edge])), person.hair)
    for strand in rng.random((4, 3)):
        start = edge[int(strand[0] * len(edge))]
        end = (start[0] * 0.5 + strand[1] - 0.5, -1.35)
        stroke(canvas, pose([start, end]), person.hair * (0.7 + 0.8 * strand[2]) + 10 * strand[2], 2)


def paint_head(canvas: Any, pose: Pose, curves: Any, person: Any) -> None:
    """Paint ears, skin and beard."""
    ear = circle(12) * (0.14, 0.27) + (1.0 * person.width, 0.22)
    if person.hair_style != 'long':
        for side in (-1, 1):
            fill(canvas, pose(ear * (side, 1)), 0.84 * person.skin)
    outline = curves['outline']
    fill(canvas, outline, person.skin)
    if person.beard:
        # the contour from cheek over chin to cheek, closed through the face
        n = len(outline)
        jaw = np.roll(outline, n // 2, axis=0)[n // 2 - 11 : n // 2 + 12]
        shade = mix(person.skin, person.hair, 0.25 + 0.6 * person.beard)
        cheeks = pose([(-0.70, 0.66), (-0.50, 0.80), (0, 0.76), (0.50, 0.80), (0.70, 0.66)])
        # a softer upper edge, in a tone between skin and beard
        above = cheeks - (0, 0.06 * pose.scale)
        fill(canvas, np.concatenate([jaw[1:-1], above]), mix(person.skin, shade, 0.4))
        fill(canvas, np.concatenate([jaw, cheeks]), shade)


def paint_mouth(canvas: Any, pose: Pose, curves: Any, person: Any) -> None:
    """Paint the lips and, in an open mouth, teeth, tongue and darkness."""
    upper, lower = curves['upper_lip'], curves['lower_lip']
    inner_up, inner_low = (curves['upper_inner_lip'], curves['lower_inner_lip'])
    lip = mix(person.lip, 0.5 * person.lip, 0.6 * person.makeup)
    fill(canvas, np.concatenate([upper, inner_up[::-1]]), 0.86 * lip)
    fill(canvas, np.concatenate([inner_low, lower[::-1]]), 1.03 * lip)
    stroke(canvas, lower[8:17], 1.25 * lip, 1)
    gap = inner_low - inner_up
    height = float(np.abs(gap[:, 1]).max()) / pose.scale
    if height > 0.03:
        fill(canvas, np.concatenate([inner_up, inner_low[::-1]]), 28)
        teeth = min(1.0, 0.14 / height)
        fill(
            canvas,
            np.concatenate([inner_up[2:-2], (inner_up + teeth * gap)[-3:1:-1]]),
            min(235, 120 + 0.55 * person.skin),
        )
        if height > 0.2:
            fill(canvas, np.concatenate([(inner_low - 0.35 * gap)[5:-5], inner_low[-6:4:-1]]), 0.6 * person.lip)
    stroke(canvas, inner_up, 0.38 * lip, 1)
    if height <= 0.03:
        stroke(canvas, inner_low, 0.35 * lip, 1)
    if person.moustache:
        nose = 0.5 * (curves['nose_left'][-1] + curves['nose_right'][-1])
        shade = mix(person.skin, person.hair, 0.3 + 0.6 * person.moustache)
        fill(canvas, np.concatenate([upper[2:-2], [mix(upper[16], nose, 0.8), mix(upper[8], nose, 0.8)]]), shade)


def paint_nose(canvas: Any, curves: Any, person: Any, pose: Pose) -> None:
    """Paint nose wings and nostrils. The bridge appears through the shading."""
    for side in ('_left', '_right'):
        nose = curves['nose' + side]
        stroke(canvas, nose[9:15], 0.74 * person.skin, 2)
        hole = 0.5 * (nose[12] + nose[18]) + (0, 0.01 * pose.scale)
        fill(canvas, hole + circle(8) * (0.065 * pose.scale, 0.03 * pose.scale), 0.33 * person.skin)


def paint_eye(canvas: Any, curves: Any, side: str, person: Any, pose: Pose, gaze: Any) -> None:
    """Paint the eyeball behind the lids, the lashes and the fold of the upper lid."""
    upper, lower = curves['upper_lid' + side], curves['lower_lid' + side]
    almond = np.concatenate([upper, lower[-2:0:-1]])
    low = np.maximum(np.floor(almond.min(0)).astype(int) - 2, 0)
    high = np.ceil(almond.max(0)).astype(int) + 3
    region = canvas[low[1] : high[1], low[0] : high[0]]
    if not region.size:
        return
    white = 150 + 0.30 * person.skin
    ball = np.full_like(region, min(235, white))
    iris = curves['iris' + side][0] + gaze * pose.scale - low
    disc(ball, iris, 0.098 * person.eye_size * pose.scale, person.iris)
    disc(ball, iris, 0.045 * person.eye_size * pose.scale, 8)
    disc(ball, iris - 0.03 * pose.scale, 0.022 * pose.scale, 250)
    mask = np.zeros_like(region)
    fill(mask, almond - low, 255)
    blend(region, ball, mask)
    lash = mix(0.45 * person.skin, 12, 0.4 + 0.6 * person.makeup)
    stroke(canvas, upper, lash, 2 + 1.2 * person.makeup)
    stroke(canvas, lower[4:], 0.62 * person.skin, 1)
    crease = upper[2:] + (0, -0.055 * pose.scale)
    stroke(canvas, crease, 0.74 * person.skin, 1)


def paint_brow(canvas: Any, curve: Any, person: Any, pose: Pose) -> None:
    """Paint a brow that is thick at its inner end."""
    thick = np.array([0.8, 1.0, 0.85, 0.6, 0.25]) * 0.045 * person.brow_thickness
    thick = (spline(5) @ thick * pose.scale)[:, None] * (0, 1)
    fill(canvas, np.concatenate([curve - thick, (curve + thick)[::-1]]), mix(person.skin, 0.9 * person.hair, 0.80))


def paint_glasses(canvas: Any, pose: Pose, person: Any) -> None:
    """Paint glasses, with frames from round and thick to angular and thin, or sunglasses."""
    tone = 20 + 110 * person.frame**2
    # between circle and rectangle: |x|**p + |y|**p = 1 with p = 2 .. 4
    power = 1 / (1 + person.frame)
    rim = np.sign(circle()) * np.abs(circle()) ** power
    for side in (-1, 1):
        glass = pose(rim * (0.29, 0.23 - 0.05 * person.frame) + (side * (0.43 + person.eye_shift), 0.03))
        if person.glasses == 'dark':
            fill(canvas, glass, 25)
        stroke(canvas, glass, tone, 3 - 1.5 * person.frame, True)
        stroke(canvas, pose([(side * 0.73, 0), (side * 0.98, -0.04)]), tone, 2)
    stroke(canvas, pose([(-0.14, 0), (0.14, 0)]), tone, 2)


def paint(person: Any, left: Any, right: Any, pose: Pose, rng: np.random.Generator, side: int) -> Any:
    """Paint a person under action units: float32 (side, side), about 0..255.

    Parameters
    ----------
    person : Person
        Appearance of the person.
    left, right : dict
        Intensities of the action units of the two halves of the face.
    pose : Pose
        Pose of the head on the canvas.
    rng : numpy.random.Generator
        Source of randomness.
    side : int
        Side of the image in pixels.
    """
    curves, folds = landmarks(person, left, right)
    names = list(curves)
    ends = np.cumsum([len(curve) for curve in curves.values()])[:-1]
    pixels = pose(np.concatenate(list(curves.values())))
    curves = dict(zip(names, np.split(pixels, ends)))
    azimuth, height, strength = rng.random(3)
    light = np.array([1.6 * (azimuth - 0.5), -0.6 + 0.9 * (height - 0.4), 1.0])
    light /= np.sqrt((light**2).sum())

    canvas = paint_background(side * OVERSAMPLING, rng)
    paint_hair_behind(canvas, pose, person, rng)
    paint_body(canvas, pose, person, rng)
    paint_head(canvas, pose, curves, person)
    paint_mouth(canvas, pose, curves, person)
    paint_nose(canvas, curves, person, pose)
    gaze = 0.028 * np.clip(rng.standard_normal(2), -2, 2) * (1, 0.5)
    for name in ('_left', '_right'):
        paint_eye(canvas, curves, name, person, pose, gaze)
        paint_brow(canvas, curves['brow' + name], person, pose)
    paint_hair_before(canvas, pose, person, rng)
    if person.glasses != 'none':
        paint_glasses(canvas, pose, person)

    image = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    image = image * relief(curves, folds, person, pose, light, side)
    return image * lighting(pose, light, 0.25 + 0.75 * strength, side)
