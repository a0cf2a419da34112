"""Applies a saved model to images of the size that it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from utils import backend
from utils.experiment import schema
from utils.experiment.memory import explain_out_of_memory
from utils.experiment.saved import open_model
from utils.results.metrics import probabilities
from utils.training.functions import Functions
from utils.training.settings import Settings

if TYPE_CHECKING:
    from utils.experiment.context import Context


def predict(
    context: Context, model: str, images: np.ndarray, *, network: Any = None, batch_size: int = 100, raw: bool = False
) -> np.ndarray:
    """Predict the probabilities of the classes for images with a saved model.

    Parameters
    ----------
    model : path
        Model file, written by `test`.
    images : array (n, height, width) uint8
        Grey images of the size that the model was trained on.
    network : class, optional
        The network's class, if it is your own.
    batch_size : int
        Number of images per call of the device.
    raw : bool
        Do not apply the model's temperature, see `utils.results.temperature`.

    Returns
    -------
    float64 array (n, n_classes)
        Probabilities; each row sums to 1.

    Raises
    ------
    ValueError
        If the file is no model, the images have another size or type, or the network class does not fit.
    MemoryError
        If the memory of the machine or the device is used up. The message asks for a smaller `batch_size`.
    """
    schema.ARGUMENTS['batch_size'].check('batch_size', batch_size)
    net, config = open_model(context, model, network)
    images = np.asarray(images)
    height, width = config['im_dim']
    if images.ndim != 3 or images.shape[1:] != (height, width) or images.dtype != np.uint8 or not len(images):
        raise ValueError(f'images must be uint8 of shape (n, {height}, {width}), got {images.dtype} {images.shape}')
    batch_size = min(batch_size, len(images))
    f = Functions(
        net,
        (height, width),
        Settings(batch_size, precision=config['options']['precision']),
        n_classes=len(config['classes']),
    )
    padded = np.resize(images, (-(-len(images) // batch_size) * batch_size, height, width))
    with explain_out_of_memory(backend.device_name(), batch_size):
        logits = np.concatenate(
            [np.asarray(f.test(part), dtype=float) for part in padded.reshape(-1, batch_size, height, width)]
        )[: len(images)]
    return probabilities(logits if raw else logits / temperature_of(config))


def temperature_of(config: dict[str, Any]) -> float:
    """The temperature of a saved model, from its configuration; 1 if it has none."""
    return config.get('temperature') or 1.0
