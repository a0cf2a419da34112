"""The unlabelled images of pre-training: a folder or zip archive of images, or the training images of a HDF5 set."""

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


PART = 4096  # images that are compared at a time


class Unlabelled:
    """Some of the images of a source; of a `Subset` it has what minibatches need.

    Attributes
    ----------
    name, digest : str
        The digest, hexadecimal, is the same for the same images in the same order.
    y : uint8 array (n,)
        Zeros: nobody knows the classes.
    """

    name = 'unlabelled'

    def __init__(self, images: Callable[[Any], np.ndarray], rows: np.ndarray, content: Any) -> None:
        self._images, self._rows = images, rows
        self.y = np.zeros(len(rows), np.uint8)
        self.digest = hashlib.sha256(hashlib.sha256(content).digest() + rows.astype('<i8').tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self._rows)

    def images(self, rows: Any = None) -> np.ndarray:
        """Images as a new uint8 array (len(rows), height, width); all by default."""
        return self._images(self._rows if rows is None else self._rows[rows])


@contextmanager
def open_unlabelled(
    context: Context, path: StrPath, data: Dataset, val: bool, say: Callable[..., Any]
) -> Iterator[Unlabelled]:
    """The images of a folder, zip archive or HDF5 set (its training images), open while the block runs.

    Test images of the data set and, with `val`, validation images are left out: exact copies of them and, of a set
    that is made of the same source, all their views.

    Parameters
    ----------
    context : Context
    path : path
    data : loaders.Dataset
        The experiment's.
    val : bool
    say : callable
        Is told how many images there are, and how many are left out.

    Raises
    ------
    ValueError
        Neither of the three, images that cannot be read or of another size, none that may be used.
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
                        f'{path}: images of {other.shape[0]}x{other.shape[1]} pixels, not of '
                        f'{data.shape[0]}x{data.shape[1]} as the data set has'
                    )
                other.verify()
                get, content = other.training.images, other.content_digest.encode()
                allowed = np.ones(len(other.training), bool)
                if other.fingerprint == data.fingerprint:
                    allowed = ~np.isin(other.training.source, np.concatenate([subset.source for subset in hidden]))
        except context.loaders.DataError as error:
            raise ValueError(
                f'images of pretrain_args must be a folder or zip archive of images, or a HDF5 set: {error}'
            ) from None
        rows = _without_copies(get, np.flatnonzero(allowed), hidden)
        left = len(allowed) - len(rows)
        if not len(rows):
            raise ValueError(f"images of pretrain_args: all images of '{path}' are validation or test images")
        say(
            f"{len(rows)} unlabelled images of '{path}'"
            + (f'; {left} are left out, which are validation or test images of the data set' if left else '')
        )
        yield Unlabelled(get, rows, content)


def _without_copies(get, rows, hidden):
    """Those of the rows whose images are not exactly the same as any of some subsets'."""
    known = {image.tobytes() for subset in hidden for image in subset.images()}
    parts = [rows[k : k + PART] for k in range(0, len(rows), PART)]
    new = [image.tobytes() not in known for part in parts for image in get(part)]
    return rows[np.array(new, bool)]
