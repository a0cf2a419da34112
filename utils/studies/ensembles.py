"""Ensembles of runs, from their saved logits.

==================  ===========================================================================
`combine`           average of logits or of probabilities
`choose`            members chosen on the validation images
`ensemble`          an ensemble of runs, evaluated like any model
==================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.files import folders
from utils.files.atomic import write_json
from utils.files.terminal import write_line
from utils.record.reading import read_run, same_data
from utils.results import competition, metrics, predictions, summary
from utils.results.predictions import RunError, read_logits
from utils.training.rules import common_rule, rule_of

if TYPE_CHECKING:
    from pathlib import Path


AVERAGES = ('probabilities', 'linear')


def combine(logits: Sequence[np.ndarray], average: str = 'probabilities') -> np.ndarray:
    """Linear outputs of an ensemble.

    Parameters
    ----------
    logits : sequence of array (n, n_classes)
        One per member.
    average : {'probabilities', 'linear'}
        Average the members' probabilities, or their logits.

    Returns
    -------
    array (n, n_classes)
        With 'probabilities' the logarithms of the averages, of which the softmax gives the averages back.
    """
    if average not in AVERAGES:
        raise ValueError(f'average must be one of {", ".join(map(repr, AVERAGES))}, got {average!r}')
    logits = np.asarray(logits, dtype=float)
    if average == 'linear':
        return np.mean(logits, axis=0)
    mean = np.mean([metrics.probabilities(one) for one in logits], axis=0)
    return np.log(np.maximum(mean, np.finfo(float).tiny))


def choose(
    logits: Sequence[np.ndarray], y: np.ndarray, average: str = 'probabilities', rule: str = 'entropy'
) -> list[int]:
    """Choose members greedily on validation images: as long as one more lowers the figure of a rule [1]_.

    Parameters
    ----------
    logits : sequence of array (n, n_classes)
        Of the candidates on the validation images, which none of them was trained on.
    y : int array (n,)
    average : {'probabilities', 'linear'}
    rule : {'entropy', 'error'}

    Returns
    -------
    list of int
        Candidates in the order in which they were taken, each at most once.

    References
    ----------
    .. [1] Caruana et al. (2004), Ensemble Selection from Libraries of Models, ICML.
    """

    def figure(members):
        p = metrics.probabilities(combine([logits[k] for k in members], average))
        if rule == 'error':
            return (p.argmax(axis=1) != y).mean()
        return -np.log(np.maximum(p[np.arange(len(y)), y], np.finfo(float).tiny)).mean()

    taken, best = [], np.inf
    while len(taken) < len(logits):
        value, candidate = min((figure([*taken, k]), k) for k in range(len(logits)) if k not in taken)
        if value >= best:
            break
        taken.append(candidate)
        best = value
    return taken


def _comparable(run, arrays):
    """The logits of a run; scores of a loss that knows no probabilities, divided by their temperature, become such."""
    temperature = run['result']['evaluation'].get('temperature')
    if run['config'].get('loss', 'nll') == 'nll' or temperature is None:
        return arrays
    kinds = {'plain', 'special', 'validation'} & set(arrays)
    return {**arrays, **{kind: arrays[kind] / np.float32(temperature) for kind in kinds}}


def ensemble(
    paths: Sequence[Path],
    average: str = 'probabilities',
    chosen: bool = True,
    folder: Path | None = None,
    say: Callable[..., Any] = write_line,
) -> Any:
    """Combine finished runs of one data set and evaluate what comes out.

    Parameters
    ----------
    paths : sequence of path
        Run folders, or models, of which the last finished run is taken.
    average : {'probabilities', 'linear'}
        Scores of runs with loss 'l2svm' are divided by their temperature first.
    chosen : bool
        Choose the members on the validation images with `choose`, by the runs' rule (where they differ, by the
        cross-entropy); False takes them all.
    folder : path, optional
        Where to write evaluation.json, predictions.csv, confusion.csv and logits.npz; a new or empty folder.
    say : callable
        Is given what is to be printed.

    Returns
    -------
    scores : dict
        See `utils.results.metrics.evaluate`.
    members : list of Path

    Raises
    ------
    ValueError
        Runs of different data sets or validation images, or without validation where it is needed.
    """
    runs = [read_run(path, need=['logits.npz']) for path in paths]
    runs = list({run['folder'].resolve(): run for run in runs}.values())
    if len(runs) < 2:
        raise ValueError(f'an ensemble needs two different runs at least, got {len(runs)}')
    arrays = [_comparable(run, read_logits(run['folder'])) for run in runs]
    _check(runs, arrays, chosen)
    places = list(range(len(runs)))
    if chosen:
        rule = common_rule(rule_of(run['config']) for run in runs)
        places = choose([one['validation'] for one in arrays], arrays[0]['validation_y'], average, rule.name)
        say(
            f'{len(places)} of {len(runs)} members, chosen on {len(arrays[0]["validation_y"])} validation images, '
            f'smallest {rule.label}:'
        )
    for k in places:
        say(f'  {runs[k]["folder"]}')
    first, classes = arrays[0], runs[0]['run']['classes']
    outputs = {
        kind: combine([arrays[k][kind] for k in places], average)
        for kind in ('plain', 'special')
        if all(kind in arrays[k] for k in places)
    }
    images = predictions.Images(**{key: first[key] for key in ('y', 'source', 'usage', 'twin')})
    scores = metrics.evaluate(outputs, images, classes)
    final = scores[metrics.final_kind(scores)]['whole']
    for line in (*summary.error_lines(scores), *summary.summary_lines(scores)):
        say(line)
    say('\n' + competition.ranking({f'ensemble of {len(places)}': final['error']}))
    if not runs[0]['run']['is_fer2013']:
        say('These images are not FER2013: the place in the table is for show.')
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
        say(f"\nensemble '{folder}'")
    return scores, members


def _check(runs, arrays, chosen):
    first = runs[0]
    for run, own in zip(runs, arrays):
        if run['run']['fingerprint'] != first['run']['fingerprint'] or not all(
            np.array_equal(own[key], arrays[0][key]) for key in ('source', 'y')
        ):
            raise RunError(
                f"'{first['folder']}' and '{run['folder']}' are of different data sets, "
                f"'{first['run']['data']}' and '{run['run']['data']}'"
            )
        if not chosen:
            continue
        if 'validation' not in own:
            raise RunError(
                f"'{run['folder']}' was trained without validation (val=False), so it cannot be chosen on "
                'it: take all members instead'
            )
        if not np.array_equal(own['validation_source'], arrays[0]['validation_source']):
            raise RunError(
                f"'{first['folder']}' and '{run['folder']}' held out different validation images, so that "
                'one was trained on images on which the other would be judged: take all members instead'
            )
        if not same_data(first, run):
            raise RunError(
                f"'{first['folder']}' and '{run['folder']}' are of different data sets, "
                f"'{first['run']['data']}' and '{run['run']['data']}', of the same images: take all members "
                'instead'
            )
