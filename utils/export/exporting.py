"""`export`: a saved model into a file for use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import __version__
from utils.experiment.saved import load_model, open_model
from utils.experiment.schema import names
from utils.export import (
    parameters,  # noqa: F401  (its functions enter FORMATS)
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


# What of a configuration is of training alone, or of this machine.
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
    kept: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a saved model in a format for use: it can be tested and asked, and not be gone on with.

    Parameters
    ----------
    model : path
        Written by `test`.
    out : path, optional
        The file to write; by default beside the model, with the ending of the format.
    format : {'h5', 'safetensors', 'onnx', 'stablehlo'}, optional
        By default that of the ending of `out`. 'h5' is a model file without what only training needs: the state of
        the optimiser, the kept and the trained parameters, the history. 'onnx' takes grey images and gives
        probabilities without symfer, see `utils.export.onnx_.model`; 'stablehlo' does so in JAX.
    network : class, optional
        The network's class, where it is one of your own.
    kept : bool
        The parameters of the kept epoch, which never saw the validation images, in place of the last ones.
    overwrite : bool
        Write over a file that is there already.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        No model, a network class that does not fit, no such format.
    FileExistsError
        The file is there already.
    ModuleNotFoundError
        The format needs a library that is not installed; says how to install it.
    OSError
        The file cannot be written; nothing is left of it.
    """
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
    if kept:
        _put_back_kept(context, model, net)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = kind.encode(Exported(net, config))
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return path


def _put_back_kept(context, model, net):
    """Give a network the parameters of the kept epoch, out of the model's file."""
    state, _ = load_model(context, model)
    targets = parameters_of(net)
    if not state['kept']:
        raise ValueError(f"'{model}' holds no kept epoch: it was trained without validation, or exported before")
    saved = {name.removeprefix('parameters/'): value for name, value in state['kept'].items()}
    saved = without_aliases(saved, {name: p.type.shape for name, p in targets.items()}, net)
    for name, p in targets.items():
        p.set_value(saved[name])
