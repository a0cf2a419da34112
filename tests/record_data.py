"""A small experiment with its record."""

import mlp

SMALL = dict(
    network=mlp.MLP,
    n_hidden=[8],
    batch_size=50,
    statistics_images=50,
    anneal_epochs=1,
    n_epochs=2,
    verbose=0,
    report=False,
    savename='models/m.h5',
)
