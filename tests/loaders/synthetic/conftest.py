"""Faces drawn once."""

import pytest

from loaders.synthetic.sample import draw_faces


@pytest.fixture(scope='session')
def faces():
    """1200 + 60 + 300 images drawn once for the tests that only look."""
    return draw_faces(1200, 60, 300, seed=3)
