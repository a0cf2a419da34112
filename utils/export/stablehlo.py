"""The format 'stablehlo': a network as a program that JAX runs without symfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

from utils.backend import serialisation
from utils.experiment.prediction import temperature_of
from utils.export.formats import format
from utils.layer import Phase
from utils.training.functions import pixels

if TYPE_CHECKING:
    from utils.export.formats import Exported


@format('stablehlo', '.stablehlo')
def stablehlo(exported: Exported) -> bytes:
    """Encode a program of `jax.export`: images (n, height, width) uint8 -> probabilities (n, n_classes) float32.

    The number of images n is free, and the temperature is included. The program runs on CPUs and CUDA GPUs. JAX
    guarantees only half a year of compatibility, so the format is meant for serving and not for archiving.
    """
    images = pt.tensor('images', dtype='uint8', shape=(1, *exported.config['im_dim']))
    logits = exported.network(pixels(images), Phase()) / np.float32(temperature_of(exported.config))
    return serialisation.stablehlo(images, pt.special.softmax(logits, axis=1))
