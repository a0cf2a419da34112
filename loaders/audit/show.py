"""Contact sheets: the images of each class, and all views of one image."""

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
CAPTION_WIDTH = 136  # pixels reserved for the name of a view


def sheet(
    images: np.ndarray, columns: int, title: str, captions: Sequence[str] | None = None, scale: int = 2
) -> np.ndarray:
    """Arrange images in rows under a title: uint8 (n, h, w) -> one uint8 picture (H, W).

    Parameters
    ----------
    columns : int
        Number of images in a row.
    captions : sequence of str, optional
        Line of text below each image.
    scale : int
        Enlargement of the images, in height and width.
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
    """Return the width in pixels of a line in the font of the sheets."""
    return cv2.getTextSize(line, **FONT)[0][0]


def write(picture: np.ndarray, line: str, left: int, top: int) -> None:
    """Write a line of text with its upper left corner at (left, top)."""
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
        Open data set.
    out : path
        Folder to write to, created if necessary.
    per_class : int
        Number of training images shown of each class, drawn by `seed`.
    image : int, optional
        Number, in the source, of the image whose views are shown. By default one is drawn by `seed`.
    seed : int
        Seed of the choice of images.
    overwrite : bool
        Whether to overwrite existing PNG files.

    Returns
    -------
    list of str
        Paths of the PNG files.

    Raises
    ------
    DataError
        No training image has the number `image`, or a file exists or cannot be written.
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
        raise DataError(f'{there[0]}: already exists: choose another folder, or use --overwrite')
    return [save(path, picture) for path, picture in paths.items()]


def file_name(class_name: str) -> str:
    """Return the class name with all but letters and digits replaced by `_`, cut to 40 characters."""
    return ''.join(c if c.isalnum() else '_' for c in class_name)[:40]


def save(path: Path, picture: np.ndarray) -> str:
    """Write a PNG file and return its path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode('.png', picture)[1].tobytes())
    except OSError as error:
        raise DataError(f'{path}: cannot be written: {error.strerror}') from error
    return str(path)
