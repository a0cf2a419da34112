"""Progressive resizing: training on smaller images first, which are resized in the graph.

==================  ===========================================================================
`area_resized`      shrinks images by the mean over the area of each new pixel
`full_size`         height and width that a network is trained for
`at_height`         size with a given height and the aspect ratio of another size
`height_of_epoch`   height of the images in an epoch of stage train
`check_epochs`      refuses fewer epochs than heights
`check_heights`     refuses heights above that of the images
`check_network`     refuses a network whose graph only works for images of one size
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
    """Pixels (part, taps) inside each of `part` equal parts of `whole` pixels, and their weights, which sum to 1."""
    i = np.arange(part)[:, None]
    first = i * whole // part
    pixel = first + np.arange((-(-(i + 1) * whole // part) - first).max())
    # In integer units of 1 / part pixel: pixel j extends from j * part to (j + 1) * part.
    common = np.minimum((i + 1) * whole, (pixel + 1) * part) - np.maximum(i * whole, pixel * part)
    return np.minimum(pixel, whole - 1), (np.maximum(common, 0) / whole).astype(np.float32)


def area_resized(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Shrink images (n, h, w, channels), float32 of static shape, to ``(n, *size, channels)``.

    A new pixel is the mean over the h / h' times w / w' old pixels that it covers; partly covered pixels have a smaller
    weight. This is OpenCV's INTER_AREA. It is computed along the height, then the width, always in float32.
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
    return settings.augment.output_size(im_dim) if settings.augment else tuple(im_dim)


def at_height(height: int, size: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of an image with this height and the aspect ratio of `size`."""
    return height, max(1, round(height * size[1] / size[0]))


def height_of_epoch(heights: Sequence[int], epoch: int, n_epochs: int) -> int | None:
    """Height of the images in an epoch, from 0; each height has an equal part of the epochs. None without heights."""
    return heights[epoch * len(heights) // n_epochs] if heights else None


def check_epochs(heights: Sequence[int], n_epochs: int) -> None:
    """Raise ValueError if there are fewer epochs than heights."""
    if n_epochs < len(heights):
        raise ValueError(
            f'progressive_sizes has {len(heights)} sizes, and each needs at least one epoch: n_epochs must be at least '
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
    """Refuse heights above that of the images, and networks whose graph only works for images of one size.

    Parameters
    ----------
    network : Layer
    heights : sequence of int
    size : (int, int)
        Height and width that the network was made for.
    build : callable
        Function ``build(size)`` that makes the network's graph for images of another size.

    Raises
    ------
    ValueError
        If a height is too large or does not work with the network.
    """
    check_heights(heights, size)
    for height in sorted(set(heights)):
        smaller = at_height(height, size)
        try:
            build(smaller)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise ValueError(unfit(network_name(network), smaller, str(error))) from None


def unfit(name: str, size: tuple[int, int], why: str) -> str:
    """Message that says why a network cannot be trained on images of another size."""
    return (
        f'{name} cannot be trained on images of {size[0]}x{size[1]} pixels, of progressive_sizes ({why}): its '
        'parameters must not depend on the size of the images. Networks that end in a mean over the image are '
        'suitable: ResNet18, ResNet34, GoogLeNet'
    )
