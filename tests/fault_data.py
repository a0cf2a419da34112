"""A small experiment that runs in separate processes."""

from pathlib import Path

from small import SMALL as SMALL_RUN

import launch

ROOT = Path(__file__).parents[1]


SMALL = SMALL_RUN | dict(n_epochs=3, savename='models/m.h5')


def small(tiny_set, **options):
    return launch.test(**{**SMALL, 'dataset': tiny_set, **options})
