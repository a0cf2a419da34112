"""The appearance of a person, and the landmarks of a face under action units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from loaders.synthetic.faces.action_units import ACTION_UNITS, FOLDS, HALF_FACE, LIPS


@dataclass
class Person:
    """The appearance of a person with the face at rest.

    The first group are factors relative to the average face `HALF_FACE` (1 is average). The second are shifts of it in
    face units (0 is average). The third are grey levels in 0..255. The last are in 0..1 or choices by name.
    """

    width: float = 1.0
    jaw: float = 1.0
    lower_face: float = 1.0
    forehead: float = 1.0
    eye_size: float = 1.0
    eye_opening: float = 1.0
    nose_width: float = 1.0
    nose_length: float = 1.0
    mouth_width: float = 1.0
    lips: float = 1.0
    brow_thickness: float = 1.0

    eye_shift: float = 0.0
    eye_tilt: float = 0.0
    brow_height: float = 0.0
    brow_tilt: float = 0.0
    brow_arch: float = 0.0
    mouth_shift: float = 0.0
    mouth_corner: float = 0.0

    skin: float = 170.0
    hair: float = 50.0
    lip: float = 120.0
    iris: float = 70.0

    age: float = 0.0
    makeup: float = 0.0
    beard: float = 0.0
    moustache: float = 0.0
    hair_style: str = 'short'
    fringe: float = 0.5
    glasses: str = 'none'
    frame: float = 0.0


HAIR_STYLES = ('bald', 'short', 'long', 'curly', 'cap')
GLASSES = ('none', 'clear', 'dark')


def choice(rng: np.random.Generator, names: Sequence[str], weights: Any) -> Any:
    """Draw one of the names by weights that sum to 1."""
    return names[int(np.searchsorted(np.cumsum(weights)[:-1], rng.random(), side='right'))]


def draw_person(rng: np.random.Generator) -> Any:
    """Draw a random person: numpy.random.Generator -> Person."""
    spread = dict(
        width=0.06,
        jaw=0.10,
        lower_face=0.05,
        forehead=0.05,
        eye_size=0.09,
        eye_opening=0.14,
        nose_width=0.15,
        nose_length=0.07,
        mouth_width=0.10,
        lips=0.25,
        brow_thickness=0.3,
        eye_shift=0.025,
        eye_tilt=0.07,
        brow_height=0.035,
        brow_tilt=0.10,
        brow_arch=0.02,
        mouth_shift=0.03,
        mouth_corner=0.022,
    )
    z = np.clip(rng.standard_normal(len(spread)), -2.2, 2.2)
    neutral = Person()
    looks = {name: getattr(neutral, name) + std * value for (name, std), value in zip(spread.items(), z)}
    u = rng.random(12)
    skin = 75 + 120 * u[0] ** 0.6
    age = u[1] ** 2
    female = u[2] < 0.5
    hair = 15 + 60 * u[3] if u[4] < 0.65 else 80 + 110 * u[3]
    if age > 0.6 and u[5] < 0.7:
        hair = 150 + 80 * u[3]
    style = choice(rng, HAIR_STYLES, (0.01, 0.20, 0.57, 0.16, 0.06) if female else (0.14, 0.58, 0.06, 0.12, 0.10))
    return Person(
        **looks,
        skin=skin,
        hair=hair,
        age=age,
        lip=skin * (0.55 + 0.3 * u[6]),
        iris=25 + 85 * u[7] ** 1.5,
        makeup=u[8] if female and age > 0.05 else 0.0,
        beard=0.0 if female or u[9] < 0.65 else 0.3 + 0.7 * u[10],
        moustache=0.0 if female or u[9] < 0.55 else 0.4 + 0.6 * u[10],
        hair_style=style,
        fringe=u[11],
        glasses=choice(rng, GLASSES, (0.83, 0.14, 0.03)),
        frame=rng.random(),
    )


def rest(person: Any) -> Any:
    """Compute the landmarks of the right half of a face at rest: name to array (k, 2)."""
    points = {name: np.array(curve, float) for name, curve in HALF_FACE.items()}
    outline = points['outline']
    outline[:, 0] *= person.width
    outline[5:7, 0] *= person.jaw
    outline[:, 1] *= np.where(outline[:, 1] > 0, person.lower_face, person.forehead)
    for name in ('upper_lid', 'lower_lid', 'iris'):
        x, y = points[name].T - [[0.42], [0]]
        points[name] = np.stack(
            [
                0.42 + person.eye_shift + x * person.eye_size,
                y * person.eye_size * person.eye_opening + x * person.eye_tilt,
            ],
            1,
        )
    brow = points['brow']
    brow[:, 1] += (
        person.brow_tilt * (brow[:, 0] - 0.45) - person.brow_height - person.brow_arch * np.array([0, 0.5, 1, 0.5, 0])
    )
    brow[:, 0] += person.eye_shift
    points['nose'] *= person.nose_width, person.nose_length
    drop = 0.6 * (person.nose_length - 1) + person.mouth_shift
    for name in LIPS:
        lip = points[name]
        lip[:, 0] *= person.mouth_width
        lip[:, 1] = 0.89 + drop + (lip[:, 1] - 0.89) * person.lips
        lip[-1, 1] -= person.mouth_corner
    points['nasolabial'] += 0, drop / 2
    return points


def half_face(person: Any, intensities: Any) -> Any:
    """Compute the landmarks of the right half of a face under action units.

    Parameters
    ----------
    person : Person
        Appearance of the person.
    intensities : dict
        Intensity by number of the action unit, 0 none .. 1 full.

    Returns
    -------
    points : dict
        Arrays (k, 2) of x and y by name, as in `HALF_FACE`.
    folds : dict
        Depth of each skin fold by name, as in `FOLDS`; 0 for none.
    """
    points, folds = rest(person), dict.fromkeys(FOLDS, 0.0)
    for unit, intensity in intensities.items():
        ACTION_UNITS[unit](points, folds, intensity)
    # Lids and lips may touch but not pass through one another.
    lid = points['lower_lid'][:, 1]
    points['upper_lid'][:, 1] = np.minimum(points['upper_lid'][:, 1], lid)
    upper, lower = points['upper_inner_lip'], points['lower_inner_lip']
    np.maximum(lower[:, 1], upper[:, 1], out=lower[:, 1])
    np.maximum(points['lower_lip'][:, 1], lower[:, 1], out=points['lower_lip'][:, 1])
    np.minimum(points['upper_lip'][:, 1], upper[:, 1], out=points['upper_lip'][:, 1])
    return points, folds


@cache
def spline(k: int, closed: bool = False, steps: int = 4) -> Any:
    """Return the matrix (n, k) of a Catmull-Rom curve, which maps k points to n, with `steps` points per piece."""
    pieces = k if closed else k - 1
    rows = np.zeros((pieces * steps + (not closed), k))
    for row, t in enumerate(np.arange(len(rows)) / steps):
        i = min(int(t), pieces - 1)
        t -= i
        weights = (
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        )
        for j, weight in zip(range(i - 1, i + 3), weights):
            rows[row, j % k if closed else min(max(j, 0), k - 1)] += weight
    return rows


def join(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Join two halves (k, 2) to one curve (2k - 1, 2) from the mirrored left corner to the right one."""
    left = left * (-1, 1)
    middle = 0.5 * (left[:1] + right[:1])
    return np.concatenate([left[:0:-1], middle, right[1:]])


def landmarks(person: Any, left: Any, right: Any) -> Any:
    """Compute smooth curves of a whole face, whose halves may differ.

    Parameters
    ----------
    person : Person
        Appearance of the person.
    left, right : dict
        Intensities of the action units of the two halves.

    Returns
    -------
    curves : dict
        Arrays (n, 2) by name: 'outline' (closed, starting at the chin and going left), the four lips, and every other
        curve of `HALF_FACE` once with '_left' and once with '_right'.
    folds : dict
        Depths of the skin folds, averaged over the two halves.
    """
    left, left_folds = half_face(person, left)
    right, right_folds = half_face(person, right)
    curves = {name: join(left[name], right[name]) for name in LIPS}
    curves = {name: spline(len(curve)) @ curve for name, curve in curves.items()}
    outline = join(left['outline'], right['outline'])
    outline[0] = outline[-1] = 0.5 * (outline[0] + outline[-1])
    curves['outline'] = spline(len(outline) - 1, True) @ outline[:-1]
    for name in left:
        if name not in curves:
            smooth = spline(len(left[name])) if len(left[name]) > 1 else 1
            curves[name + '_left'] = np.dot(smooth, left[name] * (-1, 1))
            curves[name + '_right'] = np.dot(smooth, right[name])
    return curves, {name: 0.5 * (left_folds[name] + right_folds[name]) for name in FOLDS}
