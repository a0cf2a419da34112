"""Files with the names of earlier versions."""

import json

import numpy as np
import pytest

from utils.files.former import FORMER, accepts, parse_json
from utils.results import metrics, summary
from utils.results.predictions import Images, read_logits, save_logits

FLAGS = np.array([True, False, False, True])


@pytest.fixture
def images():
    return Images(y=np.array([0, 1, 1, 0]), source=np.arange(4), usage=np.array([1, 1, 2, 2]), duplicate=FLAGS)


def test_scores_under_former_names_are_read(images):
    scores = metrics.evaluate({'plain': np.eye(2)[[0, 0, 1, 1]]}, images, ('a', 'b'))
    text = json.dumps({'members': [{'evaluation': scores}]})
    former = text.replace('without_duplicates', 'without_twins')
    assert former != text
    assert parse_json(former) == json.loads(text)
    lines = summary.error_lines(parse_json(former)['members'][0]['evaluation'])
    assert lines[0].endswith('50.00 % without the 2 images that have an exact duplicate in the training set')


def test_logits_under_former_names_are_read(tmp_path, images):
    save_logits(tmp_path / 'logits.npz', images, {'plain': np.eye(2)[[0, 0, 1, 1]]})
    with np.load(tmp_path / 'logits.npz') as file:
        arrays = dict(file)
    np.savez(tmp_path / 'logits.npz', twin=arrays.pop('duplicate'), **arrays)
    found = read_logits(tmp_path)
    np.testing.assert_array_equal(found['duplicate'], FLAGS)
    assert set(found) == {'duplicate', *arrays}


def test_no_current_name_is_a_former_one():
    assert not set(FORMER) & set(FORMER.values())


def test_arguments_under_former_names_are_accepted():
    @accepts(say='info')
    def function(a, *, info=None):
        return a, info

    with pytest.warns(FutureWarning, match=r'function\(\): say is now info'):
        assert function(1, say=2) == (1, 2)
    assert function(1, info=3) == (1, 3)
    with pytest.raises(TypeError, match='unexpected'):
        function(1, sya=2)
