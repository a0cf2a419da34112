"""Objects made from those arguments of `test` that are dicts.

==================  ===========================================================================
`make_augment`      an `Augment` from `augment`
`distillation`      a `Distillation` from `teacher_args`
`pretraining`       validated `pretrain_args`
==================  ===========================================================================
"""

from __future__ import annotations

import inspect
import os
from typing import Any

from utils.experiment.suggestions import did_you_mean
from utils.experiment.values import shortened
from utils.training.augmentation import Augment
from utils.training.autoencoders import Denoising
from utils.training.targets import Distillation


def make_augment(settings: dict[str, Any] | None) -> Augment | None:
    """Return the `Augment` that the argument `augment` of `test` describes, or None."""
    if settings is None or settings is False or isinstance(settings, Augment):
        return settings or None
    if settings is True:
        return Augment()
    names = inspect.signature(Augment).parameters
    if not isinstance(settings, dict) or set(settings) - set(names):
        unknown = [name for name in settings if name not in names] if isinstance(settings, dict) else ()
        raise ValueError(
            f'augment must be an Augment, True or a dict of {", ".join(names)}, got {settings!r}'
            + (did_you_mean(unknown[0], names) if unknown else '')
        )
    return Augment(**settings)


def distillation(settings: dict[str, Any]) -> Distillation:
    """Return the `Distillation` that `teacher_args` describes."""
    names = Distillation.__dataclass_fields__
    unknown = [name for name in settings if name not in names]
    if unknown:
        raise ValueError(
            f'teacher_args must be a dict of {", ".join(names)}, got {shortened(settings)}'
            + did_you_mean(unknown[0], names)
        )
    return Distillation(**settings)


def pretraining(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of stage pretrain, with paths as strings."""
    settings, known = dict(options['pretrain_args']), list(inspect.signature(Denoising).parameters)
    for name in settings:
        if name not in known:
            raise ValueError(
                f'pretrain_args takes {", ".join(known)}, got {shortened(name)}' + did_you_mean(name, known)
            )
    if settings and not options['pretrain_epochs']:
        raise ValueError(
            f'pretrain_args need pre-training, got pretrain_epochs={options["pretrain_epochs"]}: give the epochs of '
            'each layer, for example 5, or leave pretrain_args out'
        )
    if isinstance(settings.get('images'), os.PathLike):
        settings['images'] = os.fspath(settings['images'])
    Denoising(**settings)
    return settings
