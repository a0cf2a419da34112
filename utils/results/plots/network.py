"""Figures of what a network has learned: filters, feature maps, the images that excite them, saliency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.layer import parameters
from utils.results import deconvolution
from utils.results.plots.drawing import blank, figure, without_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.results.plots.drawing import Subject


@figure('First-layer filters')
def filters(subject: Subject) -> Figure:
    """Draw the filters of the first layer."""
    network, im_dim = subject.bare_network
    first = next((p for name, p in parameters(network).items() if name.rpartition('.')[2] == 'W'), None)
    return first_layer_filters(first.get_value(), im_dim) if first is not None else None


def first_layer_filters(W: np.ndarray, im_dim: tuple[int, int], most: int = 64) -> Any:
    """Draw the weights of the first layer, convolutional (h, w, 1, n) or fully connected (pixels, n), as images."""
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


@figure('Feature maps', 'The maps of each convolutional layer that vary most for one face.')
def features(subject: Subject) -> Figure:
    """Draw the feature maps of one face."""
    maps = {layer: value[0] for layer, value in subject.inspector.feature_maps(subject.faces).items()}
    return feature_maps(subject.faces[0], maps, f'A face classified as {subject.captions[0]}')


def feature_maps(image: np.ndarray, maps: dict[str, np.ndarray], title: str = '', most: int = 12) -> Figure | None:
    """Draw the feature maps of each layer that vary most for one face.

    Parameters
    ----------
    image : uint8 array (height, width)
    maps : dict of str to array (h, w, channels)
        Feature maps by layer.
    title : str
    most : int
        Largest number of maps for each layer.
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
        # By variation, because tanh and sigmoid maps can be large without being informative.
        order = np.argsort(-value.std(axis=(0, 1)), kind='stable')[:columns]
        for axes, k in zip(line[1:], order):
            axes.imshow(value[..., k], cmap='viridis')
    return drawing


@figure(
    'What excites the feature maps',
    'For the strongest maps of some layers, the nine test images that excite each map most. Above: the largest '
    'activation of the map alone, projected down to the pixels. Below: the same part of the image. The method is the '
    'deconvolution of Zeiler and Fergus (2014) for a plain chain of layers. They do not define it for summed or joined '
    'maps; there it is the guided backpropagation of Springenberg et al. (2015).',
)
def excitation(subject: Subject) -> Figure | None:
    """Draw the images that excite feature maps most, projected down to pixels."""
    network, size = subject.bare_network
    rows = np.linspace(0, len(subject.subset) - 1, min(deconvolution.SAMPLE, len(subject.subset))).round().astype(int)
    if len(rows) < deconvolution.IMAGES:
        return None
    try:
        looking = deconvolution.Deconvolution(network, size)
    except deconvolution.Undefined as reason:
        subject.info(f'no figure of what excites the feature maps: {reason}')
        return None
    return excited_maps(list(deconvolution.strongest(looking, subject.images(rows))), looking.method)


def excited_maps(found: Sequence[deconvolution.Excited], method: str) -> Figure | None:
    """Draw the projections of the largest activations of maps, with the same parts of the images below."""
    if not found:
        return None
    drawing = blank(10, 2.8 * len(found) + 0.4)
    drawing.suptitle(f'The nine images that excite a map most, by {method}', fontsize=10)
    for axes, layer in zip(drawing.subplots(len(found), 1, squeeze=False).flat, found):
        without_axes(axes)
        parts, projections = layer.patches
        limits = abs(projections).max(axis=(2, 3), keepdims=True)
        rows = (1 + projections / np.where(limits > 0, limits, 1)) / 2, parts / 255  # grey is 0
        sheet = np.concatenate([np.concatenate([_mosaic(nine) for nine in row], axis=1) for row in rows])
        axes.imshow(sheet, cmap='gray', vmin=0, vmax=1)
        axes.set_title(f'{layer.layer}, {parts.shape[2]}x{parts.shape[3]} pixels', fontsize=8, loc='left', pad=5)
        step = sheet.shape[1] / len(layer.units)
        places = step * (np.arange(len(layer.units)) + 0.5)
        axes.set_xticks(places, [f'map {unit}' for unit in layer.units], fontsize=7)
        axes.tick_params(length=0, pad=1, top=True, labeltop=True, bottom=False, labelbottom=False)
    return drawing


def _mosaic(images, least=40):
    """Arrange images (9, h, w) as 3x3 with white lines and a frame, each enlarged to about `least` pixels."""
    images = np.kron(images, np.ones((1, *[max(1, least // max(images.shape[1:]))] * 2)))
    _, height, width = images.shape
    out = np.ones((3 * height + 4, 3 * width + 4))
    for k, image in enumerate(images):
        top, left = k // 3 * (height + 2), k % 3 * (width + 2)
        out[top : top + height, left : left + width] = image
    return np.pad(out, 5, constant_values=1)


@figure(
    'Saliency and Grad-CAM',
    'How much the score of the answer changes with each pixel, and where the last '
    'convolutional layer finds evidence for the answer.',
)
def saliency(subject: Subject) -> Figure:
    """Draw the saliency of some faces."""
    answers = subject.probabilities[subject.examples].argmax(axis=1)
    return saliency_maps(subject.faces, *subject.inspector.saliency(subject.faces, answers), subject.captions)


def saliency_maps(images: np.ndarray, saliency: np.ndarray, cam: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw faces, the gradients of a class's score with respect to their pixels, and Grad-CAM over the faces."""
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
