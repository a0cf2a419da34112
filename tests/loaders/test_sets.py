"""The four sets: counts, views against independent ones, splits, twins, and how they are read."""

import shutil
import threading
from itertools import combinations

import cv2
import h5py
import numpy as np
import pytest
from loaders_data import fer2013_sized, originals, write_table

from loaders import DataError, Recipe, build, load, transform, views
from loaders.audit.duplicates import duplicates_in_training
from loaders.fer2013 import COUNTS
from loaders.sets import transforms
from loaders.sets.splits import shares


def quiet(line):
    """Takes the place of print."""


def built(tmp_path, data, number, **options):
    (path,) = build(data, (number,), tmp_path, log=quiet, **options)
    return load(path)


@pytest.fixture(scope='module')
def four(tmp_path_factory):
    """Sets 1 to 4 of data with FER2013's counts, and these."""
    data = fer2013_sized()
    paths = build(data, (1, 2, 3, 4), tmp_path_factory.mktemp('sets'), log=quiet)
    return data, [load(path) for path in paths]


# thesis 5.2; None: no such subset
THESIS = {
    1: (28709, 7178, None, None, None),
    2: (57418, 7178, 7418, 50000, 14356),
    3: (287090, 7178, 30000, 257090, 71780),
    4: (401926, 7178, 40180, 361746, 100492),
}


@pytest.mark.parametrize('number', THESIS)
def test_counts_are_those_of_the_thesis(four, number):
    data = four[1][number - 1]
    subsets = (data.training, data.test, data.validation, data.reduced_training, data.special_test)
    assert tuple(None if s is None else len(s) for s in subsets) == THESIS[number]
    assert (data.number, data.name) == (number, f'set {number}')
    np.testing.assert_array_equal(data.counts, COUNTS)
    assert data.is_fer2013


def test_sizes_are_those_of_the_thesis(tmp_path):
    paths = build(originals(), (1, 2, 3, 4), tmp_path, log=quiet)
    assert [load(path).shape for path in paths] == [(48, 48), (48, 48), (44, 44), (42, 42)]


def test_the_content_digest_tells_sets_of_one_source_apart(tiny_originals, tmp_path):
    def digest(folder, sets=(2,), **options):
        (path,) = build(
            tiny_originals, sets=sets, out=tmp_path / folder, log=lambda *line: None, **{'validation': 30, **options}
        )
        with load(path) as data:
            return data.content_digest, data.fingerprint

    same, other = (
        [digest(folder) for folder in 'ab'],
        [
            digest('c', sets=(1,)),
            digest('d', validation=20),
            digest('e', seed=1),
            digest('f', validation=0),
            digest('g', sets=(Recipe('set 2', ('centre', 'centre+mirror'), (10, 10), number=2),)),
            digest('h', sets=(Recipe('set 2', ('identity', 'rotate45'), number=2),)),
            digest('i', sets=(Recipe('set 2', ('identity', 'mirror')),)),
        ],
    )
    assert same[0] == same[1] and len({one[0] for one in other} | {same[0][0]}) == 8
    assert len({one[1] for one in other} | {same[0][1]}) == 1


def test_the_content_digest_covers_labels_and_pixels_also_without_checksums(tiny_set, tmp_path):
    def digest(*changes, checksums=False):
        path = tmp_path / 'set2.h5'
        shutil.copyfile(tiny_set, path)
        with h5py.File(path, 'r+') as file:
            for name in () if checksums else ('training', 'test', 'special_test', 'validation', 'reduced_training'):
                for array in file[name].values():
                    del array.attrs['crc32']
            for name, row in changes:
                file[name][row] = 1 - file[name][row] % 2
        with load(path) as data:
            return data.content_digest

    found = [
        digest(),
        digest(('training/x', (0, 0, 0))),
        digest(('test/x', (5, 0, 0))),
        digest(('test/y', 3)),
        digest(('special_test/twin', 0)),
        digest(('training/usage', 0)),
    ]
    assert len(set(found)) == 6 and found[0] == digest(checksums=True)


def test_all_sets_of_a_source_have_its_fingerprint(four, tmp_path):
    data, sets = four
    assert {s.fingerprint for s in sets} == {data.fingerprint()}
    (path,) = build(sets[0].path, (2,), tmp_path, log=quiet)
    assert load(path).fingerprint == data.fingerprint()
    other = fer2013_sized()
    other.images[5, 3, 3] ^= 1
    assert other.fingerprint() != data.fingerprint()


def test_set_1_is_a_source_that_gives_the_same_file(tmp_path):
    source = write_table(tmp_path / 'fer2013.csv', originals())
    (first,) = build(source, (1,), tmp_path, log=quiet)
    (direct,) = build(source, (2,), tmp_path / 'direct', log=quiet)
    (by_set,) = build(first, (2,), tmp_path / 'by_set', log=quiet)
    (again,) = build(by_set, (2,), tmp_path / 'again', log=quiet)
    assert len({open(path, 'rb').read() for path in (direct, by_set, again)}) == 1


def test_a_set_without_the_images_as_they_were_is_no_source(tmp_path):
    (path,) = build(originals(), (3,), tmp_path, log=quiet)
    with pytest.raises(DataError, match='set 3 does not hold the images as they were; give set 1'):
        build(path, (2,), tmp_path, log=quiet)


def slow_crop(image, size, down, right):
    return np.array([[image[i + down, j + right] for j in range(size)] for i in range(size)])


def slow_mirror(image):
    return np.array([[row[-1 - j] for j in range(len(row))] for row in image])


def thesis_view(image, name):
    """A view made independently of loaders/, from the text of thesis 5.2."""
    name, _, mirrored = name.partition('+')
    corners = dict(top_left=(0, 0), top_right=(0, 4), bottom_left=(4, 0), bottom_right=(4, 4))
    if name in corners:
        view = slow_crop(image, 44, *corners[name])
    elif name in ('rotate45', 'rotate315'):
        matrix = cv2.getRotationMatrix2D((48 / 2, 48 / 2), 45 if name == 'rotate45' else -45, 1)
        view = slow_crop(cv2.warpAffine(image, matrix, (48, 48)), 42, 3, 3)
    elif name == 'enlarge':
        large = cv2.resize(image, None, fx=1.2, fy=1.2, interpolation=cv2.INTER_CUBIC)
        assert large.shape == (58, 58)
        view = slow_crop(large, 42, 8, 8)
    elif name == 'reduce':
        view = cv2.resize(image, (42, 42), interpolation=cv2.INTER_CUBIC)
    elif name in ('left', 'right'):
        view = slow_crop(image, 42, 3, 3 + (-3 if name == 'left' else 3))
    return slow_mirror(view) if mirrored else view


def centre_view(image, size, name):
    margin = (48 - size) // 2
    view = slow_crop(image, size, margin, margin)
    return slow_mirror(view) if name.endswith('+mirror') else view


@pytest.mark.parametrize('number, size, n', [(3, 44, 10), (4, 42, 14)])
def test_views_of_sets_3_and_4_equal_independent_ones(tmp_path, number, size, n):
    source = originals(np.full((3, 7), 1))
    data = built(tmp_path, source, number)
    assert len(data.transforms) == n
    for subset in (data.training, data.special_test):
        assert subset.transforms == data.transforms
        for row in range(0, len(subset), 3):
            image = source.images[subset.source[row]]
            name = subset.transforms[subset.view[row]]
            expected = centre_view(image, size, name) if name.startswith('centre') else thesis_view(image, name)
            np.testing.assert_array_equal(subset.images([row])[0], expected, name)


def test_set_2_is_the_image_and_its_mirror(tmp_path):
    source = originals()
    data = built(tmp_path, source, 2)
    assert data.transforms == ('identity', 'mirror')
    for row, image in enumerate(data.training.images()):
        original = source.images[data.training.source[row]]
        expected = original if row % 2 == 0 else slow_mirror(original)
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize('number', [1, 2, 3, 4])
def test_test_images_are_in_the_first_view_and_in_the_order_of_the_source(tmp_path, number):
    source = originals()
    data = built(tmp_path, source, number)
    rows = np.flatnonzero(source.usage > 0)
    np.testing.assert_array_equal(data.test.source, rows)
    np.testing.assert_array_equal(data.test.y, source.labels[rows])
    np.testing.assert_array_equal(data.test.usage, source.usage[rows])
    cut = (48 - data.shape[0]) // 2
    np.testing.assert_array_equal(
        data.test.images(), source.images[rows, cut : cut + data.shape[0], cut : cut + data.shape[1]]
    )


def test_all_views_of_an_image_are_in_consecutive_rows(tmp_path):
    data = built(tmp_path, originals(), 4)
    np.testing.assert_array_equal(data.special_test.view.reshape(-1, 14)[3], np.arange(14))
    np.testing.assert_array_equal(data.special_test.source[::14], data.test.source)
    assert (np.diff(data.special_test.source.reshape(-1, 14)) == 0).all()
    assert built(tmp_path, originals(), 1).special_test is None


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(stratify=True),
        dict(no_duplicates=True),
        dict(seed=5),
        dict(validation=0.3),
        dict(validation=9, stratify=True),
    ],
)
def test_no_view_of_a_validation_image_is_in_the_reduced_training_set(tmp_path, options):
    data = built(tmp_path, originals(np.full((3, 7), 10)), 3, **options)
    assert not set(data.validation.source) & set(data.reduced_training.source)
    rows = np.concatenate([data.validation.rows, data.reduced_training.rows])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(data.training)))
    k = {0.3: 21, 9: 9}.get(options.get('validation'), 7)  # 3000/28709 of 70
    assert len(data.validation) == k * 10


def test_selected_subsets_show_the_rows_of_their_base(four):
    data = four[1][1]
    for subset in (data.validation, data.reduced_training):
        assert subset.base is data.training and data.training.base is data.training
        for column in ('y', 'source', 'usage', 'view', 'twin'):
            np.testing.assert_array_equal(getattr(subset, column), getattr(data.training, column)[subset.rows])
        rows = [5, 0, -1, 5]
        np.testing.assert_array_equal(subset.images(rows), data.training.images()[subset.rows[rows]])


def test_validation_follows_the_seed_only(tmp_path):
    source = originals(np.full((3, 7), 10))
    chosen = [built(tmp_path, source, 2, seed=seed).validation.rows for seed in (0, 0, 1)]
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert set(chosen[0]) != set(chosen[2])


def test_the_smaller_validation_set_is_part_of_the_larger(four):
    held_out = [set(data.validation.source) for data in four[1][1:]]
    assert held_out[2] < held_out[1] < held_out[0]


def test_validation_of_set_1_on_request_and_none_in_set_2(tmp_path):
    data = built(tmp_path, originals(np.full((3, 7), 10)), 1, validation=0.2)
    assert (len(data.validation), len(data.reduced_training)) == (14, 56)
    data = built(tmp_path, originals(), 2, validation=0)
    assert data.validation is None and data.reduced_training is None


def test_stratified_validation_has_the_proportions_of_the_classes(tmp_path):
    data = built(tmp_path, fer2013_sized((4, 4)), 1, validation=2871, stratify=True)
    counts = np.bincount(data.validation.y)
    assert counts.sum() == 2871
    assert (abs(counts - COUNTS[0] * 2871 / 28709) < 1).all()


@pytest.mark.parametrize('k', [0, 1, 7, 99, 100])
def test_shares_add_up(k):
    counts = np.array([50, 30, 13, 7])
    whole = shares(counts, k)
    assert whole.sum() == k and (abs(whole - k * counts / 100) < 1).all()


@pytest.mark.parametrize('validation', [-1, 14, 99, 1.0, 1.5, 0.99, float('nan'), 'many'])
def test_validation_out_of_range(tmp_path, validation):
    with pytest.raises(DataError, match='expected a number of images from 0 to 13 or a fraction'):
        build(originals(), (1,), tmp_path, validation=validation, log=quiet)
    assert not list(tmp_path.iterdir())


def with_twins():
    """Data in which many images, also of different usages, have the same pixels."""
    data = originals(np.full((3, 7), 8))
    rng = np.random.default_rng(2)
    data.images[rng.permutation(len(data))[:90]] = data.images[:45].repeat(2, axis=0)
    return data


def test_twin_flags_equal_a_search_of_all_pairs():
    data = with_twins()
    expected = np.zeros(len(data), bool)
    for a, b in combinations(range(len(data)), 2):
        if (data.images[a] == data.images[b]).all():
            expected[a] |= data.usage[b] == 0
            expected[b] |= data.usage[a] == 0
    np.testing.assert_array_equal(duplicates_in_training(data.images, data.usage), expected)
    assert 0 < expected[data.usage > 0].sum() < (data.usage > 0).sum()


def test_twin_flags_are_in_every_row(tmp_path):
    source = with_twins()
    expected = duplicates_in_training(source.images, source.usage)
    for subset in built(tmp_path, source, 3).subsets():
        np.testing.assert_array_equal(subset.twin, expected[subset.source], subset.name)


def test_validation_without_twins_has_none_in_reduced_training(tmp_path):
    data = built(tmp_path, with_twins(), 1, validation=9, no_duplicates=True)
    assert len(data.validation) == 9
    rest = {image.tobytes() for image in data.reduced_training.images()}
    assert not any(image.tobytes() in rest for image in data.validation.images())
    with pytest.raises(DataError, match='cannot hold out 55 training images without an exact duplicate'):
        build(with_twins(), (1,), tmp_path, validation=55, no_duplicates=True, log=quiet)


def test_a_set_of_ones_own(tmp_path):
    @transform
    def darker(images, size):
        return images // 2

    five = Recipe('set 5', size=(40, 42), views=('centre', 'darker+centre+mirror'), held_out=0.5)
    try:
        source = originals()
        data = built(tmp_path, source, five)
        assert (data.name, data.number, data.shape) == ('set 5', None, (40, 42))
        assert data.path.endswith('set5.h5')
        image = source.images[data.training.source[0]]
        np.testing.assert_array_equal(data.training.images([0])[0], image[4:44, 3:45])
        np.testing.assert_array_equal(data.training.images([1])[0], image[4:44, 3:45][:, ::-1] // 2)
        assert len(data.validation) == 14
    finally:
        del transforms.TRANSFORMS['darker']


def test_the_example_of_the_documentation():
    import doctest

    try:
        assert doctest.testmod(transforms) == (0, 5)
    finally:
        transforms.TRANSFORMS.pop('darker', None)


@pytest.mark.parametrize(
    'names, size, message',
    [
        (('turn',), (48, 48), "unknown transform 'turn'; known are bottom_left, "),
        (('identity',), (44, 44), r"view 'identity' gives uint8 images of \(48, 48\), expected"),
        (('centre',), (50, 48), 'cannot cut 50x48 out of 48x48 images'),
    ],
)
def test_views_that_cannot_be_made(tmp_path, names, size, message):
    with pytest.raises(DataError, match=message):
        build(originals(), (Recipe('own', names, size),), tmp_path, log=quiet)
    assert not list(tmp_path.iterdir())


def test_unknown_set(tmp_path):
    with pytest.raises(DataError, match='a set is 1, 2, 3, 4 or a Recipe, got 5'):
        build(originals(), (5,), tmp_path, log=quiet)


def test_views_keep_images_that_are_not_square():
    images = originals(np.full((3, 7), 1), size=(48, 60)).images
    names = ('centre', 'left', 'right', 'rotate45', 'rotate315', 'enlarge', 'reduce', 'top_left')
    assert views(images, names, (42, 52)).shape == (21, 8, 42, 52)


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
            ('twin', bool),
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
