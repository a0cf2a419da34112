"""Opens the tiny set."""

import pytest

import loaders


@pytest.fixture
def data(tiny_set):
    with loaders.load(tiny_set) as data:
        yield data
