"""Drawn faces in the layout of FER2013, for when FER2013 itself is not there.

FER2013 may not be redistributed.  This module draws small grey portraits
instead: an emotion is a set of facial action units (`PROTOTYPES`), every
action unit is a function that moves landmark points of the face
(`ACTION_UNITS`), and the landmarks of one person under one expression
(`landmarks`) are turned, lit, painted and spoilt as a snapshot would be.

Names: `EMOTIONS`, `FREQUENCIES`, `PROTOTYPES`, `ACTION_UNITS`, `Person`,
`draw_person`, `express`, `half_face`, `landmarks`, `draw_face`,
`draw_faces`, `write_csv`.

Coordinates of a face: x to the right of the picture, y down, the origin
midway between the eyes, the unit half the width of the face.

References
----------
.. [1] P. Ekman, W. V. Friesen, J. C. Hager, Facial Action Coding System,
   2nd edition, 2002; the investigator's guide lists the EMFACS prototypes.
.. [2] I. Goodfellow et al., Challenges in Representation Learning, ICONIP
   2013: FER2013, its classes, class frequencies and CSV layout.
"""
import os
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

EMOTIONS = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
USAGES = ('Training', 'PublicTest', 'PrivateTest')

# Training images of each class in FER2013 [2].
FREQUENCIES = (3995, 436, 4097, 7215, 4830, 3171, 4965)

# Action units of each emotion [1].
PROTOTYPES = {0: (4, 5, 7, 23),
              1: (9, 15, 17),
              2: (1, 2, 4, 5, 7, 20, 26),
              3: (6, 12),
              4: (1, 4, 15),
              5: (1, 2, 5, 26),
              6: ()}

SIDE = 48               # pixels of a FER2013 image
OVERSAMPLING = 3        # canvas pixels per image pixel while painting
SUBPIXEL = 4            # fractional bits of the coordinates given to OpenCV


# Landmarks of the right half of an average face; the left is its mirror.
# Every curve runs from the middle of the face outwards, or downwards.
HALF_FACE = {
    'outline': [(0, -1.32), (.55, -1.20), (.88, -.75), (.97, -.15),
                (.95, .35), (.81, .85), (.47, 1.26), (0, 1.42)],
    'brow': [(.17, -.25), (.30, -.30), (.45, -.34), (.60, -.32), (.74, -.23)],
    'upper_lid': [(.23, .03), (.32, -.06), (.42, -.09), (.53, -.06), (.62, 0)],
    'lower_lid': [(.23, .03), (.32, .06), (.43, .07), (.54, .05), (.62, 0)],
    'iris': [(.42, -.015)],
    'nose': [(.06, .02), (.08, .30), (.19, .46), (.18, .55), (.06, .57),
             (0, .60)],
    'upper_lip': [(0, .81), (.08, .795), (.22, .835), (.36, .88)],
    'upper_inner_lip': [(0, .885), (.08, .88), (.22, .885), (.36, .88)],
    'lower_inner_lip': [(0, .89), (.08, .89), (.22, .89), (.36, .88)],
    'lower_lip': [(0, 1.02), (.10, 1.01), (.24, .96), (.36, .88)],
    'nasolabial': [(.22, .45), (.33, .60), (.42, .76), (.46, .92)],
    'cheek': [(.58, .42)],
}
LIPS = ('upper_lip', 'upper_inner_lip', 'lower_inner_lip', 'lower_lip')
FOLDS = ('forehead', 'glabella', 'crow', 'nose', 'nasolabial', 'cheek',
         'chin', 'socket')


def shift(curve, amount, dx, dy):
    """Move the points (k, 2) by amount * (dx, dy), k values each."""
    curve[:, 0] += amount * np.asarray(dx)
    curve[:, 1] += amount * np.asarray(dy)


def move_corner(points, amount, dx, dy):
    """Move the lip corner by amount * (dx, dy), the lips beside it less."""
    reach = np.array([0, .06, .42, 1])
    for name in LIPS:
        shift(points[name], amount, dx * reach, dy * reach)


def inner_brow_raiser(points, folds, a):
    """AU 1: the inner brow goes up, wrinkling the middle of the forehead."""
    shift(points['brow'], a, 0, [-.24, -.16, -.06, 0, 0])
    shift(points['upper_lid'], a, 0, [0, -.025, -.015, 0, 0])
    folds['forehead'] += .5 * a


def outer_brow_raiser(points, folds, a):
    """AU 2: the outer brow goes up and arches."""
    shift(points['brow'], a, 0, [0, -.05, -.13, -.18, -.15])
    shift(points['upper_lid'], a, 0, [0, 0, -.01, -.02, 0])
    folds['forehead'] += .5 * a


def brow_lowerer(points, folds, a):
    """AU 4: brows come down and together, with furrows between them."""
    shift(points['brow'], a, [-.09, -.07, -.05, -.02, 0],
          [.13, .11, .08, .04, .01])
    shift(points['upper_lid'], a, 0, [0, .02, .015, .005, 0])
    folds['glabella'] += a
    folds['socket'] += .5 * a


def upper_lid_raiser(points, folds, a):
    """AU 5: the upper lid opens, white shows above the iris."""
    shift(points['upper_lid'], a, 0, [0, -.06, -.085, -.07, -.01])


def cheek_raiser(points, folds, a):
    """AU 6: cheeks push the lower lid up; crow's feet."""
    shift(points['lower_lid'], a, 0, [0, -.025, -.04, -.03, 0])
    shift(points['upper_lid'], a, 0, [0, .01, .025, .025, .01])
    shift(points['cheek'], a, 0, -.07)
    folds['crow'] += a
    folds['cheek'] += .6 * a


def lid_tightener(points, folds, a):
    """AU 7: both lids narrow the eye, the lower becomes straight."""
    shift(points['lower_lid'], a, 0, [0, -.035, -.05, -.03, 0])
    shift(points['upper_lid'], a, 0, [0, .015, .03, .02, 0])
    folds['socket'] += .3 * a


def nose_wrinkler(points, folds, a):
    """AU 9: nose wings and upper lip go up, the inner brow down."""
    shift(points['nose'], a, [0, .01, .03, .03, .01, 0],
          [0, -.02, -.08, -.09, -.06, -.05])
    shift(points['brow'], a, [-.04, -.02, 0, 0, 0], [.11, .07, .03, 0, 0])
    shift(points['upper_lid'], a, 0, [.01, .03, .03, .02, 0])
    shift(points['lower_lid'], a, 0, [0, -.03, -.035, -.02, 0])
    shift(points['upper_lip'], a, 0, [-.06, -.09, -.08, -.02])
    shift(points['upper_inner_lip'], a, 0, [-.02, -.04, -.04, 0])
    shift(points['nasolabial'], a, [.01, 0, 0, 0], [-.08, -.05, -.02, 0])
    folds['nose'] += a
    folds['nasolabial'] += .7 * a


def lip_corner_puller(points, folds, a):
    """AU 12: lip corners go out and up, lips flatten, cheeks round."""
    move_corner(points, a, .15, -.17)
    shift(points['lower_lip'], a, 0, [.02, .01, -.02, 0])
    shift(points['upper_lip'], a, 0, [.03, .03, 0, 0])
    shift(points['nasolabial'], a, [.02, .07, .11, .12], [0, -.04, -.07, -.08])
    shift(points['nose'], a, [0, 0, .025, .02, 0, 0], 0)
    shift(points['cheek'], a, .02, -.06)
    folds['nasolabial'] += .8 * a
    folds['cheek'] += .6 * a


def lip_corner_depressor(points, folds, a):
    """AU 15: lip corners go down."""
    move_corner(points, a, .01, .15)
    shift(points['nasolabial'], a, [0, 0, .01, .02], [0, .01, .03, .06])
    folds['nasolabial'] += .2 * a


def chin_raiser(points, folds, a):
    """AU 17: the chin boss pushes the lower lip up, the mouth arches."""
    shift(points['lower_lip'], a, 0, [-.05, -.05, -.03, .02])
    shift(points['lower_inner_lip'], a, 0, [-.06, -.06, -.02, .02])
    shift(points['upper_inner_lip'], a, 0, [-.06, -.06, -.02, .02])
    shift(points['upper_lip'], a, 0, [-.05, -.05, -.02, .02])
    shift(points['outline'], a, 0, [0, 0, 0, 0, 0, 0, 0, -.04])
    folds['chin'] += a


def lip_stretcher(points, folds, a):
    """AU 20: lip corners are pulled straight out, the mouth is a slot."""
    move_corner(points, a, .16, .05)
    shift(points['lower_lip'], a, 0, [-.02, -.02, .02, 0])
    shift(points['nasolabial'], a, [0, .02, .06, .10], 0)
    folds['nasolabial'] += .3 * a


def lip_tightener(points, folds, a):
    """AU 23: the red of the lips is rolled in, the mouth is narrow."""
    line = .5 * (points['upper_inner_lip'] + points['lower_inner_lip'])
    for name in LIPS:
        points[name] += .55 * a * (line - points[name])
    move_corner(points, a, -.06, 0)
    folds['chin'] += .3 * a


def lips_part(points, folds, a):
    """AU 25: the lips come apart without the jaw."""
    shift(points['upper_inner_lip'], a, 0, [-.045, -.045, -.03, 0])
    shift(points['upper_lip'], a, 0, [-.035, -.035, -.02, 0])
    shift(points['lower_inner_lip'], a, 0, [.07, .07, .045, 0])
    shift(points['lower_lip'], a, 0, [.06, .06, .04, 0])


def jaw_drop(points, folds, a):
    """AU 26: the jaw falls, chin and lower lip with it, the mouth opens."""
    shift(points['outline'], a, [0, 0, 0, 0, 0, -.02, -.02, 0],
          [0, 0, 0, 0, .02, .09, .22, .27])
    shift(points['lower_lip'], a, 0, [.27, .27, .21, .06])
    shift(points['lower_inner_lip'], a, 0, [.26, .26, .19, .06])
    shift(points['upper_inner_lip'], a, 0, [-.03, -.03, -.02, .06])
    shift(points['upper_lip'], a, 0, [-.02, -.02, -.01, .06])
    move_corner(points, a, -.05, 0)


def eye_closure(points, folds, a):
    """AU 43: the upper lid comes down to the lower one."""
    points['upper_lid'] += a * (points['lower_lid'] - points['upper_lid'])


ACTION_UNITS = {1: inner_brow_raiser, 2: outer_brow_raiser, 4: brow_lowerer,
                5: upper_lid_raiser, 6: cheek_raiser, 7: lid_tightener,
                9: nose_wrinkler, 12: lip_corner_puller,
                15: lip_corner_depressor, 17: chin_raiser,
                20: lip_stretcher, 23: lip_tightener, 25: lips_part,
                26: jaw_drop, 43: eye_closure}


@dataclass
class Person:
    """Looks of one person, the face at rest.

    The first group are factors of the average face `HALF_FACE` (1 is
    average), the second are shifts of it in face units (0 is average), the
    third are grey tones in 0..255, the last are 0..1 or choices by name.
    """
    width: float = 1.
    jaw: float = 1.
    lower_face: float = 1.
    forehead: float = 1.
    eye_size: float = 1.
    eye_opening: float = 1.
    nose_width: float = 1.
    nose_length: float = 1.
    mouth_width: float = 1.
    lips: float = 1.
    brow_thickness: float = 1.

    eye_shift: float = 0.
    eye_tilt: float = 0.
    brow_height: float = 0.
    brow_tilt: float = 0.
    brow_arch: float = 0.
    mouth_shift: float = 0.
    mouth_corner: float = 0.

    skin: float = 170.
    hair: float = 50.
    lip: float = 120.
    iris: float = 70.

    age: float = 0.
    makeup: float = 0.
    beard: float = 0.
    moustache: float = 0.
    hair_style: str = 'short'
    fringe: float = .5
    glasses: str = 'none'
    frame: float = 0.


HAIR_STYLES = ('bald', 'short', 'long', 'curly', 'cap')
GLASSES = ('none', 'clear', 'dark')


def choice(rng, names, weights):
    """One of the names; the weights sum to 1."""
    return names[int(np.searchsorted(np.cumsum(weights)[:-1], rng.random(),
                                     side='right'))]


def draw_person(rng):
    """A person drawn at random: numpy.random.Generator -> Person."""
    spread = dict(width=.06, jaw=.10, lower_face=.05, forehead=.05,
                  eye_size=.09, eye_opening=.14, nose_width=.15,
                  nose_length=.07, mouth_width=.10, lips=.25,
                  brow_thickness=.3, eye_shift=.025, eye_tilt=.07,
                  brow_height=.035, brow_tilt=.10, brow_arch=.02,
                  mouth_shift=.03, mouth_corner=.022)
    z = np.clip(rng.standard_normal(len(spread)), -2.2, 2.2)
    neutral = Person()
    looks = {name: getattr(neutral, name) + std * value
             for (name, std), value in zip(spread.items(), z)}
    u = rng.random(12)
    skin = 75 + 120 * u[0] ** .6
    age = u[1] ** 2
    female = u[2] < .5
    hair = 15 + 60 * u[3] if u[4] < .65 else 80 + 110 * u[3]
    if age > .6 and u[5] < .7:
        hair = 150 + 80 * u[3]
    style = choice(rng, HAIR_STYLES,
                   (.01, .20, .57, .16, .06) if female
                   else (.14, .58, .06, .12, .10))
    return Person(
        **looks, skin=skin, hair=hair, age=age,
        lip=skin * (.55 + .3 * u[6]), iris=25 + 85 * u[7] ** 1.5,
        makeup=u[8] if female and age > .05 else 0.,
        beard=0. if female or u[9] < .65 else .3 + .7 * u[10],
        moustache=0. if female or u[9] < .55 else .4 + .6 * u[10],
        hair_style=style, fringe=u[11],
        glasses=choice(rng, GLASSES, (.83, .14, .03)), frame=rng.random())


def express(emotion, rng):
    """Intensities of the action units of a face that shows an emotion.

    Nobody shows a prototype: the strength of the whole and of every action
    unit varies, some faces hardly move, a unit may be missing, a second
    emotion may be mixed in, and a face that speaks or blinks moves besides.

    Parameters
    ----------
    emotion : int
        Position in `EMOTIONS`.
    rng : numpy.random.Generator

    Returns
    -------
    dict
        Number of the action unit to its intensity in 0..1.2.
    """
    weak, strength = rng.random(2)
    strength = .10 + .35 * strength if weak < .16 else .75 + .45 * strength
    intensities = {}
    for unit in PROTOTYPES[emotion]:
        missing, share = rng.random(2)
        if missing > .08:
            intensities[unit] = min(1.2, strength * (.75 + .45 * share))
    blend, other, weight, speech, part, blink = rng.random(6)
    if blend < .22:
        for unit in PROTOTYPES[int(7 * other)]:
            intensities[unit] = max(intensities.get(unit, 0.),
                                    .15 + .55 * weight)
    if speech < (.65 if emotion == 3 else .18):
        intensities[25] = .3 + .9 * part
        if speech < .06:
            intensities[26] = max(intensities.get(26, 0.), .4 * part)
    if blink < .05:
        intensities[43] = .5 + 10 * blink
    for unit in (1, 2, 4, 7, 15, 17):       # a face is never quite at rest
        stray = rng.random()
        if stray < .06:
            intensities[unit] = max(intensities.get(unit, 0.), 5 * stray)
    return intensities


def rest(person):
    """Landmarks of the right half of a face at rest: name to (k, 2)."""
    points = {name: np.array(curve, float)
              for name, curve in HALF_FACE.items()}
    outline = points['outline']
    outline[:, 0] *= person.width
    outline[5:7, 0] *= person.jaw
    outline[:, 1] *= np.where(outline[:, 1] > 0, person.lower_face,
                              person.forehead)
    for name in ('upper_lid', 'lower_lid', 'iris'):
        x, y = points[name].T - [[.42], [0]]
        points[name] = np.stack([
            .42 + person.eye_shift + x * person.eye_size,
            y * person.eye_size * person.eye_opening + x * person.eye_tilt], 1)
    brow = points['brow']
    brow[:, 1] += (person.brow_tilt * (brow[:, 0] - .45) - person.brow_height
                   - person.brow_arch * np.array([0, .5, 1, .5, 0]))
    brow[:, 0] += person.eye_shift
    points['nose'] *= person.nose_width, person.nose_length
    drop = .6 * (person.nose_length - 1) + person.mouth_shift
    for name in LIPS:
        lip = points[name]
        lip[:, 0] *= person.mouth_width
        lip[:, 1] = .89 + drop + (lip[:, 1] - .89) * person.lips
        lip[-1, 1] -= person.mouth_corner
    points['nasolabial'] += 0, drop / 2
    return points


def half_face(person, intensities):
    """Landmarks of the right half of a face under action units.

    Parameters
    ----------
    person : Person
    intensities : dict
        Number of an action unit to its intensity, 0 none .. 1 full.

    Returns
    -------
    points : dict
        Name, as in `HALF_FACE`, to an array (k, 2) of x and y.
    folds : dict
        Name, as in `FOLDS`, to the depth of that fold of the skin, 0 none.
    """
    points, folds = rest(person), dict.fromkeys(FOLDS, 0.)
    for unit, intensity in intensities.items():
        ACTION_UNITS[unit](points, folds, intensity)
    # Lids and lips touch, they do not pass through one another.
    lid = points['lower_lid'][:, 1]
    points['upper_lid'][:, 1] = np.minimum(points['upper_lid'][:, 1], lid)
    upper, lower = points['upper_inner_lip'], points['lower_inner_lip']
    np.maximum(lower[:, 1], upper[:, 1], out=lower[:, 1])
    np.maximum(points['lower_lip'][:, 1], lower[:, 1],
               out=points['lower_lip'][:, 1])
    np.minimum(points['upper_lip'][:, 1], upper[:, 1],
               out=points['upper_lip'][:, 1])
    return points, folds


@lru_cache(maxsize=None)
def spline(k, closed=False, steps=4):
    """Matrix (n, k) of a Catmull-Rom curve: k points to n, `steps` a piece."""
    pieces = k if closed else k - 1
    rows = np.zeros((pieces * steps + (not closed), k))
    for row, t in enumerate(np.arange(len(rows)) / steps):
        i = min(int(t), pieces - 1)
        t -= i
        weights = (-.5 * t + t**2 - .5 * t**3, 1 - 2.5 * t**2 + 1.5 * t**3,
                   .5 * t + 2 * t**2 - 1.5 * t**3, -.5 * t**2 + .5 * t**3)
        for j, weight in zip(range(i - 1, i + 3), weights):
            rows[row, j % k if closed else min(max(j, 0), k - 1)] += weight
    return rows


def join(left, right):
    """One curve (2k - 1, 2) from the mirrored left corner to the right one."""
    left = left * (-1, 1)
    middle = .5 * (left[:1] + right[:1])
    return np.concatenate([left[:0:-1], middle, right[1:]])


def landmarks(person, left, right):
    """Smooth curves of a whole face whose halves may differ.

    Parameters
    ----------
    person : Person
    left, right : dict
        Intensities of the action units of the two halves.

    Returns
    -------
    curves : dict
        Name to (n, 2): 'outline' (closed, from the chin over the left), the
        four lips, and every other curve of `HALF_FACE` once with '_left'
        and once with '_right'.
    folds : dict
        Depth of the folds, the mean of the two halves.
    """
    left, left_folds = half_face(person, left)
    right, right_folds = half_face(person, right)
    curves = {name: join(left[name], right[name]) for name in LIPS}
    curves = {name: spline(len(curve)) @ curve
              for name, curve in curves.items()}
    outline = join(left['outline'], right['outline'])
    outline[0] = outline[-1] = .5 * (outline[0] + outline[-1])
    curves['outline'] = spline(len(outline) - 1, True) @ outline[:-1]
    for name in left:
        if name not in curves:
            smooth = spline(len(left[name])) if len(left[name]) > 1 else 1
            curves[name + '_left'] = np.dot(smooth, left[name] * (-1, 1))
            curves[name + '_right'] = np.dot(smooth, right[name])
    return curves, {name: .5 * (left_folds[name] + right_folds[name])
                    for name in FOLDS}


@dataclass
class Pose:
    """How a head stands in the picture: face units to pixels of the canvas.

    yaw, pitch and roll in radians, `scale` in pixels a face unit, (x, y) the
    pixel on which the point between the eyes falls.
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

    def __call__(self, points):
        """Face coordinates (n, 2) on the skin -> pixels (n, 2).

        The head is an ellipsoid with a bump for the nose, seen from afar.
        """
        x, y = np.asarray(points, float).T
        z = .8 * np.sqrt(np.maximum(1 - (x / 1.15)**2 - (y / 1.7)**2, 0)) - .8
        z += .25 * np.maximum(1 - (x / .3)**2 - ((y - .5) / .4)**2, 0)
        return np.stack([x, y, z], 1) @ self.matrix.T + (self.x, self.y)


def draw_pose(rng, side):
    """A pose drawn at random for a canvas of side x side pixels."""
    yaw, pitch, roll, dx, dy, size = np.clip(rng.standard_normal(6), -2, 2)
    return Pose(yaw=.18 * yaw, pitch=.09 * pitch, roll=.08 * roll,
                scale=side * (.415 + .025 * size),
                x=side * (.5 + .022 * dx), y=side * (.40 + .022 * dy))


def fixed(points):
    """Pixels as OpenCV's integers with SUBPIXEL fractional bits."""
    return np.rint(np.asarray(points) * (1 << SUBPIXEL)).astype(np.int32)


def fill(image, points, tone):
    """Fill a polygon (n, 2) with a grey tone."""
    cv2.fillPoly(image, [fixed(points)], float(np.clip(tone, 0, 255)),
                 cv2.LINE_AA, SUBPIXEL)


def stroke(image, points, tone, width=1, closed=False):
    """Draw a line along points (n, 2) with a grey tone; width in pixels."""
    cv2.polylines(image, [fixed(points)], closed, float(np.clip(tone, 0, 255)),
                  max(1, int(round(width))), cv2.LINE_AA, SUBPIXEL)


def disc(image, centre, radius, tone):
    """Fill a circle; radius in pixels."""
    centre = fixed(centre)
    cv2.circle(image, (int(centre[0]), int(centre[1])),
               int(round(radius * (1 << SUBPIXEL))),
               float(np.clip(tone, 0, 255)), -1, cv2.LINE_AA, SUBPIXEL)


def mix(first, second, share):
    """The tone at `share` of the way from the first to the second."""
    return first + share * (second - first)


def blend(image, over, mask):
    """Put `over` on the image in place where the mask is 255, partly below."""
    weight = mask.astype(np.int32)
    image[:] = (image * (255 - weight) + over * weight + 127) // 255


@lru_cache(maxsize=None)
def circle(n=20):
    """Points (n, 2) of the unit circle."""
    t = np.arange(n) * (2 * np.pi / n)
    return np.stack([np.cos(t), np.sin(t)], 1)


def paint_background(side, rng):
    """A wall, a blurred room or a few edges: canvas (side, side), uint8."""
    kind, tone, contrast = rng.random(3)
    tone = np.clip(1.4 * tone - .2, 0, 1)   # walls are often black or white
    coarse = rng.random((5, 5), dtype=np.float32) - np.float32(.5)
    coarse = 255 * (.03 + .94 * tone) + 180 * contrast**2 * coarse
    canvas = cv2.resize(np.clip(coarse, 0, 255).astype(np.uint8),
                        (side, side), interpolation=cv2.INTER_CUBIC)
    if kind < .4:
        for x, y, width, height, grey in rng.random((3, 5)):
            corner = np.array([x, y]) * side
            size = np.array([.1 + .5 * width, .1 + .8 * height]) * side
            box = corner + size * [[-.5, -.5], [.5, -.5], [.5, .5], [-.5, .5]]
            fill(canvas, box, 255 * grey)
    return canvas


def paint_body(canvas, pose, person, rng):
    """Neck, and clothes below it."""
    skin, (cloth, collar) = person.skin, rng.random(2)
    wide = .62 * person.width * person.jaw
    fill(canvas, pose([(-wide, .7), (wide, .7), (wide * 1.1, 2.6),
                       (-wide * 1.1, 2.6)]), .72 * skin)
    shoulder = 1.75 + .25 * collar
    fill(canvas, pose([(-.2, shoulder + .35), (-wide, shoulder - .05),
                       (-2, shoulder + .4), (-2, 3.5), (2, 3.5),
                       (2, shoulder + .4), (wide, shoulder - .05),
                       (.2, shoulder + .35)]), 20 + 215 * cloth)


def paint_hair_behind(canvas, pose, person, rng):
    """The hair that a head hides in part."""
    tone = person.hair
    if person.hair_style == 'long':
        length = .6 + 1.6 * rng.random()
        x = person.width * np.array([1.22, 1.28, 1.2])
        y = np.array([-.6, .4, length])
        side = np.stack([x, y], 1)
        top = circle()[10:] * (1.12 * person.width, 1.05) + (0, -.55)
        fill(canvas, pose(np.concatenate([top, side, side[::-1] * (-1, 1)])),
             tone * .85)
    elif person.hair_style == 'curly':
        for t, size in zip(np.linspace(-.1, 1.1, 11), rng.random(11)):
            centre = (-np.cos(np.pi * t) * 1.02 * person.width,
                      -.45 - np.sin(np.pi * t) * .85)
            disc(canvas, pose([centre])[0], pose.scale * (.28 + .16 * size),
                 tone * (.8 + .4 * size))
    elif person.hair_style != 'bald':
        top = circle()[10:] * (1.06 * person.width, 1.05) + (0, -.42)
        fill(canvas, pose(top), tone)


def paint_hair_before(canvas, pose, person, rng):
    """Hairline and fringe, or the rim of a cap, over the forehead."""
    if person.hair_style == 'bald':
        return
    top = circle()[10:] * (1.04 * person.width, .95) + (0, -.50)
    wave = rng.random(7)
    low = -.98 + .55 * person.fringe**3
    x = np.linspace(.93, -.93, 7) * person.width
    y = low + .12 * (wave - .5) + .30 * np.abs(np.linspace(-1, 1, 7))**3
    if person.hair_style == 'cap':
        y = np.full(7, -.62) + .1 * np.abs(np.linspace(-1, 1, 7))
    edge = spline(7) @ np.stack([x, y], 1)
    fill(canvas, pose(np.concatenate([top, edge])), person.hair)
    for strand in rng.random((4, 3)):
        start = edge[int(strand[0] * len(edge))]
        end = (start[0] * .5 + strand[1] - .5, -1.35)
        stroke(canvas, pose([start, end]),
               person.hair * (.7 + .8 * strand[2]) + 10 * strand[2], 2)


def paint_head(canvas, pose, curves, person):
    """Ears, skin and beard."""
    ear = circle(12) * (.14, .27) + (1.0 * person.width, .22)
    if person.hair_style != 'long':
        for side in (-1, 1):
            fill(canvas, pose(ear * (side, 1)), .84 * person.skin)
    outline = curves['outline']
    fill(canvas, outline, person.skin)
    if person.beard:
        # the contour from cheek over chin to cheek, closed through the face
        n = len(outline)
        jaw = np.roll(outline, n // 2, axis=0)[n // 2 - 11:n // 2 + 12]
        shade = mix(person.skin, person.hair, .25 + .6 * person.beard)
        cheeks = pose([(-.70, .66), (-.50, .80), (0, .76), (.50, .80),
                       (.70, .66)])
        # a softer upper edge: the skin between at half the tone
        above = cheeks - (0, .06 * pose.scale)
        fill(canvas, np.concatenate([jaw[1:-1], above]),
             mix(person.skin, shade, .4))
        fill(canvas, np.concatenate([jaw, cheeks]), shade)


def paint_mouth(canvas, pose, curves, person):
    """Lips, and teeth, tongue and the dark of an open mouth."""
    upper, lower = curves['upper_lip'], curves['lower_lip']
    inner_up, inner_low = (curves['upper_inner_lip'],
                           curves['lower_inner_lip'])
    lip = mix(person.lip, .5 * person.lip, .6 * person.makeup)
    fill(canvas, np.concatenate([upper, inner_up[::-1]]), .86 * lip)
    fill(canvas, np.concatenate([inner_low, lower[::-1]]), 1.03 * lip)
    stroke(canvas, lower[8:17], 1.25 * lip, 1)
    gap = inner_low - inner_up
    height = float(np.abs(gap[:, 1]).max()) / pose.scale
    if height > .03:
        fill(canvas, np.concatenate([inner_up, inner_low[::-1]]), 28)
        teeth = min(1., .14 / height)
        fill(canvas, np.concatenate([
            inner_up[2:-2], (inner_up + teeth * gap)[-3:1:-1]]),
            min(235, 120 + .55 * person.skin))
        if height > .2:
            fill(canvas, np.concatenate([
                (inner_low - .35 * gap)[5:-5], inner_low[-6:4:-1]]),
                .6 * person.lip)
    stroke(canvas, inner_up, .38 * lip, 1)
    if height <= .03:
        stroke(canvas, inner_low, .35 * lip, 1)
    if person.moustache:
        nose = .5 * (curves['nose_left'][-1] + curves['nose_right'][-1])
        shade = mix(person.skin, person.hair, .3 + .6 * person.moustache)
        fill(canvas, np.concatenate([
            upper[2:-2], [mix(upper[16], nose, .8), mix(upper[8], nose, .8)]
            ]), shade)


def paint_nose(canvas, curves, person, pose):
    """Wings and nostrils; the bridge is left to the shading."""
    for side in ('_left', '_right'):
        nose = curves['nose' + side]
        stroke(canvas, nose[9:15], .74 * person.skin, 2)
        hole = .5 * (nose[12] + nose[18]) + (0, .01 * pose.scale)
        fill(canvas, hole + circle(8) * (.065 * pose.scale,
                                         .03 * pose.scale),
             .33 * person.skin)


def paint_eye(canvas, curves, side, person, pose, gaze):
    """Eyeball behind the lids, lashes and the fold of the upper lid."""
    upper, lower = curves['upper_lid' + side], curves['lower_lid' + side]
    almond = np.concatenate([upper, lower[-2:0:-1]])
    low = np.maximum(np.floor(almond.min(0)).astype(int) - 2, 0)
    high = np.ceil(almond.max(0)).astype(int) + 3
    region = canvas[low[1]:high[1], low[0]:high[0]]
    if not region.size:
        return
    white = 150 + .30 * person.skin
    ball = np.full_like(region, min(235, white))
    iris = curves['iris' + side][0] + gaze * pose.scale - low
    disc(ball, iris, .098 * person.eye_size * pose.scale, person.iris)
    disc(ball, iris, .045 * person.eye_size * pose.scale, 8)
    disc(ball, iris - .03 * pose.scale, .022 * pose.scale, 250)
    mask = np.zeros_like(region)
    fill(mask, almond - low, 255)
    blend(region, ball, mask)
    lash = mix(.45 * person.skin, 12, .4 + .6 * person.makeup)
    stroke(canvas, upper, lash, 2 + 1.2 * person.makeup)
    stroke(canvas, lower[4:], .62 * person.skin, 1)
    crease = upper[2:] + (0, -.055 * pose.scale)
    stroke(canvas, crease, .74 * person.skin, 1)


def paint_brow(canvas, curve, person, pose):
    """A brow, thick at its inner end."""
    thick = np.array([.8, 1., .85, .6, .25]) * .045 * person.brow_thickness
    thick = (spline(5) @ thick * pose.scale)[:, None] * (0, 1)
    fill(canvas, np.concatenate([curve - thick, (curve + thick)[::-1]]),
         mix(person.skin, .9 * person.hair, .80))


def paint_glasses(canvas, pose, person):
    """Frames, from round and thick to angular and thin, or sunglasses."""
    tone = 20 + 110 * person.frame**2
    # between circle and rectangle: |x|**p + |y|**p = 1 with p = 2 .. 4
    power = 1 / (1 + person.frame)
    rim = np.sign(circle()) * np.abs(circle())**power
    for side in (-1, 1):
        glass = pose(rim * (.29, .23 - .05 * person.frame)
                     + (side * (.43 + person.eye_shift), .03))
        if person.glasses == 'dark':
            fill(canvas, glass, 25)
        stroke(canvas, glass, tone, 3 - 1.5 * person.frame, True)
        stroke(canvas, pose([(side * .73, 0), (side * .98, -.04)]), tone, 2)
    stroke(canvas, pose([(-.14, 0), (.14, 0)]), tone, 2)


def relief(curves, folds, person, pose, light, side):
    """Shading of the skin by its form, as a factor: (side, side), 1 is none.

    Broad forms are blurred, folds of the skin drawn into them finely.
    """
    s = pose.scale / OVERSAMPLING
    c = {name: curve / OVERSAMPLING for name, curve in curves.items()}
    image = np.full((side, side), 128, np.uint8)
    stroke(image, c['outline'], 104, .14 * s, True)
    forehead = circle(12) * (.5, .22) + (0, -.72)
    fill(image, pose(forehead) / OVERSAMPLING, 138)
    shadow = 1 if light[0] < 0 else -1      # the side away from the light
    for sign, name in ((-1, '_left'), (1, '_right')):
        lid, brow = c['upper_lid' + name], c['brow' + name]
        fill(image, np.concatenate([brow, lid[::-1]]),
             112 - 16 * folds['socket'])
        cheek = c['cheek' + name][0]
        disc(image, cheek, .24 * s, 136 + 8 * folds['cheek'])
        nose = c['nose' + name]
        ridge = pose([(sign * .02, .05), (sign * .03, .52)]) / OVERSAMPLING
        fill(image, np.concatenate([nose[:16], ridge[::-1]]),
             104 if sign == shadow else 136)
        stroke(image, c['lower_lid' + name] + (0, .09 * s),
               118 - 14 * person.age - 8 * folds['cheek'], .08 * s)
    stroke(image, pose([(0, .1), (0, .5)]) / OVERSAMPLING, 150, .07 * s)
    lower = c['lower_lip'][12]
    chin = c['outline'][0]
    disc(image, mix(lower, chin, .25), .13 * s, 110 - 14 * folds['chin'])
    disc(image, mix(lower, chin, .65), .15 * s, 138 + 8 * folds['chin'])
    image = cv2.GaussianBlur(image, (0, 0), .055 * s)
    draw_folds(image, c, folds, person.age, s)
    image = cv2.GaussianBlur(image, (3, 3), .55)
    return image.astype(np.float32) / np.float32(128)


def draw_folds(image, c, folds, age, s):
    """Lines of the expression and of age, dark on the relief of 128.

    `c` are the curves and `s` the face unit in pixels of the relief.
    """
    def line(points, depth):
        if depth > .08:
            stroke(image, points, 128 - 62 * min(depth, 1.3))

    for sign, name in ((-1, '_left'), (1, '_right')):
        line(c['nasolabial' + name], .15 + .35 * age
             + .75 * folds['nasolabial'])
        eye = c['upper_lid' + name][-1]
        for dy in (-.10, .0, .10):
            line([eye + (sign * .06 * s, dy * .4 * s),
                  eye + (sign * .22 * s, dy * s)],
                 .3 * age + .5 * folds['crow'])
        inner = c['brow' + name][0]
        line([inner + (-sign * .09 * s, -.10 * s),
              inner + (-sign * .08 * s, .14 * s)], .8 * folds['glabella'])
        bridge = c['nose' + name][0]
        for dy in (.02, .12):
            line([bridge + (sign * .10 * s, (dy + .06) * s),
                  bridge + (-sign * .04 * s, dy * s)], .8 * folds['nose'])
    for i, dy in enumerate((.14, .26, .38)):
        left, right = c['brow_left'], c['brow_right']
        curve = np.concatenate([left[12:2:-3], right[3:13:3]])
        line(curve - (0, dy * s), (.35 * age + .55 * folds['forehead'])
             * (1, .9, .6)[i])
    lower = c['lower_lip']
    line(lower[8:17] + (0, .13 * s), .6 * folds['chin'] + .15 * age)


@lru_cache(maxsize=None)
def pixel_grid(side):
    """x and y of the pixel centres, (side, side) float32 each."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return x, y


def lighting(pose, light, strength, side):
    """Light on a head taken as an ellipsoid: factor (side, side), mean near 1.

    Lambert's law, `light` a unit vector (3,) towards the lamp (z to the
    viewer); beyond the head the factor fades to 1.
    """
    x, y = pixel_grid(side)
    unit = np.float32(OVERSAMPLING / pose.scale)
    x = (x - np.float32(pose.x / OVERSAMPLING)) * unit / np.float32(1.15)
    y = ((y - np.float32(pose.y / OVERSAMPLING)) * unit
         - np.float32(.05)) / np.float32(1.5)
    r2 = x * x + y * y
    inside = np.minimum(r2, np.float32(.92))
    shrink = np.sqrt(inside / np.maximum(r2, np.float32(1e-6)))
    lambert = ((x * np.float32(light[0]) + y * np.float32(light[1])) * shrink
               + np.sqrt(1 - inside) * np.float32(light[2]))
    lambert = np.maximum(lambert, np.float32(-.1)) - np.float32(.78 * light[2])
    fade = np.clip(np.float32(2.2) - r2, np.float32(.15), 1)
    return 1 + np.float32(strength) * lambert * fade


def occlude(image, pose, person, rng):
    """Put a hand, a strand of hair, a scarf or a caption before the face."""
    kind, side, x, y, tone = rng.random(5)
    if kind > .20:
        return
    sign = 1 if side < .5 else -1

    def at(points):
        return pose(points) / OVERSAMPLING

    if kind < .06:
        skin = person.skin * (.75 + .4 * tone)
        wrist = np.array([sign * (.9 + .5 * x), 2.2])
        palm = np.array([sign * (.45 + .55 * x), .75 + .55 * y])
        side_step = np.array([.28, .1 * sign])
        fill(image, at([wrist - .3, wrist + .3, palm + side_step,
                        palm - side_step]), .92 * skin)
        for i in range(4):
            root = palm + side_step * (i / 1.5 - 1)
            tip = root + (sign * -.10 * (i - 1), -.55 + .08 * abs(i - 1.5))
            stroke(image, at([root, tip]), .85 * skin,
                   .20 * pose.scale / OVERSAMPLING)
            stroke(image, at([root, tip]), skin,
                   .13 * pose.scale / OVERSAMPLING)
    elif kind < .11:
        for i, bend in enumerate(rng.random(4)):
            start = np.array([sign * (.1 + .2 * i), -1.1])
            middle = np.array([sign * (.35 + .15 * i), -.3 + .2 * bend])
            end = np.array([sign * (.75 + .1 * bend), .5 + y])
            stroke(image, at(spline(3) @ [start, middle, end]),
                   person.hair * (.8 + .4 * bend), 1 + 2 * tone)
    elif kind < .14:
        top = 1.0 + .35 * y
        fill(image, at([(-1.5, top - .2), (0, top + .1 * x), (1.5, top - .2),
                        (1.8, 3), (-1.8, 3)]), 30 + 200 * tone)
    else:
        caption(image, .06 if y < .35 else .86, 255 * (tone > .4), x > .6, rng)


def caption(image, top, tone, bar, rng):
    """Write a line of strokes that pass for letters, on a bar if asked.

    OpenCV's own text changes its look from one version to the next.
    """
    n = len(image)
    height, x = .10 * n, .04 * n
    if bar:
        fill(image, [(0, top * n - 1), (n, top * n - 1),
                     (n, top * n + height + 1), (0, top * n + height + 1)],
             255 - tone)
    for corners in rng.random((int(4 + 8 * rng.random()), 3, 2)):
        stroke(image, (x, top * n) + corners * (.055 * n, height), tone)
        x += .075 * n


def snapshot(image, rng):
    """Contrast, blur, sensor noise and JPEG of a small photograph.

    float32 (n, n) -> uint8 (n, n).
    """
    contrast, brightness, blur, noise, packed, quality = rng.random(6)
    n = len(image)
    level = np.float32(128)
    # the exposure goes most of the way to a medium grey
    image = image - np.float32(.7) * (image.mean() - np.float32(115))
    image = ((image - level) * np.float32(.75 + .65 * contrast)
             + level + np.float32(60 * (brightness - .5)))
    if blur > .35:
        image = cv2.GaussianBlur(image, (5, 5), float(.7 * blur * n / SIDE))
    grain = rng.standard_normal((n, n), dtype=np.float32)
    image = image + np.float32(1 + 9 * noise**3) * grain
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    if packed < .7:
        code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY,
                                            int(25 + 65 * quality)])[1]
        image = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return image


def paint(person, left, right, pose, rng, side):
    """Paint a person under action units; float32 (side, side) in 0..255."""
    curves, folds = landmarks(person, left, right)
    names = list(curves)
    ends = np.cumsum([len(curve) for curve in curves.values()])[:-1]
    pixels = pose(np.concatenate(list(curves.values())))
    curves = dict(zip(names, np.split(pixels, ends)))
    azimuth, height, strength = rng.random(3)
    light = np.array([1.6 * (azimuth - .5), -.6 + .9 * (height - .4), 1.])
    light /= np.sqrt((light**2).sum())

    canvas = paint_background(side * OVERSAMPLING, rng)
    paint_hair_behind(canvas, pose, person, rng)
    paint_body(canvas, pose, person, rng)
    paint_head(canvas, pose, curves, person)
    paint_mouth(canvas, pose, curves, person)
    paint_nose(canvas, curves, person, pose)
    gaze = .028 * np.clip(rng.standard_normal(2), -2, 2) * (1, .5)
    for name in ('_left', '_right'):
        paint_eye(canvas, curves, name, person, pose, gaze)
        paint_brow(canvas, curves['brow' + name], person, pose)
    paint_hair_before(canvas, pose, person, rng)
    if person.glasses != 'none':
        paint_glasses(canvas, pose, person)

    image = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)
    image = image * relief(curves, folds, person, pose, light, side)
    return image * lighting(pose, light, .25 + .75 * strength, side)


def draw_face(emotion, rng, size=SIDE):
    """A face that shows an emotion, of a person drawn at random.

    Parameters
    ----------
    emotion : int
        Position in `EMOTIONS`, 0 angry .. 6 neutral.
    rng : numpy.random.Generator
        The only source of what varies.
    size : int
        Side of the image in pixels.

    Returns
    -------
    numpy.ndarray
        Grey tones, uint8 (size, size).

    Raises
    ------
    ValueError
        If `emotion` is not one of 0..6 or `size` no whole number >= 16.
    """
    if not isinstance(size, (int, np.integer)) or size < 16:
        raise ValueError('size must be a whole number of pixels >= 16, '
                         f'got {size!r}')
    if emotion not in range(len(EMOTIONS)):
        raise ValueError('emotion must be a whole number from 0 to '
                         f'{len(EMOTIONS) - 1}, got {emotion!r}')
    person = draw_person(rng)
    intensities = express(int(emotion), rng)
    uneven = np.clip(.1 * rng.standard_normal(2), -.25, .25)
    left, right = ({unit: a * (1 + float(u)) for unit, a in
                    intensities.items()} for u in uneven)
    pose = draw_pose(rng, size * OVERSAMPLING)
    image = paint(person, left, right, pose, rng, size)
    image = np.clip(image, 0, 255).astype(np.uint8)
    occlude(image, pose, person, rng)
    return snapshot(image.astype(np.float32), rng)


def frequencies(without=None):
    """Cumulative class frequencies of FER2013, (7,), the last 1."""
    counts = np.array(FREQUENCIES, float)
    if without is not None:
        counts[without] = 0
    return np.cumsum(counts) / counts.sum()


def draw_class(cumulative, u):
    """The class in whose part of [0, 1) the number u falls."""
    return int(np.searchsorted(cumulative[:-1], u, side='right'))


def early_classes(seed, subset):
    """Places among the first 50 images where every class is met once.

    Disgust is so rare (1.5 %) that a small subset could lack it.
    """
    # no image has this seed: numpy reads a missing third number as 0
    rng = np.random.default_rng([seed, len(USAGES) + subset])
    places = rng.permutation(50)[:len(EMOTIONS)]
    return {int(place): label for label, place in enumerate(places)}


def draw_labels(rng, planned, wrong_labels):
    """The emotion shown and the label given to one image.

    A wrong label is drawn from the frequencies of the other classes: one
    drawn evenly would fill the rare class of disgust with errors.  An image
    planned to represent its class keeps its label.
    """
    shown, wrong, other = rng.random(3)
    emotion = draw_class(frequencies(), shown) if planned is None else planned
    if planned is None and wrong < wrong_labels:
        return emotion, draw_class(frequencies(emotion), other)
    return emotion, emotion


def draw_faces(n_training=2000, n_public=300, n_private=300, *, seed=0,
               wrong_labels=.08):
    """Draw a set of faces with the class frequencies of FER2013.

    Every image has its own generator, seeded by (seed, subset, position):
    a longer subset begins with the images and labels of a shorter one, and
    the same seed with other `wrong_labels` gives the same images.  A subset
    of 50 or more has every class.

    Parameters
    ----------
    n_training, n_public, n_private : int
        Images in the three subsets.
    seed : int
        Not negative.
    wrong_labels : float
        Probability in [0, 1) that a label is not the emotion drawn.

    Returns
    -------
    images : numpy.ndarray
        uint8 (n, 48, 48), in the order of the subsets.
    labels : numpy.ndarray
        uint8 (n,), positions in `EMOTIONS`.
    usage : numpy.ndarray
        uint8 (n,), positions in `USAGES`.

    Raises
    ------
    ValueError
        If a number of images or the seed is no whole number >= 0, or
        `wrong_labels` lies outside [0, 1).
    """
    sizes = (n_training, n_public, n_private)
    for name, value in zip(('n_training', 'n_public', 'n_private', 'seed'),
                           (*sizes, seed)):
        if not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f'{name} must be a whole number >= 0, '
                             f'got {value!r}')
    if not 0 <= wrong_labels < 1:
        raise ValueError('wrong_labels must lie in [0, 1), '
                         f'got {wrong_labels!r}')
    usage = np.repeat(np.arange(3, dtype=np.uint8), sizes)
    images = np.empty((len(usage), SIDE, SIDE), np.uint8)
    labels = np.empty(len(usage), np.uint8)
    row = 0
    for subset, size in enumerate(sizes):
        planned = early_classes(seed, subset)
        for i in range(size):
            rng = np.random.default_rng([seed, subset, i])
            emotion, labels[row] = draw_labels(rng, planned.get(i),
                                               wrong_labels)
            images[row] = draw_face(emotion, rng)
            row += 1
    return images, labels, usage


def write_csv(path, n_training=2000, n_public=300, n_private=300, *, seed=0,
              wrong_labels=.08):
    """Write a drawn set as the challenge's CSV: emotion,pixels,Usage.

    Parameters
    ----------
    path : str or os.PathLike
        File to write; it appears complete or not at all.
    n_training, n_public, n_private, seed, wrong_labels
        As for `draw_faces`.

    Returns
    -------
    str or os.PathLike
        `path` as it was given.

    Raises
    ------
    ValueError
        As `draw_faces`.
    OSError
        If the file cannot be written.
    """
    if os.path.isdir(path):
        raise IsADirectoryError('path must name a file, got folder '
                                f'{os.fspath(path)!r}')
    temporary = f'{os.fspath(path)}.{os.getpid()}.part'
    try:
        # opened before the drawing: a wrong path is told at once
        file = open(temporary, 'w', encoding='ascii', newline='\n')
    except OSError as error:
        raise type(error)(
            'path must lie in a folder that can be written, got '
            f'{os.fspath(path)!r}: {error.strerror}') from error
    try:
        with file:
            write_rows(file, *draw_faces(n_training, n_public, n_private,
                                         seed=seed, wrong_labels=wrong_labels))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def write_rows(file, images, labels, usage):
    """Write the header and one row an image, pixels row by row."""
    file.write('emotion,pixels,Usage\n')
    for image, label, part in zip(images, labels, usage):
        pixels = ' '.join(map(str, image.ravel().tolist()))
        file.write(f'{label},{pixels},{USAGES[part]}\n')
