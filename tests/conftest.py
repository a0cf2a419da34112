"""Fixtures shared by several test files."""

import atexit
import os
import shutil
import signal
import tempfile

import numpy as np
import pytest

if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:  # compile once for all tests
    os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp(prefix='symfer-tests-')
    os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.1'
    atexit.register(shutil.rmtree, os.environ['JAX_COMPILATION_CACHE_DIR'], ignore_errors=True)

import utils  # noqa: E402, F401  (sets PyTensor up before any test imports it)
from loaders import Originals, build  # noqa: E402


def pytest_runtest_setup(item):
    if item.get_closest_marker('cpu_form'):
        from utils.backend.platform import platform

        if platform() == 'gpu':
            pytest.skip('of the form that graphs take on a CPU')


@pytest.fixture(scope='session', autouse=True)
def ctrl_c_as_in_a_terminal():
    """Restore Ctrl-C: tests started in the background by a shell ignore it, and runs keep ignored signals."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def pattern_images(n, rng, side=12, n_classes=3):
    """Make images of noise in which the brightness of a band of rows determines the class."""
    labels = np.arange(n) % n_classes
    images = rng.normal(110, 40, (n, side, side))
    for k, label in enumerate(labels):
        images[k, label * side // n_classes : (label + 1) * side // n_classes] += 45
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.uint8)


@pytest.fixture(scope='session')
def tiny_originals():
    """130 training, 30 public and 30 private images, three of the test images copies of training images."""
    rng = np.random.default_rng(7)
    images, labels = pattern_images(190, rng)
    for copy, original in ((135, 3), (140, 8), (170, 11)):
        images[copy], labels[copy] = images[original], labels[original]
    usage = np.repeat([0, 1, 2], [130, 30, 30]).astype(np.uint8)
    return Originals(images, labels, usage, np.arange(190, dtype=np.int32), ('a', 'b', 'c'))


@pytest.fixture(scope='session')
def tiny_set(tiny_originals, tmp_path_factory):
    """Path of a set 2 (with mirror images) of 12x12 images: 260 rows, 60 of them held out, 60 test images."""
    folder = tmp_path_factory.mktemp('data')
    (path,) = build(tiny_originals, sets=(2,), out=folder, validation=30, info=lambda *line: None)
    return path


@pytest.fixture(scope='session')
def tiny_runs(tiny_set, tmp_path_factory):
    """Run folders of a sweep: two rates, each with two seeds, in the order of the grid."""
    import launch

    folder = tmp_path_factory.mktemp('runs')
    launch.sweep(
        {'learning_rate': [0.1, 0.002]},
        [1, 2],
        savename=folder / 's.h5',
        dataset=str(tiny_set),
        network='MLP',
        n_hidden=[8],
        batch_size=50,
        statistics_images=50,
        anneal_epochs=1,
        n_epochs=2,
        report=False,
        verbose=0,
    )
    return [folder / f's_learning_rate={rate}_seed={seed}' / 'run-001' for rate in ('0.1', '0.002') for seed in (1, 2)]
