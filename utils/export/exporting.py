"""`export`: write a saved model to a file for inference."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import __version__
from utils.experiment.saved import load_model, open_model
from utils.experiment.schema import names
from utils.export import (
    parameters,  # noqa: F401  (registers its formats)
    stablehlo,  # noqa: F401
)
from utils.export.formats import Exported, format_of
from utils.export.onnx_ import model as onnx_model  # noqa: F401  (likewise)
from utils.files.atomic import atomic_write
from utils.layer import parameters as parameters_of
from utils.training.state import without_aliases

if TYPE_CHECKING:
    from utils.annotations import StrPath
    from utils.experiment.context import Context


# Arguments in a configuration that concern only training or this machine.
OF_TRAINING = (
    *('dataset', 'savename', 'track', 'trainShared', 'save_every', 'show_test', 'report', 'name'),
    *('teacher', 'teacher_args'),
)


def export(
    context: Context,
    model: StrPath,
    out: StrPath | None = None,
    *,
    format: Any = None,
    network: Any = None,
    best: bool = False,
    overwrite: bool = False,
    kept: bool | None = None,
) -> Path:
    """Write a saved model in a format for inference. Its training cannot be continued.

    Parameters
    ----------
    model : path
        Model file written by `test`.
    out : path, optional
        File to write; by default beside the model, with the ending of the format.
    format : {'h5', 'safetensors', 'onnx', 'stablehlo'}, optional
        Format; by default that of the ending of `out`. 'h5' and 'safetensors' are model files without the optimiser
        state, the parameters of the best epoch and of stage train, and the history, which only training needs. 'onnx'
        maps grey images to probabilities without symfer, see `utils.export.onnx_.model`; 'stablehlo' does so in JAX.
    network : class, optional
        Class of the network, if it is not one of symfer's.
    best : bool
        Whether to export the parameters of the best epoch, which was not trained on the validation images, instead of
        the last ones.
    overwrite : bool
        Whether to overwrite an existing file.
    kept : bool, optional
        Former name of `best`.

    Returns
    -------
    Path
        File that was written.

    Raises
    ------
    ValueError
        The file is not a model, the network class does not match it, or the format is unknown.
    FileExistsError
        The file exists and `overwrite` is False.
    ModuleNotFoundError
        The format needs a library that is not installed. The message says how to install it.
    OSError
        The file cannot be written. No part of it is left.
    """
    if kept is not None:
        warnings.warn('kept is now best', FutureWarning, stacklevel=3)
        best = kept
    kind = format_of(format, out)
    net, config = open_model(context, model, network)
    model = Path(model)
    path = Path(out) if out is not None else model.with_suffix(kind.suffix)
    if path.exists() and path.samefile(model):
        raise ValueError(f"'{path}' is the model itself: give another file, --out FILE")
    if path.exists() and not overwrite:
        raise FileExistsError(f"'{path}' already exists: choose another name, or use --overwrite")
    if path.is_dir():
        raise ValueError(f"'{path}' is a folder: give a file")
    wanted = set(names(saved=True)) - set(OF_TRAINING)
    config = {**config, 'options': {k: v for k, v in config['options'].items() if k in wanted}}
    config = {key: value for key, value in config.items() if value is not None} | {'exported': {'symfer': __version__}}
    if best:
        _put_back_best(context, model, net)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = kind.encode(Exported(net, config))
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path


def _put_back_best(context, model, net):
    """Set the parameters of a network to those of the best epoch, from the model's file."""
    state, _ = load_model(context, model)
    targets = parameters_of(net)
    if not state['kept']:
        raise ValueError(f"'{model}' has no best epoch: it was trained without validation, or is an exported model")
    saved = {name.removeprefix('parameters/'): value for name, value in state['kept'].items()}
    saved = without_aliases(saved, {name: p.type.shape for name, p in targets.items()}, net)
    for name, p in targets.items():
        p.set_value(saved[name])
