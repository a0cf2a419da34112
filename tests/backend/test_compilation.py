"""XLA's options, and what compiling a graph leaves behind."""

import tempfile

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from utils import backend, ops


def test_nothing_stays_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    x, total = pt.matrix('x', dtype='float32'), pytensor.shared(np.float32(1))
    f = backend.function([x], pt.sum(pt.exp(pt.tanh(x) * 2)), updates={total: total + pt.sum(x)})
    np.testing.assert_allclose(f(np.full((1, 2), 0.5, 'float32')), 2 * np.exp(2 * np.tanh(0.5)), rtol=1e-6)
    assert total.get_value() == 2 and not list(tmp_path.iterdir())


@pytest.mark.cpu_form
@pytest.mark.parametrize('convolves', [False, True])
def test_products_are_those_of_eigen_unless_a_graph_convolves(convolves):
    x, W = pt.tensor(dtype='float32', shape=(64, 256)), pt.tensor(dtype='float32', shape=(256, 64))
    filters = pt.constant(np.ones((3, 3, 1, 16), 'float32'))
    f = backend.function([x, W], [x @ W, *([ops.conv2d(x.reshape((64, 16, 16, 1)), filters, 1)] if convolves else [])])
    program = f.vm.jit_fn.lower(np.ones((64, 256), 'float32'), np.ones((256, 64), 'float32')).compile().as_text()
    assert 'dot(' in program
    assert ('ynn' in program) == convolves
