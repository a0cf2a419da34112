"""A small experiment, and the parts of its result that are compared."""

import numpy as np

import launch
import mlp
from utils.files import models

SMALL = dict(
    network=mlp.MLP,
    n_hidden=[8],
    batch_size=50,
    statistics_images=50,
    anneal_epochs=1,
    n_epochs=2,
    verbose=0,
    report=False,
)
MEANS = dict(
    optimiser='adamw',
    optimiser_args={'beta2': 0.99},
    weight_decay=0.01,
    clip_norm=1.0,
    learning_rate=0.01,
    schedule='cosine',
    schedule_args={'warmup': 1},
    ema_decay=0.9,
    label_smoothing=0.1,
    n_epochs=3,
)


class Interrupted(Exception):
    pass


def small(tiny_set, **options):
    return launch.test(**{**SMALL, 'dataset': tiny_set, 'savename': 'models/m.h5', **options})


def lines_without_times(history):
    return [{k: v for k, v in row.items() if k != 'seconds'} for row in history]


def parameters_of(path):
    return {k: v for k, v in models.load(path)[0]['arrays'].items() if k.startswith('parameters/')}


def same_models(a, b):
    a, b = parameters_of(a), parameters_of(b)
    return list(a) == list(b) and all(np.array_equal(a[k], b[k]) for k in a)
