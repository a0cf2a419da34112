"""The figure of pre-training: what denoising autoencoders make of corrupted faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.results.plots.drawing import blank, figure, without_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.results.plots.drawing import Subject


@figure(
    'Reconstructions of pre-training',
    'Faces, corrupted, and reconstructed from the code of the first layer and, decoded down through the stack, from '
    'that of the deepest; with the weights that stage pretrain left, on validation images, or without those training '
    'images.',
)
def reconstructions(subject: Subject) -> Figure | None:
    """Faces, corrupted and reconstructed."""
    rows = subject.reconstructions
    if not rows:
        return None
    columns = min(map(len, rows.values()))
    drawing = blank(1.1 * columns + 1.2, 1.15 * len(rows) + 0.2)
    for line, (name, images) in zip(drawing.subplots(len(rows), columns, squeeze=False), rows.items()):
        line[0].set_ylabel(name.replace(', ', ',\n'), fontsize=8)
        for axes, image in zip(line, images):
            without_axes(axes)
            axes.imshow(image, cmap='gray', vmin=0, vmax=1)
    return drawing
