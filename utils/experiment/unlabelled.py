"""Unlabelled images for pre-training: a folder or zip archive of images, or the training images of an HDF5 set."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from utils.annotations import Dataset, StrPath
    from utils.experiment.context import Context


PART = 4096  # images compared at a time


class Unlabelled:
    """Some images of a source, with those parts of a `Subset` that minibatches need.

    Attributes
    ----------
    name : str
    digest : str
        Hexadecimal digest, the same for the same images in the same order.
    y : uint8 array (n,)
        Zeros, because the classes are unknown.
    """

    name = 'unlabelled'

    def __init__(self, images: Callable[[Any], np.ndarray], rows: np.ndarray, content: Any) -> None:
        self._images, self._rows = images, rows
        self.y = np.zeros(len(rows), np.uint8)
        self.digest = hashlib.sha256(hashlib.sha256(content).digest() + rows.astype('<i8').tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self._rows)

    def images(self, rows: Any = None) -> np.ndarray:
        """Return the images of these rows as a new uint8 array (len(rows), height, width); all by default."""
        return self._images(self._rows if rows is None else self._rows[rows])


@contextmanager
def open_unlabelled(
    context: Context, path: StrPath, data: Dataset, val: bool, info: Callable[..., Any]
) -> Iterator[Unlabelled]:
    """Block with the images of a folder, of a zip archive or of the training images of an HDF5 set.

    The test images of the data set are left out, and with `val` also the validation images: exact copies of them, and
    all their views if the HDF5 set was made from the same source.

    Parameters
    ----------
    context : Context
    path : path
        Folder, zip archive or HDF5 set.
    data : loaders.Dataset
        Data set of the experiment.
    val : bool
        Whether the experiment holds out validation images.
    info : callable
        Function that prints a line; called with the number of images used and left out.

    Raises
    ------
    ValueError
        If `path` is none of the three, or its images cannot be read, have another size, or are all left out.
    """
    path, hidden = Path(path), [data.test, *([data.validation] if val and data.validation is not None else [])]
    with ExitStack() as stack:
        try:
            if path.is_dir() or zipfile.is_zipfile(path):
                images = context.loaders.read_unlabelled(path, data.shape)
                get, content, allowed = images.__getitem__, images, np.ones(len(images), bool)
            else:
                other = stack.enter_context(context.loaders.load(path))
                if tuple(other.shape) != tuple(data.shape):
                    raise context.loaders.DataError(
                        f'{path}: its images have {other.shape[0]}x{other.shape[1]} pixels, those of the data set '
                        f'{data.shape[0]}x{data.shape[1]}'
                    )
                other.verify()
                get, content = other.training.images, other.content_digest.encode()
                allowed = np.ones(len(other.training), bool)
                if other.fingerprint == data.fingerprint:
                    allowed = ~np.isin(other.training.source, np.concatenate([subset.source for subset in hidden]))
        except context.loaders.DataError as error:
            raise ValueError(
                f'images of pretrain_args must be a folder or zip archive of images, or an HDF5 set: {error}'
            ) from None
        rows = _without_copies(get, np.flatnonzero(allowed), hidden)
        left = len(allowed) - len(rows)
        if not len(rows):
            raise ValueError(f"images of pretrain_args: all images of '{path}' are validation or test images")
        info(
            f"{len(rows)} unlabelled images of '{path}'"
            + (f'; {left} left out, which are validation or test images of the data set' if left else '')
        )
        yield Unlabelled(get, rows, content)


def _without_copies(get, rows, hidden):
    """Return the rows whose images equal no image of the subsets `hidden`."""
    known = {image.tobytes() for subset in hidden for image in subset.images()}
    parts = [rows[k : k + PART] for k in range(0, len(rows), PART)]
    new = [image.tobytes() not in known for part in parts for image in get(part)]
    return rows[np.array(new, bool)]
