"""Sets that tests share."""

import pytest
from loaders_data import fer2013_sized, originals
from sets_data import quiet

from loaders import build, load


@pytest.fixture(scope='session')
def four(tmp_path_factory):
    """Sets 1 to 4 of data with FER2013's counts, and the originals."""
    data = fer2013_sized()
    paths = build(data, (1, 2, 3, 4), tmp_path_factory.mktemp('sets'), info=quiet)
    return data, [load(path) for path in paths]


@pytest.fixture
def path(tmp_path):
    (path,) = build(originals(), (2,), tmp_path, info=quiet)
    return path
