"""Images of a minibatch mixed with one another, and rectangles in them.

==================  ===========================================================================
`mixup`, `cutmix`   each image with the next one, its `partner`
`erased`            a rectangle painted over
`rectangle`         which pixels are in one
==================  ===========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from scipy.special import betaincinv

if TYPE_CHECKING:
    from utils.annotations import Tensor


def partner(values: Tensor) -> Tensor:
    """The next image's values, for each image of a minibatch: what `Augment` mixes it with."""
    return pt.concatenate([values[1:], values[:1]], axis=0)


def quantiles(alpha: float) -> np.ndarray:
    """Quantiles of Beta(alpha, alpha), float32 (4097,), between which `mixup` interpolates a uniform draw."""
    return betaincinv(alpha, alpha, np.linspace(0, 1, 4097)).astype('float32')


def mixup(x: Tensor, u: Tensor, table: np.ndarray) -> tuple[Tensor, Tensor]:
    """Images mixed with their partners, and the weights (n,) of their own; `u` (n,) uniform, `table` of `quantiles`."""
    steps = len(table) - 1
    place = u * np.asarray(steps, 'float32')
    below = pt.clip(pt.floor(place).astype('int32'), 0, steps - 1)
    values = pt.as_tensor_variable(table)
    weight = values[below] + (values[below + 1] - values[below]) * (place - below.astype('float32'))
    own = weight.dimshuffle(0, 'x', 'x', 'x')
    return own * x + (1 - own) * partner(x), weight


def cutmix(x: Tensor, u: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Images with a rectangle of their partners, and the weights (n,) of their own: the areas that are left.

    Parameters
    ----------
    x : tensor (n, height, width, 1)
    u : tensor (n, 4)
        Uniform: part of the area, middle down and to the right, whether it is done.
    probability : float in [0, 1]
    """
    _, height, width, _ = x.type.shape
    side, edges = pt.sqrt(u[:, 0]), []
    for k, length in ((1, height), (2, width)):
        middle, half = u[:, k] * length, side * np.asarray(length / 2, x.dtype)
        edges += [pt.clip(pt.floor(middle - half), 0, length), pt.clip(pt.floor(middle + half), 0, length)]
    top, bottom, left, right = edges
    chosen = u[:, 3] < np.asarray(probability, x.dtype)
    area = (bottom - top) * (right - left) * np.asarray(1 / (height * width), x.dtype)
    pasted = pt.and_(chosen.dimshuffle(0, 'x', 'x'), rectangle(x, top, left, bottom - top, right - left))
    weight = pt.switch(chosen, np.asarray(1, x.dtype) - area, np.asarray(1, x.dtype))
    return pt.switch(pasted.dimshuffle(0, 1, 2, 'x'), partner(x), x), weight


def erased(x: Tensor, draws: Any, probability: float) -> Tensor:
    """Images with a rectangle of one grey level painted over them, see `utils.training.augmentation.Augment`.

    Parameters
    ----------
    x : tensor (n, height, width, 1)
    draws : dict of str to tensor (n,)
        Uniform: 'area', 'aspect', 'top', 'left', 'grey', and 'erase', whether it is done.
    probability : float in [0, 1]
    """
    _, height, width, _ = x.type.shape
    area = (0.02 + (0.33 - 0.02) * draws['area']) * (height * width)
    aspect = pt.exp(np.log(0.3).item() + (np.log(3.3) - np.log(0.3)).item() * draws['aspect'])
    tall = pt.clip(pt.round(pt.sqrt(area * aspect)), 1, height)
    wide = pt.clip(pt.round(pt.sqrt(area / aspect)), 1, width)
    top, left = pt.floor(draws['top'] * (height - tall + 1)), pt.floor(draws['left'] * (width - wide + 1))
    chosen = (draws['erase'] < np.asarray(probability, x.dtype)).dimshuffle(0, 'x', 'x')
    painted = pt.and_(chosen, rectangle(x, top, left, tall, wide))
    return pt.switch(painted.dimshuffle(0, 1, 2, 'x'), draws['grey'].dimshuffle(0, 'x', 'x', 'x'), x)


def rectangle(x: Tensor, top: Tensor, left: Tensor, tall: Tensor, wide: Tensor) -> Tensor:
    """True (n, h, w) within a rectangle of each image; its first row and column and its sides are (n,)."""
    _, height, width, _ = x.type.shape

    def inside(length, first, extent):
        pixels, first = np.arange(length, dtype=x.dtype)[None], first.dimshuffle(0, 'x')
        return pt.and_(pixels >= first, pixels < first + extent.dimshuffle(0, 'x'))

    return pt.and_(inside(height, top, tall).dimshuffle(0, 1, 'x'), inside(width, left, wide).dimshuffle(0, 'x', 1))
