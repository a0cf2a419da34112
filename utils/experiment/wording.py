"""The sentences that an experiment prints: its name, its start, the best epoch, its result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import backend
from utils.experiment.arguments import class_name
from utils.training.rules import RULES, cost_of

if TYPE_CHECKING:
    from utils.annotations import Dataset, StrPath
    from utils.experiment.console import Console
    from utils.training.trainer import Trainer


def label(options: dict[str, Any], data: Dataset) -> str:
    """The name of an experiment in the style of the thesis's tables, for example 'A BN-drop (set 2)'."""
    dropped = [p for key in ('p_drop', 'p_dropConv') if options[key] is not None for p in np.ravel(options[key])]
    techniques = (('BN', options['batch_norm']), ('drop', any(dropped)))
    parts = '-'.join(word for word, there in techniques if there)
    several = f'x{options["members"]}' if options.get('members', 1) > 1 else ''
    return options['name'] or ' '.join(filter(None, [class_name(options['network']), parts, several, f'({data.name})']))


def default_model(options: dict[str, Any], dataset: StrPath) -> Path:
    """Default model file: trained_models/<network>_<set>.h5; for a fold trained_models/<network>_<set>_fold=3-10.h5."""
    fold = '' if options['fold'] is None else '_fold={}-{}'.format(*options['fold'])
    return Path('trained_models') / f'{class_name(options["network"])}_{Path(dataset).stem}{fold}.h5'


def announce(console: Console, options: dict[str, Any], data: Dataset, path: Path) -> None:
    """Print the network, the device, the data set and the model file."""
    args = ''.join(f', {key}={value}' for key, value in options['network_args'].items())
    width = options['network_args'].get('width')
    narrowed = ' (narrowed)' if isinstance(width, (int, float)) and width < 1 else ''
    counts = [
        f'{len(subset)} {name}'
        for name, subset in (
            ('training', data.training),
            ('of them held out for validation', data.validation if options['val'] else None),
            ('test', data.test),
        )
        if subset is not None
    ]
    crop = options['augment'] and options['augment'].crop
    hidden = '' if options['n_hidden'] is None else f', hidden layers {options["n_hidden"] or "none"}'
    several = f'{options["members"]} members, ' if options['members'] > 1 else ''
    console.info(
        f'network {class_name(options["network"])}{args}{narrowed}{hidden}, {several}'
        + (f'for crops of {crop[0]}x{crop[1]} pixels, ' if crop else '')
        + f'on {backend.device_names(options["devices"], options["batch_size"])}'
    )
    console.info(
        f"data '{data.path}' ({data.name}): {', '.join(counts)} images of "
        f'{data.shape[0]}x{data.shape[1]} pixels, {len(data.classes)} classes'
    )
    if options['soft_labels']:
        console.info("targets: the distribution of the annotators' votes")
    if options['teacher']:
        names = ', '.join(f"'{name}'" for name in options['teacher'])
        weight, temperature = (options['teacher_args'][key] for key in ('weight', 'temperature'))
        console.info(f'teacher {names}: weight {weight:g} in the cost, temperature {temperature:g}')
    console.info(f"model goes to '{path}'")
    if options['resume']:
        console.info(f"resuming '{options['resume']}'")


def print_pretraining(console: Console, trainer: Trainer) -> None:
    """Print which layers are pre-trained, unless stage pretrain is over."""
    if trainer.stage == 'pretrain':
        stacked = trainer.pretraining
        console.info(
            f'pre-training {", ".join(stacked.names)} as denoising autoencoders, {stacked.n_epochs} epochs each, on '
            + ('unlabelled images' if stacked.source is not None else 'the training images without their labels')
        )


def best_epoch_line(trainer: Trainer, options: dict[str, Any]) -> str:
    """The line that says which epoch is best and what follows."""
    best, point = trainer.best, RULES[options['rule']].point
    if best is None:
        return 'trained on all training images, without validation'
    then = (
        f'retraining with the validation images for {best["epoch"]} epochs'
        if options['retrain']
        else 'continuing with the parameters of that epoch'
    )
    if trainer.out_of_patience(options['patience']):
        then = f'no new minimum in {options["patience"]} epochs, {then}'
    return (
        f'{point}: epoch {best["epoch"]}, validation {cost_of(options)} {best["validation_cross_entropy"]:.4f}, '
        f'validation error {best["validation_error"]:.2f} %; {then}'
    )


def data_note(data: Dataset) -> str:
    """The caveat for images other than those of FER2013; '' for FER2013."""
    if data.is_fer2013:
        return ''
    what = 'The images of a fold are not those of the competition' if data.fold else 'These images are not FER2013'
    return f'{what}: the place in the table is only illustrative.'


def lead(values: dict[str, Any], data: Dataset) -> str:
    """The result in one sentence."""
    kind = 'plain' if values['special_test_error'] is None else 'special'
    whole = values['evaluation'][kind]['whole']
    low, high = whole['interval']
    return (
        f'{"Special test" if kind == "special" else "Test"} error {whole["error"]:.2f} % of {whole["images"]} '
        f'images (95 % interval {low:.2f} to {high:.2f} %); place {values["rank"]} in the competition of 2013'
        + (
            f'; best epoch {values["epoch"]}, validation error {values["validation_error"]:.2f} %.'
            if values['epoch']
            else '.'
        )
    )
