"""A look at the data: a contact sheet of each class, and all views of an image side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from loaders.errors import DataError

if TYPE_CHECKING:
    from loaders.sets.dataset import Dataset


GAP = 4  # pixels between images
INK, PAPER = 20, 225  # grey levels of text and background
TEXT_HEIGHT = 22  # pixels of a line of text
CAPTION_WIDTH = 136  # pixels that the name of a view may take


def sheet(
    images: np.ndarray, columns: int, title: str, captions: Sequence[str] | None = None, scale: int = 2
) -> np.ndarray:
    """Images in rows under a title: uint8 (n, h, w) -> one uint8 picture (H, W).

    Parameters
    ----------
    columns : int
        Images in a row.
    captions : sequence of str, optional
        A line of text below each image.
    scale : int
        Pixels of the sheet for a pixel of an image, in height and width.
    """
    n, h, w = images.shape
    cell_h, cell_w = h * scale + GAP, w * scale + GAP
    if captions:
        cell_h, cell_w = cell_h + TEXT_HEIGHT, max(cell_w, CAPTION_WIDTH)
    rows = -(-n // columns)
    picture = np.full(
        (TEXT_HEIGHT + GAP + rows * cell_h, max(GAP + min(n, columns) * cell_w, text_width(title) + 2 * GAP)),
        PAPER,
        np.uint8,
    )
    write(picture, title, GAP, 0)
    for k, image in enumerate(images):
        top = TEXT_HEIGHT + GAP + k // columns * cell_h
        left = GAP + k % columns * cell_w
        large = cv2.resize(image, (w * scale, h * scale), interpolation=cv2.INTER_NEAREST)
        picture[top : top + h * scale, left : left + w * scale] = large
        if captions:
            write(picture, captions[k], left, top + h * scale)
    return picture


FONT: dict[str, Any] = dict(fontFace=cv2.FONT_HERSHEY_SIMPLEX, fontScale=0.45, thickness=1)


def text_width(line: str) -> int:
    """Width in pixels of a line in the font of the sheets."""
    return cv2.getTextSize(line, **FONT)[0][0]


def write(picture: np.ndarray, line: str, left: int, top: int) -> None:
    """A line of text with its upper left corner there."""
    cv2.putText(picture, line, (left, top + TEXT_HEIGHT - 7), color=INK, lineType=cv2.LINE_AA, **FONT)


def show(
    data: Dataset,
    out: str,
    *,
    per_class: int = 100,
    image: np.ndarray | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> list[str]:
    """Write a contact sheet of each class and one of all views of a training image.

    Parameters
    ----------
    data : Dataset
    out : path
        Folder to write to; made if need be.
    per_class : int
        Training images shown of each class, chosen by seed.
    image : int, optional
        Number in the source of the image of which all views are shown; chosen by seed by
        default.
    overwrite : bool
        Write over PNG files that are there already.

    Returns
    -------
    list of str
        Paths of the PNG files.
    """
    rng = np.random.default_rng(seed)
    training = data.training
    originals = np.flatnonzero(training.view == 0)
    name = Path(data.path).stem
    pictures = {}
    for label, class_name in enumerate(data.classes):
        rows = originals[training.y[originals] == label]
        chosen = np.sort(rng.permutation(rows)[:per_class])
        title = f'{class_name}: {len(chosen)} of {len(rows)} training images of {data.name}'
        pictures[f'{name}-{label}-{file_name(class_name)}'] = sheet(training.images(chosen), 20, title)
    if image is None:
        image = training.source[rng.choice(originals)]
    rows = np.flatnonzero(training.source == image)
    if not len(rows):
        raise DataError(f'{data.path}: no training image has the number {image}')
    title = f'image {image}, {data.classes[training.y[rows[0]]]}: all views of {data.name}'
    pictures[f'{name}-views'] = sheet(
        training.images(rows), 20, title, [training.transforms[v] for v in training.view[rows]], scale=3
    )
    paths = {Path(out) / f'{key}.png': picture for key, picture in pictures.items()}
    there = [path for path in paths if path.exists() and not overwrite]
    if there:
        raise DataError(f'{there[0]}: is there already: give another folder, or --overwrite')
    return [save(path, picture) for path, picture in paths.items()]


def file_name(class_name: str) -> str:
    """A class name fit for a file name, whatever a data set file says."""
    return ''.join(c if c.isalnum() else '_' for c in class_name)[:40]


def save(path: Path, picture: np.ndarray) -> str:
    """Write a PNG file; its path as text."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode('.png', picture)[1].tobytes())
    except OSError as error:
        raise DataError(f'{path}: cannot be written: {error.strerror}') from error
    return str(path)
