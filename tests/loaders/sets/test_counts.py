"""The four sets: their counts, sizes and digests."""

import shutil

import h5py
import numpy as np
import pytest
from loaders_data import fer2013_sized, originals, write_table
from sets_data import quiet

from loaders import DataError, Recipe, build, load
from loaders.fer2013 import COUNTS

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
    paths = build(originals(), (1, 2, 3, 4), tmp_path, info=quiet)
    assert [load(path).shape for path in paths] == [(48, 48), (48, 48), (44, 44), (42, 42)]


def test_the_content_digest_tells_sets_of_one_source_apart(tiny_originals, tmp_path):
    def digest(folder, sets=(2,), **options):
        (path,) = build(
            tiny_originals, sets=sets, out=tmp_path / folder, info=lambda *line: None, **{'validation': 30, **options}
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
        digest(('special_test/duplicate', 0)),
        digest(('training/usage', 0)),
    ]
    assert len(set(found)) == 6 and found[0] == digest(checksums=True)


def test_all_sets_of_a_source_have_its_fingerprint(four, tmp_path):
    data, sets = four
    assert {s.fingerprint for s in sets} == {data.fingerprint()}
    (path,) = build(sets[0].path, (2,), tmp_path, info=quiet)
    assert load(path).fingerprint == data.fingerprint()
    other = fer2013_sized()
    other.images[5, 3, 3] ^= 1
    assert other.fingerprint() != data.fingerprint()


def test_set_1_is_a_source_that_gives_the_same_file(tmp_path):
    source = write_table(tmp_path / 'fer2013.csv', originals())
    (first,) = build(source, (1,), tmp_path, info=quiet)
    (direct,) = build(source, (2,), tmp_path / 'direct', info=quiet)
    (by_set,) = build(first, (2,), tmp_path / 'by_set', info=quiet)
    (again,) = build(by_set, (2,), tmp_path / 'again', info=quiet)
    assert len({open(path, 'rb').read() for path in (direct, by_set, again)}) == 1


def test_a_set_without_the_images_as_they_were_is_no_source(tmp_path):
    (path,) = build(originals(), (3,), tmp_path, info=quiet)
    with pytest.raises(DataError, match='set 3 does not store the original images; give set 1'):
        build(path, (2,), tmp_path, info=quiet)
