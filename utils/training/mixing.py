"""Mixes the images of a minibatch with each other, and paints rectangles over them.

==================  ===========================================================================
`mixup`, `cutmix`   mix each image with the next one, its `partner`
`erased`            paints a rectangle over each image
`rectangle`         mask of the pixels in a rectangle
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
    """Values of the next image, for each image of a minibatch; `Augment` mixes the two."""
    return pt.concatenate([values[1:], values[:1]], axis=0)


def quantiles(alpha: float) -> np.ndarray:
    """Quantiles of Beta(alpha, alpha), float32 (4097,); `mixup` interpolates between them by a uniform draw."""
    return betaincinv(alpha, alpha, np.linspace(0, 1, 4097)).astype('float32')


def mixup(x: Tensor, u: Tensor, table: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mix images with their partners; return them and the weights (n,) of the images themselves.

    Parameters
    ----------
    x : tensor (n, height, width, 1)
    u : tensor (n,)
        Uniform draws.
    table : array
        Result of `quantiles`.
    """
    steps = len(table) - 1
    place = u * np.asarray(steps, 'float32')
    below = pt.clip(pt.floor(place).astype('int32'), 0, steps - 1)
    values = pt.as_tensor_variable(table)
    weight = values[below] + (values[below + 1] - values[below]) * (place - below.astype('float32'))
    own = weight.dimshuffle(0, 'x', 'x', 'x')
    return own * x + (1 - own) * partner(x), weight


def cutmix(x: Tensor, u: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of their partners into images; return them and the fraction (n,) of each that is left.

    Parameters
    ----------
    x : tensor (n, height, width, 1)
    u : tensor (n, 4)
        Uniform draws: fraction of the area, vertical and horizontal position of the centre, whether to paste.
    probability : float in [0, 1]
        Probability of pasting.
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
    """Paint a rectangle of one grey level over images, see `utils.training.augmentation.Augment`.

    Parameters
    ----------
    x : tensor (n, height, width, 1)
    draws : dict of str to tensor (n,)
        Uniform draws 'area', 'aspect', 'top', 'left', 'grey', and 'erase', which decides whether to paint.
    probability : float in [0, 1]
        Probability of painting.
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
    """Mask (n, h, w), True within a rectangle of each image; first row, first column and sides are (n,)."""
    _, height, width, _ = x.type.shape

    def inside(length, first, extent):
        pixels, first = np.arange(length, dtype=x.dtype)[None], first.dimshuffle(0, 'x')
        return pt.and_(pixels >= first, pixels < first + extent.dimshuffle(0, 'x'))

    return pt.and_(inside(height, top, tall).dimshuffle(0, 1, 'x'), inside(width, left, wide).dimshuffle(0, 'x', 1))
