"""Ensembles of runs, from their saved logits.

==================  ===========================================================================
`combine`           averages logits or probabilities
`choose`            chooses members on the validation images
`ensemble`          combines runs and evaluates the ensemble like a model
==================  ===========================================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.files import folders
from utils.files.atomic import write_json
from utils.files.former import accepts
from utils.files.terminal import write_line
from utils.record.reading import read_run, same_data
from utils.results import competition, metrics, predictions, summary
from utils.results.predictions import RunError, read_logits
from utils.training.rules import common_rule, rule_of

if TYPE_CHECKING:
    from pathlib import Path


AVERAGES = ('probabilities', 'logits')


def combine(logits: Sequence[np.ndarray], average: str = 'probabilities') -> np.ndarray:
    """Compute the logits of an ensemble.

    Parameters
    ----------
    logits : sequence of array (n, n_classes)
        Logits of each member.
    average : {'probabilities', 'logits'}
        Whether to average the members' probabilities or their logits.

    Returns
    -------
    array (n, n_classes)
        Mean logits or, with 'probabilities', the logarithms of the mean probabilities, which the softmax inverts.

    Raises
    ------
    ValueError
        `average` is unknown.
    """
    average = _current(average)
    logits = np.asarray(logits, dtype=float)
    if average == 'logits':
        return np.mean(logits, axis=0)
    mean = np.mean([metrics.probabilities(one) for one in logits], axis=0)
    return np.log(np.maximum(mean, np.finfo(float).tiny))


def _current(average):
    """Validate a kind of average; 'linear' is the former name of 'logits'."""
    if average == 'linear':
        warnings.warn("average='linear' is now average='logits'", FutureWarning, stacklevel=3)
        return 'logits'
    if average not in AVERAGES:
        raise ValueError(f'average must be one of {", ".join(map(repr, AVERAGES))}, got {average!r}')
    return average


def choose(
    logits: Sequence[np.ndarray], y: np.ndarray, average: str = 'probabilities', rule: str = 'entropy'
) -> list[int]:
    """Choose members greedily on the validation images, as long as one more lowers the cross-entropy or error [1]_.

    Parameters
    ----------
    logits : sequence of array (n, n_classes)
        Logits of the candidates on the validation images, on which no candidate was trained.
    y : int array (n,)
        Labels of the validation images.
    average : {'probabilities', 'logits'}
        What is averaged, see `combine`.
    rule : {'entropy', 'error'}
        Whether to minimise the cross-entropy or the error.

    Returns
    -------
    list of int
        Indices of the members in the order in which they were chosen, each at most once.

    References
    ----------
    .. [1] Caruana et al. (2004), Ensemble Selection from Libraries of Models, ICML.
    """

    def figure(members):
        p = metrics.probabilities(combine([logits[k] for k in members], average))
        if rule == 'error':
            return (p.argmax(axis=1) != y).mean()
        return -np.log(np.maximum(p[np.arange(len(y)), y], np.finfo(float).tiny)).mean()

    average = _current(average)
    taken, best = [], np.inf
    while len(taken) < len(logits):
        value, candidate = min((figure([*taken, k]), k) for k in range(len(logits)) if k not in taken)
        if value >= best:
            break
        taken.append(candidate)
        best = value
    return taken


def _comparable(run, arrays):
    """Return the logits of a run. Scores of a loss without probabilities are divided by their temperature."""
    temperature = run['result']['evaluation'].get('temperature')
    if run['config'].get('loss', 'nll') == 'nll' or temperature is None:
        return arrays
    kinds = {'plain', 'special', 'validation'} & set(arrays)
    return {**arrays, **{kind: arrays[kind] / np.float32(temperature) for kind in kinds}}


@accepts(say='info')
def ensemble(
    paths: Sequence[Path],
    average: str = 'probabilities',
    chosen: bool = True,
    folder: Path | None = None,
    info: Callable[..., Any] = write_line,
) -> Any:
    """Combine finished runs on one data set and evaluate the ensemble.

    Parameters
    ----------
    paths : sequence of path
        Run folders, or models, which stand for their last finished run.
    average : {'probabilities', 'logits'}
        What is averaged, see `combine`. Scores of runs with loss 'l2svm' are first divided by their temperature.
    chosen : bool
        Whether to choose the members on the validation images with `choose`, by the runs' rule or, if the rules differ,
        by the cross-entropy. False takes all runs.
    folder : path, optional
        New or empty folder for evaluation.json, predictions.csv, confusion.csv and logits.npz.
    info : callable
        Called with each text to print.

    Returns
    -------
    scores : dict
        Scores of the ensemble, see `utils.results.metrics.evaluate`.
    members : list of Path
        Run folders of the members.

    Raises
    ------
    ValueError
        The runs used different data sets or validation images, or `chosen` is True and a run was not validated.
    """
    average = _current(average)
    runs = [read_run(path, need=['logits.npz']) for path in paths]
    runs = list({run['folder'].resolve(): run for run in runs}.values())
    if len(runs) < 2:
        raise ValueError(f'an ensemble needs at least two different runs, got {len(runs)}')
    arrays = [_comparable(run, read_logits(run['folder'])) for run in runs]
    _check(runs, arrays, chosen)
    places = list(range(len(runs)))
    if chosen:
        rule = common_rule(rule_of(run['config']) for run in runs)
        places = choose([one['validation'] for one in arrays], arrays[0]['validation_y'], average, rule.name)
        info(
            f'{len(places)} of {len(runs)} members, chosen on {len(arrays[0]["validation_y"])} validation images by '
            f'the smallest {rule.label}:'
        )
    for k in places:
        info(f'  {runs[k]["folder"]}')
    first, classes = arrays[0], runs[0]['run']['classes']
    outputs = {
        kind: combine([arrays[k][kind] for k in places], average)
        for kind in ('plain', 'special')
        if all(kind in arrays[k] for k in places)
    }
    images = predictions.Images(**{key: first[key] for key in ('y', 'source', 'usage', 'duplicate')})
    scores = metrics.evaluate(outputs, images, classes)
    final = scores[metrics.final_kind(scores)]['whole']
    for line in (*summary.error_lines(scores), *summary.summary_lines(scores)):
        info(line)
    info('\n' + competition.ranking({f'ensemble of {len(places)}': final['error']}))
    if not runs[0]['run']['is_fer2013']:
        info('These images are not FER2013: the rank is only an illustration.')
    members = [runs[k]['folder'] for k in places]
    if folder is not None:
        folder = folders.new_folder(folder)
        write_json(
            folder / 'evaluation.json',
            {
                'name': f'ensemble of {len(places)}',
                'average': average,
                'members': list(map(str, members)),
                'evaluation': scores,
            },
        )
        predictions.write_outputs(folder, images, classes, outputs, scores)
        info(f"\nensemble '{folder}'")
    return scores, members


def _check(runs, arrays, chosen):
    first = runs[0]
    for run, own in zip(runs, arrays):
        if run['run']['fingerprint'] != first['run']['fingerprint'] or not all(
            np.array_equal(own[key], arrays[0][key]) for key in ('source', 'y')
        ):
            raise RunError(
                f"'{first['folder']}' and '{run['folder']}' used different data sets, "
                f"'{first['run']['data']}' and '{run['run']['data']}'"
            )
        if not chosen:
            continue
        if 'validation' not in own:
            raise RunError(
                f"'{run['folder']}' was trained without validation (val=False), so members cannot be chosen on "
                'it: use all members instead'
            )
        if not np.array_equal(own['validation_source'], arrays[0]['validation_source']):
            raise RunError(
                f"'{first['folder']}' and '{run['folder']}' held out different validation images, so one was trained "
                'on images that would be used to choose the other: use all members instead'
            )
        if not same_data(first, run):
            raise RunError(
                f"'{first['folder']}' and '{run['folder']}' used different data sets with the same images, "
                f"'{first['run']['data']}' and '{run['run']['data']}': use all members instead"
            )
