"""Checks whether a network can be trained on images of other sizes than those of the set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from utils.experiment.arguments import class_name
from utils.experiment.building import network_arguments
from utils.layer import parameters
from utils.training import resizing

if TYPE_CHECKING:
    from utils.annotations import Dataset


def check_sizes(options: dict[str, Any], data: Dataset) -> None:
    """Refuse `progressive_sizes` with a network whose parameters depend on the size of the images.

    Parameters
    ----------
    options : dict
        Arguments of an experiment, completed by `with_class_defaults`.
    data : loaders.Dataset

    Raises
    ------
    ValueError
        If a parameter depends on the size (the message names the first), or the class makes no network for that size.
    """
    network, augment, heights = options['network'], options['augment'], options['progressive_sizes']
    full = augment.output_size(data.shape) if augment else tuple(data.shape)

    def shapes(size):
        made = network(size, len(data.classes), rng=np.random.default_rng(0), **network_arguments(options))
        return {name: p.type.shape for name, p in parameters(made).items()}

    resizing.check_heights(heights, full)
    wanted = shapes(full) if heights else {}
    for height in sorted({height for height in heights if height != full[0]}):
        size = resizing.at_height(height, full)
        try:
            found = shapes(size)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise ValueError(resizing.unfit(f'network {class_name(network)}', size, str(error))) from None
        for name in {**wanted, **found}:
            if wanted.get(name) != found.get(name):
                why = f'{name} would have shape {found.get(name)} instead of {wanted.get(name)}'
                raise ValueError(resizing.unfit(f'network {class_name(network)}', size, why))
