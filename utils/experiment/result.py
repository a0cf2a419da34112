"""The `Result` of an experiment, its tables, figures and report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.experiment.wording import data_note, lead
from utils.experiment.wording import label as label_of
from utils.layer import parameters
from utils.results import competition, metrics, plots, summary
from utils.results import report as reports
from utils.results.predictions import write_outputs
from utils.results.temperature import fit_temperature
from utils.training.rules import cost_of

if TYPE_CHECKING:
    from utils.experiment.experiment import Experiment


@dataclass
class Result:
    """The result of an experiment. Errors are in %.

    Attributes
    ----------
    name : str
        Name in the competition's table.
    epoch : int or None
        The best epoch (entropy point), counted from 1; None without validation.
    validation_error, validation_cross_entropy : float or None
        Error in % and cross-entropy on the validation images at that epoch.
    test_error, special_test_error : float or None
        Error on the whole test set, from the images as they are and from all views of each (None if the set has none).
    errors : dict
        Errors 'plain' and 'special', for each half, with and without exact duplicates of training images; see
        `utils.training.inference.test_errors`.
    rank : int
        Place in the 2013 competition, by the special test if there is one, otherwise by the plain test.
    history : list of dict
        One entry per epoch, see `utils.training.trainer.Trainer`.
    n_parameters : int
        Number of trained parameters of the network.
    seconds : float
        Duration of this call, in seconds.
    savename, figure : Path or None
        Model file and figure of the curves.
    config : dict
        All arguments, as saved in the model.
    folder : Path
        Folder of the run, see `utils.record`.
    evaluation : dict
        Intervals, metrics of each class, confusion matrix, calibration, ... see `utils.results.metrics.evaluate`.
    members : list of dict
        `errors` of each of several members; empty for a single network.
    """

    name: str
    epoch: int | None
    validation_error: float | None
    validation_cross_entropy: float | None
    test_error: float
    special_test_error: float | None
    errors: dict
    rank: int
    history: list
    n_parameters: int
    seconds: float
    savename: Path | None
    figure: Path | None
    config: dict
    folder: Path
    evaluation: dict
    members: list


def finish(experiment: Experiment, errors: dict[str, dict[str, dict[str, float]]]) -> Result:
    """Print the errors, write tables, figures and report, complete the record and return the `Result`."""
    console, options, data, trainer, record = (
        experiment.console,
        experiment.options,
        experiment.data,
        experiment.trainer,
        experiment.record,
    )
    folder, best, label = record.folder, trainer.best, label_of(experiment.options, experiment.data)
    console.close()
    record.epoch(trainer)  # a model that was already complete had no epoch in this run
    outputs = trainer.best_outputs()
    temperature = _fitted_temperature(experiment, outputs)
    scores = metrics.evaluate(trainer.test_outputs, data.test, data.classes, temperature)
    _print_errors(console, errors, trainer.errors_of_members, scores, label, data)
    write_outputs(folder, data.test, data.classes, trainer.test_outputs, scores, outputs)
    plain, special = (errors[kind] and errors[kind]['whole']['error'] for kind in ('plain', 'special'))
    values: dict[str, Any] = dict(
        name=label,
        epoch=best and best['epoch'],
        validation_error=best and best['validation_error'],
        validation_cross_entropy=best and best['validation_cross_entropy'],
        test_error=plain,
        special_test_error=special,
        errors=errors,
        rank=competition.rank(_final(errors)['whole']['error']),
        n_parameters=sum(
            int(np.prod(p.type.shape)) for p in parameters(trainer.functions.network, trainable=True).values()
        ),
        evaluation=scores,
        members=trainer.errors_of_members,
    )
    console.debug('drawing the figures')
    subject = plots.Subject(
        trainer.functions.network,
        data.shape,
        data.test,
        data.classes,
        trainer.test_outputs,
        scores,
        record.histograms,
        trainer.history,
        best,
        label,
        options['rule'],
        cost_of(options),
        console.debug,
        trainer.reconstructions() if options['report'] else None,
    )
    figure = folder / 'figures' / 'curves.png'
    plots.draw(folder / 'figures', subject, only=() if options['report'] else ('curves',))
    seconds = time.perf_counter() - experiment.start
    console.info(f"\nmodel '{record.model}', record '{folder}', curves '{figure}'")
    console.info(f'total time {timedelta(seconds=round(seconds))}')
    if options['report']:
        reports.write_report(
            folder / 'report.html',
            label,
            scores,
            folder / 'figures',
            history=trainer.history,
            texts=reports.texts_of(folder),
            lead=lead(values, data),
            note=data_note(data),
            rule=options['rule'],
            cost=cost_of(options),
            members=trainer.errors_of_members,
        )
    record.end('finished', values)
    return Result(
        **values,
        history=trainer.history,
        seconds=seconds,
        savename=record.model,
        figure=figure,
        config=experiment.config,
        folder=folder,
    )


def _fitted_temperature(experiment, outputs):
    """Fit the temperature to the best epoch's outputs for the validation images, and save it in the model file.

    The test images do not influence it. A model trained without validation images has no temperature.
    """
    if outputs is None:
        return None
    temperature = fit_temperature(outputs[2], outputs[1])
    if experiment.config.get('temperature') != temperature:
        experiment.config['temperature'] = temperature
        with experiment.signals.deferred():
            experiment.checkpoint.write(experiment.trainer.last)
    return temperature


def _final(errors):
    """The errors of the special test; those of the plain test if there is none."""
    return errors['special'] or errors['plain']


def _print_errors(console, errors, members, scores, label, data):
    for kind, title in (('plain', 'test error'), ('special', 'special test error')):
        for half, e in (errors[kind] or {}).items():
            duplicates = (
                ''
                if e['images_without_duplicates'] in (0, e['images'])
                else f', {e["error_without_duplicates"]:.2f} % without the '
                f'{e["images"] - e["images_without_duplicates"]} images that have an exact duplicate in the training '
                'set'
            )
            console.info(f'{title}, {half}: {e["error"]:.2f} % of {e["images"]}{duplicates}')
    for line in summary.member_lines(members):
        console.info(line)
    console.info('\n'.join(summary.summary_lines(scores)))
    console.info('\n' + competition.ranking({label: _final(errors)['whole']['error']}))
    if not data.is_fer2013:
        console.info(data_note(data))
    elif 'private' in errors['plain']:
        private = _final(errors)['private']['error']
        place, known = competition.rank(private, 'private'), len(competition.COMPETITION)
        console.info(
            f'on the private half, which decided the competition: {private:.2f} %, '
            + (f'place {place}' if place <= known else f'below place {known}')
            + f' of {competition.TEAMS}'
        )
