"""Bounded draws, checksums, damaged sets, links in folders."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import launch
import loaders
from utils.files.bounded import BoundedGenerator
from utils.files.checksums import ModelError, checksums


def test_draws_are_those_of_the_generator_up_to_the_limit():
    rng = BoundedGenerator(np.random.PCG64(3), 10)
    np.testing.assert_array_equal(rng.uniform(-1, 1, (3, 4)), np.random.default_rng(3).uniform(-1, 1, (3, 4)))
    with pytest.raises(ModelError, match='much larger'):
        rng.uniform(0, 1, (10**6, 10**6))


def test_checksums_tell_types_and_shapes_apart():
    sums = checksums(
        {str(k): v for k, v in enumerate((np.zeros(4, 'f4'), np.zeros((2, 2), 'f4'), np.zeros(4, 'i4'), ''))}
    )
    assert len(set(sums.values())) == 4


def test_damaged_pixels_of_a_set_are_noticed(tiny_set, tmp_path):
    content = bytearray(Path(tiny_set).read_bytes())
    with loaders.load(tiny_set) as data, h5py.File(tiny_set) as file:
        assert data.verify()
        at = file['training/x'].id.get_offset()
    content[at + 1000] ^= 4
    path = tmp_path / 'set2.h5'
    path.write_bytes(content)
    with (
        loaders.load(path) as data,
        pytest.raises(loaders.DataError, match='training/x was damaged after it was written'),
    ):
        data.verify()
    with pytest.raises(ValueError, match='training/x was damaged'):
        launch.test(dataset=path, savename=tmp_path / 'm.h5', verbose=0)
    with pytest.raises(loaders.DataError, match='training/x was damaged'):
        loaders.read(path)


def test_links_pipes_and_devices_in_a_folder_are_refused(tmp_path):
    for name in ('train/a/1.png', 'train/b/1.png', 'test/a/1.png', 'test/b/1.png'):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True)
        path.touch()
    path.unlink()
    for make in (os.mkfifo, lambda p: p.symlink_to('/dev/zero'), lambda p: p.symlink_to('/etc/passwd')):
        make(path)
        with pytest.raises(loaders.DataError, match='a link, a pipe or a device|can be decoded'):
            loaders.read(tmp_path / 'images')
        path.unlink()
    os.mkfifo(tmp_path / 'pipe.csv')
    with pytest.raises(loaders.DataError, match='a pipe or a device'):
        loaders.read(tmp_path / 'pipe.csv')
