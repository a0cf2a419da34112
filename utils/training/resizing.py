"""Images made smaller in the graph, and the sizes that training goes through: progressive resizing.

==================  ===========================================================================
`area_resized`      images made smaller by the mean over the area of each new pixel
`full_size`         height and width that a network is trained for
`at_height`         the size of a height, in the proportions of another
`height_of_epoch`   which of the heights an epoch of stage train has
`check_epochs`      refuses fewer epochs than heights
`check_heights`     refuses heights above that of the images
`check_network`     refuses a network whose graph is for images of one size alone
==================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.training.graph_checks import network_name

if TYPE_CHECKING:
    from utils.annotations import Tensor
    from utils.training.settings import Settings


def _overlaps(whole, part):
    """Pixels (part, taps) that lie within each of `part` equal parts of `whole` pixels, and their shares, of sum 1."""
    i = np.arange(part)[:, None]
    first = i * whole // part
    pixel = first + np.arange((-(-(i + 1) * whole // part) - first).max())
    # In units of 1 / part pixel, so that all is whole: pixel j goes from j * part to (j + 1) * part.
    common = np.minimum((i + 1) * whole, (pixel + 1) * part) - np.maximum(i * whole, pixel * part)
    return np.minimum(pixel, whole - 1), (np.maximum(common, 0) / whole).astype(np.float32)


def area_resized(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Images (n, h, w, channels), float32 of static shape, as ``(n, *size, channels)``, at most as large.

    A new pixel is the mean over the rectangle of h / h' times w / w' old pixels that it covers, those that it covers in
    part by their part: OpenCV's INTER_AREA. First along the columns, then the rows, in float32 in every precision.
    """
    n, _, _, channels = x.type.shape
    for axis in (1, 2):
        whole, part = x.type.shape[axis], size[axis - 1]
        if whole == part:
            continue
        pixels, shares = _overlaps(whole, part)
        before = (slice(None),) * axis
        x = sum(
            x[(*before, pixels[:, k])] * shares[:, k].reshape([-1 if a == axis else 1 for a in range(4)])
            for k in range(pixels.shape[1])
        )
        x = x.reshape((n, size[0], x.type.shape[2] if axis == 1 else size[1], channels))
    return x


def full_size(settings: Settings, im_dim: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width of the images that a network takes: those of the set, or of the crops."""
    return settings.augment.seen(im_dim) if settings.augment else tuple(im_dim)


def at_height(height: int, size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of an image of this height in the proportions of `size`."""
    return height, max(1, round(height * size[1] / size[0]))


def height_of_epoch(heights: Sequence[int], epoch: int, n_epochs: int) -> int | None:
    """The height of the images in an epoch, from 0: each in turn for an equal part of them; None without heights."""
    return heights[epoch * len(heights) // n_epochs] if heights else None


def check_epochs(heights: Sequence[int], n_epochs: int) -> None:
    """Raise ValueError where there are fewer epochs than heights."""
    if n_epochs < len(heights):
        raise ValueError(
            f'progressive_sizes has {len(heights)} sizes, for one epoch each at least: n_epochs must be at least '
            f'{len(heights)}, got {n_epochs}'
        )


def check_heights(heights: Sequence[int], size: tuple[int, ...]) -> None:
    """Raise ValueError for a height above that of the images."""
    if max(heights, default=0) > size[0]:
        raise ValueError(
            f'progressive_sizes must be at most the height of the images that the network takes, {size[0]}, '
            f'got {max(heights)}'
        )


def check_network(
    network: Any, heights: Sequence[int], size: tuple[int, ...], build: Callable[[tuple[int, int]], Any]
) -> None:
    """Refuse heights above that of the images, and networks whose graph is for images of one size alone.

    Parameters
    ----------
    network : Layer
    heights : sequence of int
    size : (int, int)
        Height and width that the network was made for.
    build : callable
        ``build(size)`` makes the network's graph for images of another size.

    Raises
    ------
    ValueError
    """
    check_heights(heights, size)
    for height in sorted(set(heights)):
        smaller = at_height(height, size)
        try:
            build(smaller)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise ValueError(unfit(network_name(network), smaller, str(error))) from None


def unfit(name: str, size: tuple[int, int], why: str) -> str:
    """Why a network cannot be trained on images of another size."""
    return (
        f'{name} cannot be trained on images of {size[0]}x{size[1]} pixels, of progressive_sizes ({why}): its '
        'parameters must not depend on the size of the images, as where it ends in a mean over the image: ResNet18, '
        'ResNet34, GoogLeNet'
    )
