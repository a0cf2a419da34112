"""FER2013 itself, if it is available: the counts, the duplicates, and the sets of the thesis.

Set SYMFER_FER2013 to the path of fer2013-images.zip or fer2013.csv.
"""

import numpy as np
import pytest
from loaders_data import real_data

from loaders import build, load, read
from loaders.audit.findings import audit, figures
from loaders.fer2013 import is_fer2013

pytestmark = pytest.mark.skipif(real_data() is None, reason='FER2013 is not here')


@pytest.fixture(scope='module')
def data():
    return read(real_data())


def test_counts(data):
    assert is_fer2013(data.classes, data.counts)
    assert data.images.shape == (35887, 48, 48)


def test_exact_duplicates_and_constant_images(data):
    f = figures(data, audit(data, near=None))
    assert (f['surplus'], f['groups'], f['grouped']) == (1853, 1516, 3369)
    assert (f['contradicting'], f['contradicting_images']) == (57, 160)
    assert f['leaked'] == (280, 288)
    assert f['constant'] == 12


def test_set_2(data, tmp_path):
    (path,) = build(data, (2,), tmp_path, no_duplicates=True, info=lambda line: None)
    with load(path) as found:
        assert found.is_fer2013
        assert len(found.validation) == 7418 and len(found.reduced_training) == 50000
        assert not found.validation.duplicate.any()
        assert found.test.duplicate[found.test.usage == 2].sum() == 288
        rows = np.arange(0, len(found.training), 997)
        originals = data.images[found.training.source[rows]]
        mirrored = found.training.view[rows] == 1
        originals[mirrored] = originals[mirrored][:, :, ::-1]
        np.testing.assert_array_equal(found.training.images(rows), originals)


@pytest.mark.slow
def test_near_duplicates(data):
    """One public image is black and has black duplicates, for which no correlation is defined."""
    f = figures(data, audit(data))
    assert f['near'] == {0.98: (301, 325), 0.95: (373, 392), 0.90: (485, 512)}
    assert f['mirrored'][0.90] == (5, 19)


@pytest.mark.slow
def test_set_4(data, tmp_path):
    (path,) = build(data, (4,), tmp_path, info=lambda line: None)
    with load(path) as found:
        assert [len(s) for s in found.subsets()] == [401926, 7178, 100492, 361746, 40180]
