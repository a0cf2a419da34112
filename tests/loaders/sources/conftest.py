"""Images that tests share."""

import pytest
from loaders_data import originals


@pytest.fixture
def data():
    return originals()
