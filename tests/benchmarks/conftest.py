"""A small set with validation images, and a classifier that only counts."""

import sys
from pathlib import Path

import numpy as np
import pytest

from loaders import Originals, build

sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(scope='session')
def small_path(tmp_path_factory):
    """Set 1 of 24x24 images: 150 training, 60 of them held out, 60 test images, one of them a copy."""
    rng = np.random.default_rng(3)
    labels = np.arange(210) % 3
    images = rng.normal(110, 40, (210, 24, 24))
    for k, label in enumerate(labels):
        images[k, label * 8 : label * 8 + 8] += 60 * np.sin(np.arange(24) * 2 * np.pi / (3 + 2 * label))
    images = np.clip(images, 0, 255).astype(np.uint8)
    images[160] = images[labels.tolist().index(labels[160])]
    usage = np.repeat([0, 1, 2], [150, 30, 30]).astype(np.uint8)
    originals = Originals(images, labels.astype(np.uint8), usage, np.arange(210, dtype=np.int32), ('a', 'b', 'c'))
    (path,) = build(originals, (1,), tmp_path_factory.mktemp('small'), validation=60, info=lambda line: None)
    return path
