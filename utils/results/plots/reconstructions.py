"""The figure of pre-training: corrupted faces, reconstructed by denoising autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.results.plots.drawing import blank, figure, without_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from utils.results.plots.drawing import Subject


@figure(
    'Reconstructions of pre-training',
    'Faces, corrupted faces, and reconstructions from the code of the first layer and from that of the deepest one, '
    'decoded down through the stack. The weights are those after stage pretrain, the faces validation images or, '
    'without validation, training images.',
)
def reconstructions(subject: Subject) -> Figure | None:
    """Draw faces, corrupted and reconstructed."""
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
