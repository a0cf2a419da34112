"""A small experiment and processes of its own."""

from pathlib import Path

import launch
import mlp

ROOT = Path(__file__).parents[1]


SMALL = dict(
    network=mlp.MLP,
    n_hidden=[8],
    batch_size=50,
    statistics_images=50,
    anneal_epochs=1,
    n_epochs=3,
    verbose=0,
    report=False,
    savename='models/m.h5',
)


def small(tiny_set, **options):
    return launch.test(**{**SMALL, 'dataset': tiny_set, **options})
