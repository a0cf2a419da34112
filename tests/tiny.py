"""A tiny network and its trainer; runs that are interrupted, and bitwise comparison of states."""

import numpy as np

from mlp import MLP
from utils.training.settings import Settings
from utils.training.trainer import Trainer


def network(rng, **options):
    return MLP((12, 12), 3, n_hidden=[16], **{'batch_norm': True, 'p_drop': 0.3, **options}, rng=rng)


def trainer(data, make=network, checkpoint=None, teacher=None, **settings):
    return Trainer(
        make,
        data,
        Settings(**{'batch_size': 32, 'statistics_images': 100, 'seed': 5, **settings}),
        checkpoint=checkpoint,
        teacher=teacher,
    )


def equal(a, b):
    """Return whether two states are bit-identical, except for times."""

    def without_times(state):
        return [{k: v for k, v in row.items() if k != 'seconds'} for row in state['history']]

    def same(x, y):
        return (x is None and y is None) or (list(x) == list(y) and all(np.array_equal(x[k], y[k]) for k in x))

    return (
        without_times(a) == without_times(b)
        and (a['stage'], a['epoch']) == (b['stage'], b['epoch'])
        and all(same(a[k], b[k]) for k in ('arrays', 'kept', 'trained'))
    )


class Stop(Exception):
    pass


def run(t, n_epochs=4, anneal_epochs=2, stop_after=None):
    """Run all stages; raise an exception after a total number of epochs."""

    def checkpoint(t):
        if len(t.history) == stop_after:
            raise Stop

    t.checkpoint = checkpoint
    try:
        t.train(n_epochs), t.retrain(), t.anneal(anneal_epochs)
    except Stop:
        pass
    return t.last
