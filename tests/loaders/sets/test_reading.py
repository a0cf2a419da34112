"""Reading of an open set."""

import threading

import numpy as np
import pytest
from loaders_data import originals
from sets_data import built


def test_images_in_any_order_with_repetitions(four):
    subset = four[1][3].training
    every = subset.images()
    rows = np.random.default_rng(0).integers(-len(subset), len(subset), 500)
    for choice in (rows, rows.astype(np.int32), rows.tolist(), slice(7, 300, 3), slice(None), np.array([], np.int64)):
        found = subset.images(choice)
        np.testing.assert_array_equal(found, every[choice])
        assert found.dtype == np.uint8 and found.flags.c_contiguous and found.flags.owndata
    with pytest.raises(IndexError):
        subset.images([len(subset)])


def test_types_and_shapes_of_the_interface(four):
    data = four[1][2]
    for subset in data.subsets():
        n = len(subset)
        assert subset.x_shape == data.shape
        for name, dtype in (
            ('y', np.uint8),
            ('source', np.int32),
            ('usage', np.uint8),
            ('view', np.uint8),
            ('duplicate', bool),
            ('rows', np.int32),
        ):
            column = getattr(subset, name)
            assert column.dtype == dtype and column.shape == (n,), (subset.name, name)


def test_a_second_thread_reads_the_same_images(four):
    subset = four[1][1].reduced_training
    rows = np.random.default_rng(1).integers(0, len(subset), (50, 100))
    expected = [subset.images(batch) for batch in rows]
    found = [[], []]

    def work(k):
        for batch in rows:
            found[k].append(subset.images(batch))

    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[k], expected) for k in (0, 1))


def test_a_closed_set_says_so(tmp_path):
    with built(tmp_path, originals(np.full((3, 7), 9)), 2) as data:
        subset = data.validation
    with pytest.raises(ValueError, match='the data set is closed'):
        subset.images()
    assert len(subset.y) == len(subset)
