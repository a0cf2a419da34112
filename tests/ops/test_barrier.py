"""The barrier: the identity in every mode, with the gradient of the identity."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from utils import backend, ops


@pytest.mark.parametrize('mode', ['FAST_COMPILE', backend.MODE])
def test_it_is_its_input_and_so_is_its_gradient(rng, mode):
    x = pt.matrix('x', dtype='float32')
    y = ops.Barrier()(x)
    assert y.type == x.type
    values = rng.normal(size=(3, 4)).astype('float32')
    same, gradient = pytensor.function([x], [y, pt.grad((y**3).sum(), x)], mode=mode)(values)
    np.testing.assert_array_equal(same, values)
    np.testing.assert_allclose(gradient, 3 * values**2, rtol=1e-6)


@pytest.mark.cpu_form
def test_xla_keeps_what_is_before_it_apart():
    x = pt.tensor('x', dtype='float32', shape=(64, 64))
    texts = []
    for barrier in (lambda v: v, ops.Barrier()):
        f = backend.function([x], pt.exp(barrier(2 * x)))
        texts.append(f.vm.jit_fn.lower(np.zeros((64, 64), 'float32')).compile().as_text())
    assert ['opt-barrier' in text for text in texts] == [False, True]
