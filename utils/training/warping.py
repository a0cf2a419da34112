"""Geometric transforms of images inside the graph.

`warp` serves augmentation and the views of the special test. `Cropped` is a network applied to the centre of its
images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from utils import ops
from utils.layer import Layer

if TYPE_CHECKING:
    from utils.annotations import Tensor
    from utils.layer import Phase


def warp(
    x: Tensor,
    mirror: float | Tensor = 1.0,
    down: float | Tensor = 0.0,
    right: float | Tensor = 0.0,
    angle: float | Tensor = 0.0,
    zoom: float | Tensor = 1.0,
    size: tuple[int, int] | None = None,
    top: Tensor | None = None,
    left: Tensor | None = None,
) -> Tensor:
    """Mirror, rotate, scale and shift images about their centres, with bilinear interpolation.

    Pixels outside the image take the value of the nearest border pixel.

    Parameters
    ----------
    x : tensor (n, height, width, 1), float
        Static shape.
    mirror : float or tensor (n,)
        -1 for the mirror image (left and right exchanged), 1 for the image itself.
    down, right : float or tensor (n,)
        Shift in pixels.
    angle : float or tensor (n,)
        Rotation in degrees, anticlockwise for the viewer.
    zoom : float or tensor (n,)
        Magnification, > 0.
    size : (int, int), optional
        Height and width of a crop of the result, at most those of `x`.
    top, left : tensor (n,), optional
        First row and column of the crop, in pixels; by default the crop is central, see `centre`.

    Returns
    -------
    tensor (n, height, width, 1)
        Mirroring is applied last, after rotation, scaling and shift. With `size`, height and width are those of it.
    """
    n, height, width, channels = x.type.shape
    if None in x.type.shape or channels != 1:
        raise ValueError(f'warp needs images of a static shape (n, height, width, 1), got {x.type.shape}')

    def per_image(value):
        value = pt.as_tensor_variable(np.asarray(value, x.dtype) if not hasattr(value, 'type') else value)
        return value.astype(x.dtype) if value.ndim == 0 else value.astype(x.dtype).dimshuffle(0, 'x', 'x')

    mirror, down, right, angle, zoom = map(per_image, (mirror, down, right, angle, zoom))
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    high, wide = size or (height, width)
    first = _first_of_middle((height, width), (high, wide))
    top, left = (per_image(default if given is None else given) for given, default in zip((top, left), first))
    v = (np.arange(high, dtype=x.dtype) - np.asarray(middle_y, x.dtype))[None, :, None] + top - down
    u = ((np.arange(wide, dtype=x.dtype) - np.asarray(middle_x, x.dtype))[None, None, :] + left) * mirror - right
    radians = angle * np.asarray(np.pi / 180, x.dtype)
    cos, sin = pt.cos(radians) / zoom, pt.sin(radians) / zoom
    # Source position of each pixel of the result: the inverse rotation, rows counted downwards.
    column = pt.clip(cos * u - sin * v + np.asarray(middle_x, x.dtype), 0, width - 1)
    row = pt.clip(sin * u + cos * v + np.asarray(middle_y, x.dtype), 0, height - 1)
    top, left = pt.minimum(pt.floor(row), height - 2), pt.minimum(pt.floor(column), width - 2)
    below, beside = (row - top), (column - left)
    place = (top * np.asarray(width, x.dtype) + left).astype('int32')
    near = ops.NeighbourPixels()(x[..., 0], pt.broadcast_to(place, (n, high, wide)))
    upper = near[..., 0] + (near[..., 1] - near[..., 0]) * beside
    lower = near[..., 2] + (near[..., 3] - near[..., 2]) * beside
    return (upper + (lower - upper) * below).dimshuffle(0, 1, 2, 'x')


def centre(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Centre crop of images (n, height, width, ...), an array or tensor; rounded up and to the left."""
    top, left = _first_of_middle(getattr(x, 'type', x).shape[1:3], size)
    return x[:, top : top + size[0], left : left + size[1]]


def _first_of_middle(im_dim, size):
    return [(whole - part) // 2 for whole, part in zip(im_dim, size)]


class Cropped(Layer):
    """A network applied to the centre of images that are larger than its input; smaller images are not cropped.

    Parameters
    ----------
    network : Layer
    size : (int, int)
        Height and width of the images that `network` takes, in pixels.
    """

    def __init__(self, network: Any, size: tuple[int, ...]) -> None:
        self.network, self.size = network, tuple(size)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        fits = all(side <= most for side, most in zip(x.type.shape[1:3], self.size))
        return self.network(x if fits else centre(x, self.size), phase)
