"""Every test has its own working folder."""

import pytest
from small import small


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp('work'))


@pytest.fixture(scope='session')
def tiny_model(tiny_set, tmp_path_factory):
    path = tmp_path_factory.mktemp('export') / 'm.h5'
    small(tiny_set, savename=path, optimiser='adam', learning_rate=0.01)
    return path
