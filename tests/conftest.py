"""What several test files use."""
import numpy as np
import pytest

import utils  # noqa: F401  (sets PyTensor up before any test imports it)


@pytest.fixture
def rng():
    return np.random.default_rng(1)
