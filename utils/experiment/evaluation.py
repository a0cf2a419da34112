"""Tests a saved model on the test images of any set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import backend
from utils.experiment import schema
from utils.experiment.described import make_augment
from utils.experiment.memory import explain_out_of_memory
from utils.experiment.saved import open_model
from utils.experiment.wording import data_note
from utils.files import models
from utils.files.atomic import write_json
from utils.files.folders import new_folder, numbered_folder
from utils.files.former import accepts
from utils.files.terminal import write_line
from utils.results import competition, metrics, plots, summary
from utils.results import report as reports
from utils.results.predictions import write_outputs
from utils.training.inference import test_outputs
from utils.training.members import errors_of_members, functions_of
from utils.training.settings import Settings

if TYPE_CHECKING:
    from utils.annotations import Dataset, StrPath
    from utils.experiment.context import Context
    from utils.layer import Layer


@accepts(say='info')
def evaluate(
    context: Context,
    model: StrPath,
    dataset: str,
    *,
    network: Any = None,
    folder: Path | None = None,
    batch_size: int = 100,
    special_test: bool = True,
    report: bool = True,
    info: Callable[..., Any] = write_line,
) -> tuple[dict[str, Any], Path]:
    """Test a saved model on the test images of any set.

    Parameters
    ----------
    model : path
        A model file, or the folder of a run.
    dataset : path
        HDF5 set with the image size and the classes of the model.
    network : class, optional
        The network's class, if it is your own.
    folder : path, optional
        Output folder; by default the next ``evaluation-001`` beside the record of the model's runs.
    batch_size : int
        Number of images per call of the device.
    special_test : bool
        Also test on all views of each image.
    report : bool
        Draw the figures and write the HTML report.
    info : callable
        Function that prints a line.

    Returns
    -------
    scores : dict
        See `utils.results.metrics.evaluate`.
    folder : Path
        Folder with evaluation.json, predictions.csv, confusion.csv, logits.npz, report.html and figures.

    Raises
    ------
    ValueError, OSError
        If a file is no model or no data set, or its image size or classes differ from the model's.
    MemoryError
        If the memory of the machine or the device is used up. The message asks for a smaller `batch_size`.
    """
    schema.ARGUMENTS['batch_size'].check('batch_size', batch_size)
    model = model_file(model)
    net, config = open_model(context, model, network)
    with open_tested(context, dataset, config, info) as data:
        check_fit(model, config, data)
        options = config['options']
        f = functions_to_test(net, config, min(batch_size, len(data.test)))
        with explain_out_of_memory(backend.device_name(), f.batch_size):
            outputs = test_outputs(f, data, special_test)
            members = errors_of_members(f, data, special_test)
        scores = metrics.evaluate(outputs, data.test, data.classes, config.get('temperature'))
        folder = evaluation_folder(folder, model)
        title = f'{options.get("name") or options["network"]} on {data.name}'
        known = config['fingerprint'] == data.fingerprint
        _write_evaluation(
            folder,
            title,
            scores,
            outputs,
            data,
            info,
            {'model': str(model), 'data': data.path, 'fingerprint': data.fingerprint, 'same_source_as_training': known},
            members,
        )
        if report:
            (folder / 'figures').mkdir(exist_ok=True)
            subject = plots.Subject(net, data.shape, data.test, data.classes, outputs, scores, info=info)
            plots.draw(folder / 'figures', subject)
            reports.write_report(
                folder / 'report.html',
                title,
                scores,
                folder / 'figures',
                note=data_note(data),
                members=members,
                texts={'Model': f'{model}\n{json.dumps(options, indent=1)}'},
            )
    return scores, folder


def functions_to_test(net: Layer, config: dict[str, Any], batch_size: int) -> Any:
    """Compile the functions that test a saved model."""
    options = config['options']
    settings = Settings(batch_size, precision=options['precision'], augment=make_augment(options['augment']))
    return functions_of(net, tuple(config['im_dim']), n_classes=len(config['classes']), settings=settings)


def open_tested(context: Context, dataset: StrPath, config: dict[str, Any], info: Callable[..., Any]) -> Dataset:
    """Open a set to test a model on; if the model was trained on a fold of this set, that fold of it."""
    data = context.load(dataset)
    fold = config['options'].get('fold')
    if fold and data.fingerprint == config['fingerprint']:
        data = context.fold_of(data, fold)
        info(f"'{data.path}': {data.about}")
    return data


def check_fit(model: StrPath, config: dict[str, Any], data: Dataset) -> None:
    """Refuse a data set whose image size or classes differ from a model's.

    Raises
    ------
    ValueError
        If they differ.
    """
    if list(data.shape) != list(config['im_dim']):
        raise ValueError(
            f"'{model}' was trained on images of size {config['im_dim']}, but the images of '{data.path}' have size "
            f'{list(data.shape)}'
        )
    if list(data.classes) != list(config['classes']):
        raise ValueError(
            f"'{model}' knows the classes {', '.join(config['classes'])}, but '{data.path}' has "
            f'{", ".join(data.classes)}'
        )


def model_file(path: StrPath) -> Path:
    """The path of a model file, given itself or as the folder of its run.

    Raises
    ------
    ValueError
        If a folder has no model file.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = [path / f'model{suffix}' for suffix in models.SUFFIXES if (path / f'model{suffix}').is_file()]
    if not found:
        raise ValueError(f"'{path}' is a folder without a model: give a model file or the folder of a run")
    return found[0]


def evaluation_folder(folder: StrPath | None, model: Path, word: str = 'evaluation') -> Path:
    """Make an output folder, new or empty; by default the next ``evaluation-001`` beside the record of the runs."""
    if folder is None:
        return numbered_folder(model.parent if model.stem == 'model' else model.with_suffix(''), word)
    return new_folder(folder)


def _write_evaluation(folder, title, scores, outputs, data, info, about, members):
    """Write the tables of an evaluation to files and to the terminal."""
    kind = metrics.final_kind(scores)
    singly = {'members': members} if members else {}
    write_json(folder / 'evaluation.json', {'name': title, **about, 'evaluation': scores, **singly})
    write_outputs(folder, data.test, data.classes, outputs, scores)
    for line in (*summary.error_lines(scores), *summary.member_lines(members), *summary.summary_lines(scores)):
        info(line)
    info('\n' + summary.class_table(scores[kind]['whole']))
    info('\n' + competition.ranking({title: scores[kind]['whole']['error']}))
    if not data.is_fer2013:
        info(data_note(data))
    elif 'private' in scores[kind]:
        info(
            '\nprivate half, which decided:\n'
            + competition.ranking({title: scores[kind]['private']['error']}, 'private')
        )
    info(f"\nevaluation '{folder}'")
