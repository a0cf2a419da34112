"""The networks of the PyTorch engine are those of symfer: parameters, and multiply-adds counted by PyTorch."""

import pytest

from benchmarks.engines import DEFAULTS, NETWORKS, Case
from benchmarks.engines.symfer_ import network as ours
from utils.layer import parameters
from utils.results.structure import structure

torch = pytest.importorskip('torch')


def case(network, side):
    variant = 'default' if network in DEFAULTS else 'both'
    return Case(network=network, variant=variant, side=side, batch=2, images=2, train=True, precision='float32')


@pytest.mark.parametrize('side', [48, 40])
@pytest.mark.parametrize('name', [*NETWORKS, *DEFAULTS])
def test_parameters_and_operations_are_those_of_symfer(name, side):
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.engines.torch_networks import network

    mine, theirs = ours(case(name, side)), network(case(name, side)).eval()
    n = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    assert n == sum(v.get_value(borrow=True).size for v in parameters(mine, trainable=True).values())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        logits = theirs(torch.zeros(1, 1, side, side))
    assert logits.shape == (1, 7)
    assert counter.get_total_flops() == 2 * structure(mine, (side, side)).operations
