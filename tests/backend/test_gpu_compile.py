"""Network A, narrowed, compiled for GPUs without having them; needs the extra [aot]."""

import pytest

from benchmarks.gpu_compile import matrix, targets
from utils.files.extras import MissingExtra

try:
    targets.check_extra()
except MissingExtra as missing:
    pytest.skip(str(missing), allow_module_level=True)


def compiled(precision, functions, capability='sm_90', devices=1):
    order = dict(network='A', precision=precision, capability=capability, devices=devices, functions=list(functions))
    order |= dict(name='test', batch=20, options={'width': 0.125, 'n_hidden': [32]})
    found = matrix.run_cell(order, info=lambda line: None)['functions']
    assert list(found) == list(functions)
    for name, figures in found.items():
        assert figures['compiles'], (name, figures)
    return found


@pytest.mark.parametrize('precision', ['float32', 'bf16'])
def test_a_training_step(precision):
    found = compiled(precision, ['train'])['train']
    assert found['convolutions'] == {'forward': 4, 'input gradient': 3, 'filter gradient': 4}
    assert set(found['operands']) == {precision}
    assert found['transfers'] == 0
    # All parameters, 4-byte numbers, are updated in place.
    assert found['in_place'] >= 4 * (9 * (8 + 8 * 16 + 16 * 32 + 32 * 32) + 32 * 36 * 32)


@pytest.mark.slow
@pytest.mark.parametrize('capability', [name for name in targets.CARDS if name != 'sm_90'])
def test_every_function_for_other_gpus(capability):
    compiled('tf32', ['train', 'train_many', 'validate', 'test', 'statistics', 'augment', 'members'], capability)


@pytest.mark.slow
def test_two_gpus_add_up_their_gradients():
    assert compiled('float32', ['train'], devices=2)['train']['collectives'].get('all-reduce')
