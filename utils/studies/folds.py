"""Cross-validation: run an experiment for each fold of a set, and pool the predictions for all its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.experiment.console import Console
from utils.experiment.kinds import Whole
from utils.experiment.schema import Argument
from utils.experiment.wording import default_model
from utils.files.atomic import atomic_write, write_json
from utils.files.folders import new_folder, numbered_folder
from utils.record.reading import read_run
from utils.results import metrics, plots, predictions, report, summary, tables
from utils.studies.sweeps import run_trials
from utils.training.rules import cost_of, rule_of

if TYPE_CHECKING:
    from utils.annotations import Dataset, StrPath
    from utils.experiment.context import Context


def cross_validate(
    context: Context,
    folds: int = 10,
    *,
    savename: StrPath | None = None,
    folder: StrPath | None = None,
    workers: int | str = 1,
    address: str | None = None,
    verbose: int = 1,
    **options: Any,
) -> tuple[dict[str, Any], Path]:
    """Run an experiment for every fold of a set and pool the results. Repeating the call continues an interrupted one.

    Each image of the set is tested once, by a network that was not trained on the person in it [1]_ or, if the set
    knows no people, not trained on the image.

    Parameters
    ----------
    folds : int
        Number of folds, at least 2; see `loaders.Fold`.
    savename : path, optional
        Name of the models, to which the fold is added: ``trained_models/A_set2_fold=3-10.h5``. The default is
        trained_models/<network>_<set>, under which `test` saves a single fold, so folds run in this way count as done.
    folder : path, optional
        New or empty folder for the pooled results; by default the next ``folds-001`` in the folder named after the
        models.
    workers, address
        Arguments of `sweep`.
    verbose : {1, 0, 2}
        Level of output, as in `test`.
    **options
        Further arguments of `test`, common to all folds.

    Returns
    -------
    scores : dict
        Scores as of `utils.results.metrics.evaluate`, where 'whole' refers to all images of the set. 'folds' has a dict
        for each fold, and 'mean' and 'std' (n - 1) are those of error and mean recall over the folds.
    folder : Path
        Folder with result.json, folds.csv, .md and .tex, predictions.csv, confusion.csv, logits.npz, curves.png and
        report.html.

    Raises
    ------
    ValueError
        Before any run: an argument is wrong, or there are fewer people than folds. After all runs: some folds failed.

    References
    ----------
    .. [1] Stone (1974), Cross-Validatory Choice and Assessment of Statistical Predictions, JRSS B 36.
    """
    info = Console(verbose).info
    folds = Argument(Whole(2), 'data').check('folds', folds)
    if options.get('fold') is not None:
        raise ValueError(f'cross_validate runs all folds, got fold={options["fold"]!r}: leave out fold')
    if options.get('dataset') is None:
        options = {**options, 'dataset': str(context.sample_set(info=info))}
    plain = context.validate(options)
    model = Path(savename or default_model(plain, options['dataset']))
    every = [
        {**options, 'fold': [i, folds], 'savename': f'{model.with_suffix("")}_fold={i}-{folds}{model.suffix}'}
        for i in range(1, folds + 1)
    ]
    finished, failures = run_trials(context, every, info, workers, address, verbose)
    if failures:
        raise ValueError(
            f"{len(failures)} of {folds} folds failed, first '{next(iter(failures))}': {next(iter(failures.values()))}"
        )
    if None in finished:
        raise ValueError(
            f'{finished.count(None)} of {folds} folds are being run by other processes: '
            'repeat the call when they are done'
        )
    with context.load(options['dataset'], every[0]['fold']) as data:
        return _pooled([read_run(run, need=['logits.npz']) for run in finished if run], data, model, folder, info)


def _pooled(
    runs: Sequence[dict[str, Any]], data: Dataset, model: Path, folder: StrPath | None, info: Callable[..., Any]
) -> tuple[dict[str, Any], Path]:
    """Score all folds together, print the scores, and write them to a folder."""
    images, outputs = pool([predictions.read_logits(run['folder']) for run in runs])
    scores = metrics.evaluate(outputs, images, data.classes)
    del scores['rank']  # the competition was on other images
    scores = {kind: {'whole': halves['whole']} for kind, halves in scores.items()}
    kind = metrics.final_kind(scores)
    whole = scores[kind]['whole']
    scores['folds'] = [_of_fold(run, kind) for run in runs]
    for name, value in (('mean', np.mean), ('std', lambda values: np.std(values, ddof=1))):
        scores[name] = {key: float(value([one[key] for one in scores['folds']])) for key in ('error', 'mean_recall')}
    table, by = _table(scores, whole), f'person, {len(data.people)} people' if data.by == 'person' else 'image'
    title = runs[0]['run']['name'].replace(f' fold 1/{len(runs)}', f', {len(runs)} folds')
    error, (low, high) = f'{"Special test" if kind == "special" else "Test"} error', whole['interval']
    sentence = (
        f'{error} {whole["error"]:.2f} % of all {whole["images"]} images (95 % interval {low:.2f} to {high:.2f} %), '
        f'each tested once; over {len(runs)} folds by {by}: '
        f'{scores["mean"]["error"]:.2f} ± {scores["std"]["error"]:.2f} %'
    )
    info('\n' + tables.as_text(*table))
    info('\n' + '\n'.join(summary.error_lines(scores)))
    info('\n' + summary.class_table(whole))
    info('\n' + sentence)
    out = numbered_folder(model.with_suffix(''), 'folds') if folder is None else new_folder(folder)
    write_json(
        out / 'result.json',
        {'name': title, 'data': data.path, 'fingerprint': data.fingerprint, 'by': data.by, 'evaluation': scores},
    )
    for name, text in {
        'folds.csv': tables.as_csv(*table),
        'folds.md': tables.as_markdown(*table),
        'folds.tex': tables.as_latex(*table),
    }.items():
        with atomic_write(out / name) as temporary:
            temporary.write_text(text, encoding='utf-8')
    predictions.write_outputs(out, images, data.classes, outputs, scores)
    rule = rule_of(runs[0]['config'])
    plots.save(plots.curves_of_runs({title: [run['history'] for run in runs]}, rules={title: rule}), out / 'curves.png')
    if runs[0]['config'].get('report', True):
        _report(out, title, sentence, scores, table, runs)
    info(f"\nfolds '{out}'")
    return scores, out


def pool(arrays: Sequence[dict[str, np.ndarray]]) -> tuple[predictions.Images, dict[str, np.ndarray]]:
    """Concatenate the test images and the logits of all folds, from their logits.npz, in the source's order.

    The logits are 'plain' and, if every fold has them, 'special'.
    """
    order = np.argsort(np.concatenate([one['source'] for one in arrays]), kind='stable')
    columns = {
        key: np.concatenate([one[key] for one in arrays])[order] for key in ('source', 'y', 'usage', 'duplicate')
    }
    kinds = [kind for kind in ('plain', 'special') if all(kind in one for one in arrays)]
    return predictions.Images(**columns), {kind: np.concatenate([one[kind] for one in arrays])[order] for kind in kinds}


def _of_fold(run, kind):
    whole, result = run['result']['evaluation'][kind]['whole'], run['result']
    return {
        'run': str(run['folder']),
        'fold': run['config']['fold'],
        'images': whole['images'],
        'epoch': result['epoch'],
        'validation_error': result['validation_error'],
        'error': whole['error'],
        'interval': whole['interval'],
        'mean_recall': metrics.mean_recall(whole),
    }


def _table(scores, whole):
    """Return the header and the rows: each fold, mean ± standard deviation, all images."""

    def cell(value, form='.2f'):
        return '' if value is None else f'{value:{form}}'

    def interval(entry):
        return '{:.2f} – {:.2f}'.format(*entry['interval'])

    rows = [
        [
            '{} of {}'.format(*one['fold']),
            str(one['images']),
            cell(one['epoch'], 'd'),
            *(cell(one[key]) for key in ('validation_error', 'error')),
            interval(one),
            cell(one['mean_recall']),
        ]
        for one in scores['folds']
    ]
    both = [f'{scores["mean"][key]:.2f} ± {scores["std"][key]:.2f}' for key in ('error', 'mean_recall')]
    rows.append(['mean ± std', '', '', '', both[0], '', both[1]])
    rows.append(
        ['all', str(whole['images']), '', '', cell(whole['error']), interval(whole), cell(metrics.mean_recall(whole))]
    )
    return ['fold', 'images', 'epoch', 'validation error', 'error', '95 % interval', 'mean recall'], rows


def _report(out, title, sentence, scores, table, runs):
    """Write an HTML report: errors, classes, confusion and calibration of all folds, table of folds, arguments."""
    whole, figures = scores[metrics.final_kind(scores)]['whole'], out / 'figures'
    figures.mkdir()
    classes = list(whole['per_class'])
    plots.save(plots.answers.confusion_matrix(whole['confusion'], classes, 'all folds'), figures / 'confusion.png')
    plots.save(
        plots.answers.calibration_curve({'all folds': whole['calibration']}, 'all folds'), figures / 'calibration.png'
    )
    config = runs[0]['folder'] / 'config.yaml'
    report.write_report(
        out / 'report.html',
        title,
        scores,
        figures,
        texts={'Folds': tables.as_text(*table), 'Configuration of the first': config.read_text(encoding='utf-8')},
        lead=sentence + '.',
        rule=rule_of(runs[0]['config']).name,
        cost=cost_of(runs[0]['config']),
        ranked=False,
    )
