"""Figures of what a network has learned: filters, feature maps, saliency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.layer import parameters
from utils.results.plots.drawing import blank, figure, without_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.results.plots.drawing import Subject


@figure('First-layer filters')
def filters(subject: Subject) -> Figure:
    """Filters of the first layer."""
    network, im_dim = subject.bare_network
    first = next((p for name, p in parameters(network).items() if name.rpartition('.')[2] == 'W'), None)
    return first_layer_filters(first.get_value(), im_dim) if first is not None else None


def first_layer_filters(W: np.ndarray, im_dim: tuple[int, int], most: int = 64) -> Any:
    """Draw the weights of the first layer, convolution (h, w, 1, n) or fully connected (pixels, n), as images."""
    if W.ndim == 4:
        filters = W.mean(axis=2).transpose(2, 0, 1)
    elif W.shape[0] == np.prod(im_dim):
        filters = W.T.reshape(-1, *im_dim)
    else:
        return None
    total = len(filters)
    filters = filters[:most]
    columns = min(16, len(filters))
    lines = -(-len(filters) // columns)
    drawing = blank(max(4, 0.6 * columns), 0.6 * lines + 0.5)
    drawing.suptitle(
        f'Weights of the first layer{f", {most} of {total}" if total > most else ""} (blue negative, red positive)',
        fontsize=10,
    )
    for axes, one in zip(
        drawing.subplots(lines, columns, squeeze=False).flat, [*filters, *[None] * (lines * columns - len(filters))]
    ):
        without_axes(axes)
        if one is not None:
            limit = abs(one).max() or 1
            axes.imshow(one, cmap='RdBu_r', vmin=-limit, vmax=limit)
    return drawing


@figure('Feature maps', 'The maps that vary most, of each convolutional layer, for one face.')
def features(subject: Subject) -> Figure:
    """Feature maps of one face."""
    maps = {layer: value[0] for layer, value in subject.inspector.feature_maps(subject.faces).items()}
    return feature_maps(subject.faces[0], maps, f'A face taken for {subject.captions[0]}')


def feature_maps(image: np.ndarray, maps: dict[str, np.ndarray], title: str = '', most: int = 12) -> Figure | None:
    """Draw the strongest feature maps of each layer for one face.

    Parameters
    ----------
    image : uint8 array (height, width)
    maps : dict of str to array (h, w, channels)
    """
    if not maps:
        return None
    columns = min(most, max(m.shape[2] for m in maps.values()))
    drawing = blank(0.95 * (columns + 1.4), 0.95 * len(maps) + 0.5)
    drawing.suptitle(title, fontsize=10)
    grid = drawing.subplots(len(maps), columns + 1, squeeze=False, width_ratios=[1.4] + [1] * columns)
    for axes in grid.flat:
        without_axes(axes)
    grid[0, 0].imshow(image, cmap='gray', vmin=0, vmax=255)
    for line, (name, value) in zip(grid, maps.items()):
        line[0].set_xlabel(f'{name}\n{value.shape[0]}x{value.shape[1]}, {value.shape[2]} maps', fontsize=7)
        # Tanh and sigmoid maps are strong where they vary, not where they are large.
        order = np.argsort(-value.std(axis=(0, 1)), kind='stable')[:columns]
        for axes, k in zip(line[1:], order):
            axes.imshow(value[..., k], cmap='viridis')
    return drawing


@figure(
    'Saliency and Grad-CAM',
    'How much the score of the answer changes with each pixel, and where the last '
    'convolutional layer sees evidence for it.',
)
def saliency(subject: Subject) -> Figure:
    """Saliency of some faces."""
    answers = subject.probabilities[subject.examples].argmax(axis=1)
    return saliency_maps(subject.faces, *subject.inspector.saliency(subject.faces, answers), subject.captions)


def saliency_maps(images: np.ndarray, saliency: np.ndarray, cam: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw faces, the gradient of a class's score with respect to their pixels, and Grad-CAM over them."""
    lines = ['face', 'saliency'] + (['Grad-CAM'] if cam is not None else [])
    drawing = blank(1.35 * len(images) + 0.7, 1.4 * len(lines) + 0.6)
    grid = drawing.subplots(len(lines), len(images), squeeze=False)
    for axes in grid.flat:
        without_axes(axes)
    for name, line in zip(lines, grid):
        line[0].set_ylabel(name, fontsize=9)
    height, width = images.shape[1:]
    for k, caption in enumerate(captions):
        grid[0, k].set_title(caption, fontsize=8)
        grid[0, k].imshow(images[k], cmap='gray', vmin=0, vmax=255)
        grid[1, k].imshow(saliency[k], cmap='magma', vmax=np.quantile(saliency[k], 0.995) or 1)
        if cam is not None:
            grid[2, k].imshow(images[k], cmap='gray', vmin=0, vmax=255)
            grid[2, k].imshow(
                cam[k],
                cmap='jet',
                alpha=0.45,
                interpolation='bilinear',
                vmin=0,
                vmax=cam[k].max() or 1,
                extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            )
    return drawing
