"""Summarises a network, given as a class, a model file or an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.experiment.arguments import named
from utils.experiment.building import make_network, network_arguments
from utils.experiment.saved import open_model
from utils.experiment.values import shortened
from utils.files.models import is_model
from utils.layer import Layer
from utils.results.structure import Structure, structure
from utils.results.structure_drawing import check_drawing, write_drawing
from utils.training.warping import Cropped

if TYPE_CHECKING:
    from utils.annotations import StrPath
    from utils.experiment.context import Context


def summary(
    context: Context,
    network: Any,
    im_dim: tuple[int, int] | None = None,
    n_classes: int | None = None,
    *,
    drawing: StrPath | None = None,
    **options: Any,
) -> Structure:
    """Summarise the layers, shapes, parameters, operations and memory of a network, without training or compiling it.

    Parameters
    ----------
    network : class, str, path or Layer
        One of symfer's networks or its name, your own class or ``script.py:Class``, a model file or the folder of a
        run, or an instance of a network.
    im_dim : (int, int), optional
        Height and width of the images, in pixels; by default those of the model, otherwise 48 and 48.
    n_classes : int, optional
        Number of classes; by default that of the model, otherwise 7.
    drawing : path, optional
        File for a drawing of the layers: .svg, .png or .pdf by Graphviz, .mmd (Mermaid) or .dot as text.
    **options
        Arguments of `launch.test` for the network, such as `n_hidden` and `network_args`. A model has its own.

    Returns
    -------
    utils.results.structure.Structure
        The summary; ``print`` shows it as a table.

    Raises
    ------
    ValueError
        If `network` is no network or does not accept these images or options, or the drawing's format is unknown.
    """
    if drawing is not None:
        check_drawing(drawing)
    made, size = _network(context, network, im_dim, n_classes, options)
    found = structure(made, size, type(made.network).__name__ if isinstance(made, Cropped) else None)
    if drawing is not None:
        write_drawing(found, drawing)
    return found


def _network(context, network, im_dim, n_classes, options):
    """The network that `network` names, and the size of its images."""
    if isinstance(network, Layer):
        return network, im_dim or (48, 48)
    if isinstance(network, (str, Path)) and _is_model(network, context):
        given = [name for name, value in {**options, 'n_classes': n_classes}.items() if value is not None]
        if given:
            raise ValueError(f"'{network}' is a saved model, which has its own {given[0]}: leave {given[0]} out")
        made, config = open_model(context, network)
        return made, im_dim or tuple(config['im_dim'])
    if not isinstance(network, (str, type)):
        raise ValueError(
            'network must be a class or its name, script.py:Class, a model file or an instance of a network, got '
            + shortened(network)
        )
    network = named(str(network) if isinstance(network, str) else network, context.networks, 'network', 'Class')
    if not issubclass(network, Layer) if isinstance(network, type) else True:
        raise ValueError(f'network must be a class of layers (utils.layer.Layer), got {shortened(network)}')
    full = context.validate({**options, 'network': network})
    size, classes = im_dim or (48, 48), range(7 if n_classes is None else n_classes)
    made = make_network(
        network, size, classes, full['augment'], rng=np.random.default_rng(0), **network_arguments(full)
    )
    return made, size


def _is_model(path, context):
    """Whether a text names a file or folder rather than a network."""
    text = str(path)
    if Path(text).suffix in ('.h5', '.pkl', '.safetensors') and not Path(text).exists():
        raise ValueError(f"there is no model '{text}'")
    if ':' in text and not Path(text).exists() or text.rpartition('.')[2] in context.networks:
        return False
    if Path(text).is_file() and not is_model(text):
        raise ValueError(f"'{text}' is neither a model file nor a network: give a network, script.py:Class or a model")
    return Path(text).exists()
