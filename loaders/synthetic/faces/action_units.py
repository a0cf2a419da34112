"""Facial action units. An emotion is a set of units, each of which moves landmarks and deepens skin folds.

References
----------
.. [1] P. Ekman, W. V. Friesen, J. C. Hager, Facial Action Coding System,
   2nd edition, 2002; the investigator's guide lists the EMFACS prototypes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Action units of each emotion [1].
PROTOTYPES = {
    0: (4, 5, 7, 23),
    1: (9, 15, 17),
    2: (1, 2, 4, 5, 7, 20, 26),
    3: (6, 12),
    4: (1, 4, 15),
    5: (1, 2, 5, 26),
    6: (),
}


# Landmarks of the right half of an average face. The left half is its mirror image.
# Every curve runs outwards from the middle of the face, or downwards.
HALF_FACE = {
    'outline': [
        (0, -1.32),
        (0.55, -1.20),
        (0.88, -0.75),
        (0.97, -0.15),
        (0.95, 0.35),
        (0.81, 0.85),
        (0.47, 1.26),
        (0, 1.42),
    ],
    'brow': [(0.17, -0.25), (0.30, -0.30), (0.45, -0.34), (0.60, -0.32), (0.74, -0.23)],
    'upper_lid': [(0.23, 0.03), (0.32, -0.06), (0.42, -0.09), (0.53, -0.06), (0.62, 0)],
    'lower_lid': [(0.23, 0.03), (0.32, 0.06), (0.43, 0.07), (0.54, 0.05), (0.62, 0)],
    'iris': [(0.42, -0.015)],
    'nose': [(0.06, 0.02), (0.08, 0.30), (0.19, 0.46), (0.18, 0.55), (0.06, 0.57), (0, 0.60)],
    'upper_lip': [(0, 0.81), (0.08, 0.795), (0.22, 0.835), (0.36, 0.88)],
    'upper_inner_lip': [(0, 0.885), (0.08, 0.88), (0.22, 0.885), (0.36, 0.88)],
    'lower_inner_lip': [(0, 0.89), (0.08, 0.89), (0.22, 0.89), (0.36, 0.88)],
    'lower_lip': [(0, 1.02), (0.10, 1.01), (0.24, 0.96), (0.36, 0.88)],
    'nasolabial': [(0.22, 0.45), (0.33, 0.60), (0.42, 0.76), (0.46, 0.92)],
    'cheek': [(0.58, 0.42)],
}
LIPS = ('upper_lip', 'upper_inner_lip', 'lower_inner_lip', 'lower_lip')
FOLDS = ('forehead', 'glabella', 'crow', 'nose', 'nasolabial', 'cheek', 'chin', 'socket')


def shift(curve: Any, amount: Any, dx: Any, dy: Any) -> None:
    """Move the points (k, 2) in place by amount * (dx, dy), where dx and dy are numbers or have k values."""
    curve[:, 0] += amount * np.asarray(dx)
    curve[:, 1] += amount * np.asarray(dy)


def move_corner(points: Any, amount: Any, dx: Any, dy: Any) -> None:
    """Move the lip corner by amount * (dx, dy), and the rest of the lips less."""
    reach = np.array([0, 0.06, 0.42, 1])
    for name in LIPS:
        shift(points[name], amount, dx * reach, dy * reach)


def inner_brow_raiser(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 1: the inner brow goes up, wrinkling the middle of the forehead."""
    shift(points['brow'], a, 0, [-0.24, -0.16, -0.06, 0, 0])
    shift(points['upper_lid'], a, 0, [0, -0.025, -0.015, 0, 0])
    folds['forehead'] += 0.5 * a


def outer_brow_raiser(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 2: the outer brow goes up and arches."""
    shift(points['brow'], a, 0, [0, -0.05, -0.13, -0.18, -0.15])
    shift(points['upper_lid'], a, 0, [0, 0, -0.01, -0.02, 0])
    folds['forehead'] += 0.5 * a


def brow_lowerer(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 4: brows come down and together, with furrows between them."""
    shift(points['brow'], a, [-0.09, -0.07, -0.05, -0.02, 0], [0.13, 0.11, 0.08, 0.04, 0.01])
    shift(points['upper_lid'], a, 0, [0, 0.02, 0.015, 0.005, 0])
    folds['glabella'] += a
    folds['socket'] += 0.5 * a


def upper_lid_raiser(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 5: the upper lid opens, white shows above the iris."""
    shift(points['upper_lid'], a, 0, [0, -0.06, -0.085, -0.07, -0.01])


def cheek_raiser(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 6: cheeks push the lower lid up; crow's feet."""
    shift(points['lower_lid'], a, 0, [0, -0.025, -0.04, -0.03, 0])
    shift(points['upper_lid'], a, 0, [0, 0.01, 0.025, 0.025, 0.01])
    shift(points['cheek'], a, 0, -0.07)
    folds['crow'] += a
    folds['cheek'] += 0.6 * a


def lid_tightener(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 7: both lids narrow the eye, the lower becomes straight."""
    shift(points['lower_lid'], a, 0, [0, -0.035, -0.05, -0.03, 0])
    shift(points['upper_lid'], a, 0, [0, 0.015, 0.03, 0.02, 0])
    folds['socket'] += 0.3 * a


def nose_wrinkler(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 9: nose wings and upper lip go up, the inner brow down."""
    shift(points['nose'], a, [0, 0.01, 0.03, 0.03, 0.01, 0], [0, -0.02, -0.08, -0.09, -0.06, -0.05])
    shift(points['brow'], a, [-0.04, -0.02, 0, 0, 0], [0.11, 0.07, 0.03, 0, 0])
    shift(points['upper_lid'], a, 0, [0.01, 0.03, 0.03, 0.02, 0])
    shift(points['lower_lid'], a, 0, [0, -0.03, -0.035, -0.02, 0])
    shift(points['upper_lip'], a, 0, [-0.06, -0.09, -0.08, -0.02])
    shift(points['upper_inner_lip'], a, 0, [-0.02, -0.04, -0.04, 0])
    shift(points['nasolabial'], a, [0.01, 0, 0, 0], [-0.08, -0.05, -0.02, 0])
    folds['nose'] += a
    folds['nasolabial'] += 0.7 * a


def lip_corner_puller(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 12: lip corners go out and up, lips flatten, cheeks round."""
    move_corner(points, a, 0.15, -0.17)
    shift(points['lower_lip'], a, 0, [0.02, 0.01, -0.02, 0])
    shift(points['upper_lip'], a, 0, [0.03, 0.03, 0, 0])
    shift(points['nasolabial'], a, [0.02, 0.07, 0.11, 0.12], [0, -0.04, -0.07, -0.08])
    shift(points['nose'], a, [0, 0, 0.025, 0.02, 0, 0], 0)
    shift(points['cheek'], a, 0.02, -0.06)
    folds['nasolabial'] += 0.8 * a
    folds['cheek'] += 0.6 * a


def lip_corner_depressor(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 15: lip corners go down."""
    move_corner(points, a, 0.01, 0.15)
    shift(points['nasolabial'], a, [0, 0, 0.01, 0.02], [0, 0.01, 0.03, 0.06])
    folds['nasolabial'] += 0.2 * a


def chin_raiser(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 17: the chin boss pushes the lower lip up, the mouth arches."""
    shift(points['lower_lip'], a, 0, [-0.05, -0.05, -0.03, 0.02])
    shift(points['lower_inner_lip'], a, 0, [-0.06, -0.06, -0.02, 0.02])
    shift(points['upper_inner_lip'], a, 0, [-0.06, -0.06, -0.02, 0.02])
    shift(points['upper_lip'], a, 0, [-0.05, -0.05, -0.02, 0.02])
    shift(points['outline'], a, 0, [0, 0, 0, 0, 0, 0, 0, -0.04])
    folds['chin'] += a


def lip_stretcher(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 20: lip corners are pulled straight out, the mouth is a slot."""
    move_corner(points, a, 0.16, 0.05)
    shift(points['lower_lip'], a, 0, [-0.02, -0.02, 0.02, 0])
    shift(points['nasolabial'], a, [0, 0.02, 0.06, 0.10], 0)
    folds['nasolabial'] += 0.3 * a


def lip_tightener(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 23: the red of the lips is rolled in, the mouth is narrow."""
    line = 0.5 * (points['upper_inner_lip'] + points['lower_inner_lip'])
    for name in LIPS:
        points[name] += 0.55 * a * (line - points[name])
    move_corner(points, a, -0.06, 0)
    folds['chin'] += 0.3 * a


def lips_part(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 25: the lips come apart without the jaw."""
    shift(points['upper_inner_lip'], a, 0, [-0.045, -0.045, -0.03, 0])
    shift(points['upper_lip'], a, 0, [-0.035, -0.035, -0.02, 0])
    shift(points['lower_inner_lip'], a, 0, [0.07, 0.07, 0.045, 0])
    shift(points['lower_lip'], a, 0, [0.06, 0.06, 0.04, 0])


def jaw_drop(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 26: the jaw falls, chin and lower lip with it, the mouth opens."""
    shift(points['outline'], a, [0, 0, 0, 0, 0, -0.02, -0.02, 0], [0, 0, 0, 0, 0.02, 0.09, 0.22, 0.27])
    shift(points['lower_lip'], a, 0, [0.27, 0.27, 0.21, 0.06])
    shift(points['lower_inner_lip'], a, 0, [0.26, 0.26, 0.19, 0.06])
    shift(points['upper_inner_lip'], a, 0, [-0.03, -0.03, -0.02, 0.06])
    shift(points['upper_lip'], a, 0, [-0.02, -0.02, -0.01, 0.06])
    move_corner(points, a, -0.05, 0)


def eye_closure(points: Any, folds: dict[str, float], a: Any) -> None:
    """AU 43: the upper lid comes down to the lower one."""
    points['upper_lid'] += a * (points['lower_lid'] - points['upper_lid'])


ACTION_UNITS = {
    1: inner_brow_raiser,
    2: outer_brow_raiser,
    4: brow_lowerer,
    5: upper_lid_raiser,
    6: cheek_raiser,
    7: lid_tightener,
    9: nose_wrinkler,
    12: lip_corner_puller,
    15: lip_corner_depressor,
    17: chin_raiser,
    20: lip_stretcher,
    23: lip_tightener,
    25: lips_part,
    26: jaw_drop,
    43: eye_closure,
}


def express(emotion: Any, rng: np.random.Generator) -> Any:
    """Draw the intensities of the action units of a face that shows an emotion.

    Real faces differ from the prototypes. The overall strength and that of every action unit vary, some faces hardly
    move, a unit may be missing, a second emotion may be mixed in, and faces may speak or blink.

    Parameters
    ----------
    emotion : int
        Index into `EMOTIONS`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict
        Intensity by number of the action unit, 0..1.2.
    """
    weak, strength = rng.random(2)
    strength = 0.10 + 0.35 * strength if weak < 0.16 else 0.75 + 0.45 * strength
    intensities = {}
    for unit in PROTOTYPES[emotion]:
        missing, share = rng.random(2)
        if missing > 0.08:
            intensities[unit] = min(1.2, strength * (0.75 + 0.45 * share))
    blend, other, weight, speech, part, blink = rng.random(6)
    if blend < 0.22:
        for unit in PROTOTYPES[int(7 * other)]:
            intensities[unit] = max(intensities.get(unit, 0.0), 0.15 + 0.55 * weight)
    if speech < (0.65 if emotion == 3 else 0.18):
        intensities[25] = 0.3 + 0.9 * part
        if speech < 0.06:
            intensities[26] = max(intensities.get(26, 0.0), 0.4 * part)
    if blink < 0.05:
        intensities[43] = 0.5 + 10 * blink
    for unit in (1, 2, 4, 7, 15, 17):  # a face is never completely at rest
        stray = rng.random()
        if stray < 0.06:
            intensities[unit] = max(intensities.get(unit, 0.0), 5 * stray)
    return intensities
