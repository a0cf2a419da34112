"""Traces that compiling a graph leaves behind."""

import tempfile

import numpy as np
import pytensor
import pytensor.tensor as pt

from utils import backend


def test_nothing_stays_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    x, total = pt.matrix('x', dtype='float32'), pytensor.shared(np.float32(1))
    f = backend.function([x], pt.sum(pt.exp(pt.tanh(x) * 2)), updates={total: total + pt.sum(x)})
    np.testing.assert_allclose(f(np.full((1, 2), 0.5, 'float32')), 2 * np.exp(2 * np.tanh(0.5)), rtol=1e-6)
    assert total.get_value() == 2 and not list(tmp_path.iterdir())
