"""A saved model as a function of faces, with one compiled function per batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from utils import backend
from utils.experiment.memory import explain_out_of_memory
from utils.experiment.prediction import temperature_of
from utils.experiment.saved import open_model
from utils.results.metrics import probabilities
from utils.training.functions import Functions
from utils.training.settings import Settings

if TYPE_CHECKING:
    from utils.annotations import StrPath
    from utils.experiment.context import Context


SIZES = (1, 2, 8, 32)
# Test-time augmentations and the crops that each needs: shifts to the right and down, as fractions of the crop's side.
STEP = 0.05
VIEWS = {
    'none': ((0.0, 0.0),),
    'mirror': ((0.0, 0.0),),
    'shifts': ((0.0, 0.0), (STEP, 0.0), (-STEP, 0.0), (0.0, STEP), (0.0, -STEP)),
}


class Classifier:
    """Probabilities of the classes for faces.

    Parameters
    ----------
    context : Context
        The launcher's functions and networks.
    model : path
        Model file, written by `test` or `export`.
    network : class, optional
        Class of the network, if it is not one of symfer's.
    raw : bool
        Whether to ignore the temperature stored in the model.
    views : {'mirror', 'shifts', 'none'}
        Test-time augmentation. 'none' uses only the face, 'mirror' averages the logits of the face and its mirror
        image, and 'shifts' averages these over five crops, one unshifted and four shifted by 5 % of the side.

    Attributes
    ----------
    classes : tuple of str
        Class names.
    size : (int, int)
        Height and width of the network's input.
    frames : tuple of (float, float)
        Shifts, to the right and down, of the crops needed of each face, as fractions of the side.

    Raises
    ------
    ValueError
        The file is not a model, or the network class does not match it.
    """

    def __init__(
        self, context: Context, model: StrPath, *, network: Any = None, raw: bool = False, views: str = 'mirror'
    ) -> None:
        if views not in VIEWS:
            raise ValueError(f'views must be one of {", ".join(map(repr, VIEWS))}, got {views!r}')
        self.network, self.config = open_model(context, model, network)
        self.model, self.classes = str(model), tuple(self.config['classes'])
        self.size = tuple(self.config['im_dim'])
        self.temperature = 1.0 if raw else temperature_of(self.config)
        self.views, self.frames, self._functions = views, VIEWS[views], {}

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        """Classify faces, uint8 (n, height, width), or k crops of each, (n, k, height, width): -> (n, n_classes)."""
        faces = np.asarray(faces)
        if not len(faces):
            return np.empty((0, len(self.classes)))
        n, faces = len(faces), faces.reshape(-1, *self.size)
        logits = self.logits(faces)
        if self.views != 'none':
            logits = (logits + self.logits(np.ascontiguousarray(faces[:, :, ::-1]))) / 2
        return probabilities(logits.reshape(n, -1, len(self.classes)).mean(axis=1) / self.temperature)

    def logits(self, faces: np.ndarray) -> np.ndarray:
        """Return the logits, float64 (n, n_classes), of faces, uint8 (n, height, width), without any augmentation."""
        parts = []
        for start in range(0, len(faces), SIZES[-1]):
            part = faces[start : start + SIZES[-1]]
            size = next(size for size in SIZES if size >= len(part))
            padded = np.resize(part, (size, *self.size))
            with explain_out_of_memory(backend.device_name(), size):
                parts.append(np.asarray(self._function(size)(padded), dtype=float)[: len(part)])
        return np.concatenate(parts)

    def _function(self, size):
        """Return the compiled function of this batch size."""
        if size not in self._functions:
            settings = Settings(size, precision=self.config['options'].get('precision', 'float32'))
            self._functions[size] = Functions(self.network, self.size, settings, n_classes=len(self.classes)).test
        return self._functions[size]
