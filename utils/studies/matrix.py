"""The cross-data matrix: test every model on the test images of every set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import backend
from utils.experiment import schema
from utils.experiment.evaluation import evaluation_folder, functions_to_test, model_file, open_tested
from utils.experiment.fitted import fit
from utils.experiment.memory import explain_out_of_memory
from utils.experiment.saved import load_model, open_model
from utils.files.atomic import atomic_write, write_json
from utils.files.former import accepts
from utils.files.terminal import write_line
from utils.results import metrics, plots, tables
from utils.training.inference import test_outputs

if TYPE_CHECKING:
    from utils.annotations import StrPath
    from utils.experiment.context import Context

FIGURES = {'error': 'error, %', 'mean_recall': 'mean recall, %'}


@accepts(say='info')
def cross_evaluate(
    context: Context,
    models: Sequence[StrPath],
    datasets: Sequence[StrPath],
    *,
    network: Any = None,
    folder: StrPath | None = None,
    batch_size: int = 100,
    special_test: bool = True,
    report: bool = True,
    info: Callable[..., Any] = write_line,
) -> tuple[dict[str, Any], Path]:
    """Test saved models on the test images of several sets, over the classes that a model and a set have in common.

    Classes are matched by name. Images of classes that the model does not know are left out and counted, and the
    prediction is the most probable of the common classes. Images of another size are resized (INTER_AREA). A model
    trained on a fold is tested on that fold if the set has the same source.

    Parameters
    ----------
    models : sequence of path
        Model files, or folders of runs.
    datasets : sequence of path
        HDF5 sets.
    network : class, optional
        Class of the network for models whose network is not one of symfer's.
    folder : path, optional
        New or empty folder for the results; by default the next ``matrix-001`` beside the runs of the first model.
    batch_size : int
        Number of images that are classified at once.
    special_test : bool
        Whether to test on all views of each image as well.
    report : bool
        Whether to draw the matrix.
    info : callable
        Called with each text to print.

    Returns
    -------
    matrix : dict
        'models' and 'sets' describe these. 'cells' has a list for each model with a dict for each set: images, left_out
        (by class), classes, resized, same_source (whether the model was trained on images of that source), fold, plain
        and, if there are views, special (see `utils.results.metrics.scores`, with mean_recall), and error and
        mean_recall (those of special if there are views). 'mean_of_others' has, for each model, the means of error and
        mean_recall over the sets of other sources (None if there are none).
    folder : Path
        Folder with matrix.json, error.csv, mean_recall.csv, cells.csv and, with `report`, error.png and
        mean_recall.png.

    Raises
    ------
    ValueError, OSError
        A model or data set cannot be used, or they do not have two classes in common.
    MemoryError
        The memory of the host or the device is exhausted; the message suggests a smaller `batch_size`.
    """
    schema.ARGUMENTS['batch_size'].check('batch_size', batch_size)
    paths = [model_file(path) for path in models]
    if not paths or not datasets:
        raise ValueError(f'a matrix needs at least a model and a set, got {len(paths)} models and {len(datasets)} sets')
    about: dict[str, Any] = {'models': [], 'sets': [_of_set(context, path) for path in datasets], 'cells': []}
    said: list[str] = []

    def info_once(line):
        if line not in said:
            said.append(line)
            info(line)

    for path in paths:
        own = network is not None and not load_model(context, path)[1]['bundled_network']
        net, config = open_model(context, path, network if own else None)
        options = config['options']
        about['models'].append(
            {key: config[key] for key in ('classes', 'im_dim', 'fingerprint', 'data')}
            | {'path': str(path), 'name': options.get('name') or options['network'], 'fold': options.get('fold')}
        )
        f = functions_to_test(net, config, batch_size)
        try:
            with explain_out_of_memory(backend.device_name(), batch_size):
                about['cells'].append(
                    [_cell(context, f, path, config, dataset, special_test, info_once) for dataset in datasets]
                )
        finally:
            f.release()
    about['mean_of_others'] = [_mean_of_others(row) for row in about['cells']]
    out = evaluation_folder(folder, paths[0], 'matrix')
    _write(out, about, [_names(paths), _names([Path(path) for path in datasets])], report, info)
    info(f"\nmatrix '{out}'")
    return about, out


def _of_set(context, path):
    with context.load(path) as data:
        return {
            'path': str(data.path),
            'name': data.name,
            'fingerprint': data.fingerprint,
            'classes': list(data.classes),
            'im_dim': list(data.shape),
            'images': len(data.test),
        }


def _cell(context, f, model, config, dataset, special_test, info):
    """Test one model on one set."""
    with open_tested(context, dataset, config, info) as data:
        fitted = fit(model, config, data)
        _print_fit(fitted, model, config, data, info)
        outputs = test_outputs(f, fitted, special_test)
        fold = data.fold and list(data.fold)
    cell = {
        'images': len(fitted.test),
        'left_out': fitted.left_out,
        'classes': list(fitted.classes),
        'resized': fitted.resized,
        'same_source': config['fingerprint'] == data.fingerprint,
        'fold': fold,
    }
    for kind, logits in outputs.items():
        entry = metrics.scores(logits[:, fitted.outputs], fitted.test.y, fitted.classes)
        del entry['calibration']
        cell[kind] = {**entry, 'mean_recall': metrics.mean_recall(entry)}
    return {**cell, **{key: cell[metrics.final_kind(cell)][key] for key in FIGURES}}


def _print_fit(fitted, model, config, data, info):
    """Print how a set is adapted to a model."""
    if fitted.resized:
        (h, w), (height, width) = data.shape, config['im_dim']
        info(f"'{data.path}': images of {h}x{w} resized to {height}x{width}")
    missing = [name for name in config['classes'] if name not in data.classes]
    if fitted.left_out:
        parts = ', '.join(f'{n} of {name}' for name, n in fitted.left_out.items())
        info(f"'{data.path}': images of classes that '{model}' does not know are left out: {parts}")
    if missing:
        info(f"'{data.path}' has no {', '.join(missing)}: '{model}' does not predict these classes there")


def _mean_of_others(row):
    """Average over the sets whose source is not that of the model."""
    others = [cell for cell in row if not cell['same_source']]
    return {key: float(np.mean([cell[key] for cell in others])) if others else None for key in FIGURES}


def _names(paths):
    """Return a short name of each file: its stem or, for a run, its folder; the whole path if two are the same."""
    names = [
        str(path.parent.relative_to(path.parent.parent.parent)) if path.stem == 'model' else path.stem for path in paths
    ]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths)]


def _write(out, about, names, report, info):
    """Print the matrices and write them to files."""
    models, sets = names
    write_json(out / 'matrix.json', about)
    head = ['model', 'set', 'images', 'left_out', 'classes', 'resized', 'same_source', 'fold']
    kinds = [(kind, key) for kind in ('plain', 'special') for key in FIGURES]
    rows = [
        [
            *(model, name, cell['images'], sum(cell['left_out'].values()), ' '.join(cell['classes'])),
            *(int(cell['resized']), int(cell['same_source']), '/'.join(map(str, cell['fold'] or ()))),
            *(repr(cell[kind][key]) if kind in cell else '' for kind, key in kinds),
        ]
        for model, row in zip(models, about['cells'])
        for name, cell in zip(sets, row)
    ]
    texts = {'cells.csv': tables.as_csv([*head, *(f'{kind}_{key}' for kind, key in kinds)], _texts(rows))}
    for key, title in FIGURES.items():
        values = [[cell[key] for cell in row] for row in about['cells']]
        means = [mean[key] for mean in about['mean_of_others']]
        texts[f'{key}.csv'] = tables.as_csv(
            ['model', *sets, 'mean of others'],
            _texts(
                [model, *map(repr, row), '' if mean is None else repr(mean)]
                for model, row, mean in zip(models, values, means)
            ),
        )
        own = [[cell['same_source'] for cell in row] for row in about['cells']]
        shown = [
            [
                model,
                *(f'{value:.2f}' + '* '[not mine] for value, mine in zip(row, mines)),
                '' if mean is None else f'{mean:.2f}',
            ]
            for model, row, mines, mean in zip(models, values, own, means)
        ]
        info('\n' + tables.as_text([title, *(f'{name} ' for name in sets), 'mean of others'], shown))
        if report:
            drawing = plots.heat_map(values, models, sets, own, title)
            plots.save(drawing, out / f'{key}.png')
    for name, text in texts.items():
        with atomic_write(out / name) as temporary:
            temporary.write_text(text, encoding='utf-8')
    info('\n' + _legend(about, sets))


def _texts(rows):
    return [[str(value) for value in row] for row in rows]


def _legend(about, sets):
    """Explain the matrices."""
    lines = ['*: the model was trained on other images of that source']
    with_views = [name for k, name in enumerate(sets) if all('special' in row[k] for row in about['cells'])]
    if with_views and len(with_views) == len(sets):
        lines.append('special test: on all views of each image')
    elif any('special' in cell for row in about['cells'] for cell in row):
        lines.append('special test, on all views, if a set has views, otherwise plain test: see cells.csv')
    else:
        lines.append('plain test: on the images as they are')
    return '\n'.join(lines)
