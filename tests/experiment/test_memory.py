"""Out-of-memory errors, and memory that is released."""

import gc
import sys
import weakref

import numpy as np
import pytest
from fault_data import ROOT, SMALL, small

import launch
from utils.experiment import memory
from utils.training.functions import Functions


class JaxRuntimeError(RuntimeError):
    pass


@pytest.mark.parametrize(
    'error', [JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nx'), MemoryError()]
)
def test_used_up_memory_is_told_with_what_needs_less(error):
    with pytest.raises(
        MemoryError,
        match=r'the memory of NVIDIA H200 is used up: pass trainShared=False, .* or a batch_size '
        'below 100',
    ) as told:
        with (
            memory.explain_out_of_memory('NVIDIA H200', 100, True),
            memory.explain_out_of_memory('NVIDIA H200', 100, True),
        ):
            raise error
    assert told.value.__cause__ is error
    with pytest.raises(MemoryError, match='^the memory of cpu is used up: pass a batch_size below 7'):
        with memory.explain_out_of_memory('cpu', 7, False):
            raise error


def test_used_up_memory_of_a_saved_model_asks_for_a_smaller_minibatch(tiny_set, monkeypatch):
    launch.test(**{**SMALL, 'n_epochs': 1}, dataset=tiny_set)

    def used_up(functions):
        raise JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory')

    monkeypatch.setattr(Functions, 'test', property(used_up))
    for use in (
        lambda: launch.predict('models/m.h5', np.zeros((40, 12, 12), np.uint8)),
        lambda: launch.evaluate('models/m.h5', tiny_set, batch_size=40, info=print),
    ):
        with pytest.raises(MemoryError, match=r'is used up: pass a batch_size below 40 \(RESOURCE'):
            use()


def test_other_errors_are_left_as_they_are():
    for error in (JaxRuntimeError('INVALID_ARGUMENT: x'), ValueError('out of memory')):
        with pytest.raises(type(error), match=str(error)), memory.explain_out_of_memory('cpu', 7, True):
            raise error


def test_an_experiment_leaves_nothing_on_the_device(tiny_set, monkeypatch):
    import jax

    made = []
    original = Functions.__init__

    def init(self, *args, **kwargs):
        made.append(weakref.ref(self))
        original(self, *args, **kwargs)

    monkeypatch.setattr(Functions, '__init__', init)
    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays())
    result = small(tiny_set, n_epochs=1)
    with pytest.raises(ZeroDivisionError):
        small(tiny_set, n_epochs=1, savename='failed.h5', on_epoch=lambda row: 1 / 0)
    gc.collect()
    assert sum(array.nbytes for array in jax.live_arrays()) <= before
    assert len(made) == 2 and made[0]() is None
    assert result.test_error is not None


@pytest.mark.slow
def test_a_set_larger_than_memory_trains_from_its_file():
    sys.path.insert(0, str(ROOT))
    from benchmarks import memory

    out = memory.larger_than_memory(300_000, 400, info=lambda line: None)
    assert out[False].startswith('trained')
    assert 'pass trainShared=False' in out[True]


@pytest.mark.slow
def test_memory_is_flat_over_many_epochs():
    sys.path.insert(0, str(ROOT))
    from benchmarks import memory

    seen = memory.long_run(400, 20, info=lambda line: None)
    assert seen[-1][1] - seen[len(seen) // 4][1] < 20
