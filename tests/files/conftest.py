"""A trained model."""

import pytest

import launch
import mlp


@pytest.fixture(scope='session')
def trained(tiny_set, tmp_path_factory):
    path = tmp_path_factory.mktemp('trained') / 'm.h5'
    launch.test(
        network=mlp.MLP,
        n_hidden=[8],
        batch_size=50,
        statistics_images=50,
        anneal_epochs=0,
        n_epochs=1,
        verbose=0,
        report=False,
        retrain=False,
        dataset=tiny_set,
        savename=path,
    )
    return path
