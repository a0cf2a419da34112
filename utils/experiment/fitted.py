"""Fits the test images of one set to a model trained on another set, with other classes or another image size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from utils.annotations import Dataset, Subset


class Part:
    """Images of some classes of a subset, resized and relabelled.

    Parameters
    ----------
    subset : loaders.Subset
    numbers : int array (n_classes,)
        New label of each class; -1 leaves the images of the class out.
    size : (int, int)
        Height and width, in pixels.
    """

    def __init__(self, subset: Subset, numbers: np.ndarray, size: Sequence[int]) -> None:
        self.subset, self.x_shape = subset, tuple(size)
        self.rows = np.flatnonzero(numbers[subset.y] >= 0)
        self.y = numbers[subset.y[self.rows]]
        self.source, self.usage, self.duplicate = (
            getattr(subset, name)[self.rows] for name in ('source', 'usage', 'duplicate')
        )

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, rows: Any = None) -> np.ndarray:
        """Return the images of these rows, uint8 (n, height, width); all by default."""
        images = self.subset.images(self.rows if rows is None else self.rows[rows])
        if images.shape[1:] == self.x_shape:
            return images
        height, width = self.x_shape
        return np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images])


@dataclass
class Fitted:
    """The test images of a set that a model can classify.

    Attributes
    ----------
    test : Part
    special_test : Part or None
    classes : tuple of str
        Classes common to model and set, in the model's order.
    outputs : int array
        Indices of these classes among the outputs of the model.
    left_out : dict of str to int
        Number of images of each class that the model does not know; they are left out.
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
    """Select the test images whose classes a model knows, and resize them to the model's image size.

    Classes are matched by name.

    Parameters
    ----------
    model : path
    config : dict
        Configuration of the model.
    data : loaders.Dataset

    Raises
    ------
    ValueError
        If model and set have fewer than two classes in common, or no test image belongs to one of them.
    """
    common = tuple(name for name in config['classes'] if name in data.classes)
    if len(common) < 2:
        raise ValueError(
            f"'{model}' knows the classes {', '.join(config['classes'])}, but '{data.path}' has "
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
