"""Common parts of the tests of the backend."""

import pytest

from utils.backend import rewrites


@pytest.fixture(autouse=True)
def small_convolutions_are_rewritten_too(monkeypatch):
    monkeypatch.setattr(rewrites, 'LEAST_CHANNELS', 16)
    monkeypatch.setattr(rewrites, 'LEAST_PIXELS', 0)
    monkeypatch.setattr(rewrites, 'LEAST_PIXELS_ALONE', 0)


@pytest.fixture
def values(rng):
    def make(n, side, n_in, n_out, dtype):
        shapes = (n, *side, n_in), (3, 3, n_in, n_out), (n, *side, n_out)
        return [rng.normal(size=shape).astype(dtype) for shape in shapes]

    return make
