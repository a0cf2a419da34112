"""The test images of a set as a model takes them that was trained on another: other classes, another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from utils.annotations import Dataset, Subset


class Part:
    """Some images of a subset, in another size, their classes numbered anew.

    Parameters
    ----------
    subset : loaders.Subset
    numbers : int array (n_classes,)
        The new number of each class; -1 leaves its images out.
    size : (int, int)
        Height and width.
    """

    def __init__(self, subset: Subset, numbers: np.ndarray, size: Sequence[int]) -> None:
        self.subset, self.x_shape = subset, tuple(size)
        self.rows = np.flatnonzero(numbers[subset.y] >= 0)
        self.y = numbers[subset.y[self.rows]]
        self.source, self.usage, self.twin = (getattr(subset, name)[self.rows] for name in ('source', 'usage', 'twin'))

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, rows: Any = None) -> np.ndarray:
        """Images, uint8 (n, height, width), of these rows; all by default."""
        images = self.subset.images(self.rows if rows is None else self.rows[rows])
        if images.shape[1:] == self.x_shape:
            return images
        height, width = self.x_shape
        return np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images])


@dataclass
class Fitted:
    """What of a set's test images goes to a model.

    Attributes
    ----------
    test : Part
    special_test : Part or None
    classes : tuple of str
        Those common to model and set, in the model's order.
    outputs : int array
        Their places among the outputs of the model.
    left_out : dict of str to int
        Images of each class that the model does not know; they are in no part.
    resized : bool
        Whether the images had another size.
    """

    test: Part
    special_test: Part | None
    classes: tuple[str, ...]
    outputs: np.ndarray
    left_out: dict[str, int]
    resized: bool


def fit(model: Any, config: dict[str, Any], data: Dataset) -> Fitted:
    """The test images of a set whose classes a model knows, by the names of the classes, in the model's size.

    Parameters
    ----------
    model : path
    config : dict
        The model's.
    data : loaders.Dataset

    Raises
    ------
    ValueError
        Fewer than two classes in common, or none of their images among the test images.
    """
    common = tuple(name for name in config['classes'] if name in data.classes)
    if len(common) < 2:
        raise ValueError(
            f"'{model}' knows the classes {', '.join(config['classes'])}, and '{data.path}' has "
            f'{", ".join(data.classes)}: a test needs two in common'
        )
    numbers = np.array([common.index(name) if name in common else -1 for name in data.classes])
    test = Part(data.test, numbers, config['im_dim'])
    if not len(test):
        raise ValueError(f"'{data.path}' has no test image of the classes {', '.join(common)}, which '{model}' knows")
    counts = np.bincount(data.test.y, minlength=len(data.classes))
    return Fitted(
        test,
        None if data.special_test is None else Part(data.special_test, numbers, config['im_dim']),
        common,
        np.array([config['classes'].index(name) for name in common]),
        {name: int(n) for name, n in zip(data.classes, counts) if name not in common and n},
        tuple(data.shape) != tuple(config['im_dim']),
    )
