"""`python -m benchmarks.scaling`: its counts against counts in NumPy, and its model against rings in NumPy."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.scaling import __main__ as command
from benchmarks.scaling import counting, model, tables
from benchmarks.scaling.machine import Machine
from cnn.layers import AvgPool, Conv
from mlp.layers import FullyConnected
from utils.layer import Layer, n_features

ROOT = Path(__file__).resolve().parents[2]
SCALING = json.loads((ROOT / 'docs' / 'bench' / 'scaling.json').read_text(encoding='utf-8'))['networks']

TEXT = """HloModule jit_step

ENTRY %main (p: f32[8,4]) -> (f32[4], f32[4]) {
  %p = f32[8,4]{1,0} parameter(0)
  %sums = f32[4]{0} fusion(%p), kind=kLoop, calls=%fused_sum
  %all-reduce.1 = f32[4]{0} all-reduce(%sums), channel_id=1, to_apply=%add
  %normed = f32[8,4]{1,0} fusion(%p, %all-reduce.1), kind=kLoop, calls=%fused_norm
  %gradient = f32[4]{0} fusion(%normed), kind=kLoop, calls=%fused_gradient
  %all-reduce.2 = (f32[4]{0}, bf16[6]{0}) all-reduce(%gradient, %p), channel_id=2, to_apply=%add
  %part = f32[4]{0} get-tuple-element(%all-reduce.2), index=0
  %all-gather.1 = f32[8]{0} all-gather(%sums), channel_id=3, dimensions={0}
  ROOT %t = (f32[4]{0}, f32[4]{0}) tuple(%part, %sums)
}
"""


class Mixed(Layer):
    """A network with a stride of two pixels, no padding, groups, pooling and two hidden layers."""

    def __init__(self, im_dim, n_classes, *, rng):
        self.conv1 = Conv(1, 4, size=5, border='valid', pool=AvgPool(2), rng=rng)
        self.conv2 = Conv(4, 6, size=3, stride=2, groups=2, rng=rng)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, (10, 5), 0.2, rng=rng)

    def features(self, x, phase):
        return self.conv2(self.conv1(x, phase), phase)

    def __call__(self, x, phase):
        return self.fc(self.features(x, phase), phase)


def multiplications(side, channels, size, pad=0, stride=1, groups=1, out=1):
    """Count the multiplications of a convolution of one image by its windows; also return the output size."""
    seen = sliding_window_view(np.zeros((side + 2 * pad,) * 2), (size, size))[::stride, ::stride]
    return seen.size * channels // groups * out, len(seen)


def test_operations_are_those_of_the_layers(monkeypatch):
    monkeypatch.setenv('SYMFER_PLATFORM', 'gpu')
    first, side = multiplications(20, 1, 5, out=4)
    second, side = multiplications(side // 2, 4, 3, pad=1, stride=2, groups=2, out=6)
    hidden = [np.zeros(n).size for n in (side * side * 6, 10, 5, 7)]
    products = sum(len(np.repeat(np.zeros(a), b)) for a, b in zip(hidden, hidden[1:]))
    # Forward, and backward with respect to filters and inputs; the first layer needs no gradient of its inputs.
    expected = 2 * (3 * (first + second + products) - first)
    found = counting.operations(counting.functions_of(Mixed, 20).train)
    assert found == counting.BATCH * expected


def test_what_others_wait_for_is_told_from_gradients():
    assert counting.exchanges(TEXT) == [{'bytes': 16, 'awaited': True}, {'bytes': 28, 'awaited': False}]
    assert counting.other_exchanges(TEXT) == ['all-gather']


@pytest.mark.slow
def test_a_network_is_counted_in_a_process_of_two_devices():
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.scaling.counting', 'MLP'],
        env={**os.environ, **counting.ENVIRONMENT},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)['MLP']
    assert found == {k: v for k, v in SCALING['MLP'].items() if k != 'kernels'}


def test_every_network_sums_its_gradients_once_and_sends_nothing_else():
    import cnn
    import mlp

    assert list(SCALING) == [*cnn.__all__, *mlp.__all__]
    for name, figures in SCALING.items():
        whole = sum(one['bytes'] for one in figures['exchanges'])
        channels = figures['statistics'] // 2  # one to three sums for each batch norm, in addition to the gradients
        assert figures['others'] == [], name
        assert 4 * channels <= whole - 4 * figures['parameters'] <= 12 * channels + 100, name


def ring(arrays):
    """Sum arrays, one per GPU, in a ring; also return the largest number of bytes sent by one GPU."""
    n = len(arrays)
    parts = [np.array_split(a.copy(), n) for a in arrays]
    sent = np.zeros(n)
    for turn in range(2 * (n - 1)):
        going = [(k, (k - turn) % n if turn < n - 1 else (k + 1 - (turn - n + 1)) % n) for k in range(n)]
        taken = [parts[k][part].copy() for k, part in going]
        for (k, part), chunk in zip(going, taken):
            sent[k] += chunk.nbytes
            there = parts[(k + 1) % n]
            there[part] = there[part] + chunk if turn < n - 1 else chunk
    return [np.concatenate(p) for p in parts], sent.max()


@pytest.mark.parametrize('gpus', [2, 4, 8])
def test_an_all_reduce_moves_what_a_ring_does(rng, gpus):
    arrays = list(rng.normal(size=(gpus, 64)).astype(np.float32))
    sums, sent = ring(arrays)
    for one in sums:
        np.testing.assert_allclose(one, np.sum(arrays, axis=0, dtype=np.float64), rtol=1e-4, atol=1e-5)
    machine = Machine(base=0, nvlink_step=0, nvlink=1e3, reached=0.5)
    assert model.all_reduce(64 * 4, gpus, machine) == pytest.approx(sent / 500)


def test_servers_pass_on_an_eighth_a_gpu():
    machine = Machine(base=0, nvlink_step=0, infiniband_step=0, nvlink=1e30, infiniband=1e3, reached=1)
    _, sent = ring([np.zeros(64 // 8, np.float32)] * 4)  # four servers, an eighth for each GPU
    assert model.all_reduce(64 * 4, 32, machine) == pytest.approx(sent / 1e3)
    small = replace(machine, base=4e-6, nvlink_step=1e-6, infiniband_step=5e-6)
    assert model.all_reduce(0, 32, small) == pytest.approx(4e-6 + 14e-6 + 20e-6)
    with pytest.raises(ValueError, match='up to 8 GPUs or a multiple of them, got 12'):
        model.all_reduce(8, 12, machine)


def test_a_step_by_hand():
    counted = {'kernels': 50, 'operations': {'48': 10**9}}
    counted['exchanges'] = [{'bytes': 0, 'awaited': True}, {'bytes': 70_000_000, 'awaited': False}]
    machine = Machine({'tf32': 1e15}, 0.1, 2e-6, nvlink=175e9, reached=1, base=5e-6, nvlink_step=0)
    computed, sums = 100e-6 + 1e-3, 5e-6 + 2 * 7 / 8 * 70e6 / 175e9
    for hidden, left in ((False, sums), (True, 0)):  # two thirds of the computing time exceed the time of the sums
        assert model.step(counted, 100, 8, 'tf32', machine, hidden=hidden) == pytest.approx(computed + 5e-6 + left)
    assert model.weak(counted, 100, 8, 'tf32', machine) == pytest.approx(computed / (computed + 5e-6 + sums))
    assert model.weak(counted, 100, 1, 'tf32', machine) == model.strong(counted, 100, 1, 'tf32', machine) == 1
    divided = 8 * (100e-6 + 1e-3 / 8 + 5e-6 + sums)
    assert model.strong(counted, 100, 8, 'tf32', machine) == pytest.approx(computed / divided)


def test_the_page_has_the_tables_of_the_file(tmp_path):
    page = tmp_path / 'scaling.md'
    shown = (ROOT / 'docs' / 'scaling.md').read_text(encoding='utf-8')
    page.write_text(shown, encoding='utf-8')
    tables.write_page(SCALING, page)
    assert page.read_text(encoding='utf-8') == shown


def test_what_is_not_there_is_named(tmp_path):
    assert "got ['AA']" in command.main(['--networks', 'A', 'AA'])
    (tmp_path / 'compiled.json').write_text('{"cells": {}}')
    with pytest.raises(ValueError, match='--networks A --precisions float32 --capabilities sm_90 --devices 1'):
        command.kernels('A', tmp_path / 'compiled.json')


@pytest.mark.parametrize(
    'n, text',
    [(0, '0 B'), (999, '999 B'), (1500, '1.5 kB'), (41_627_420, '42 MB'), (999_700, '1 MB'), (1.5e16, '15000 TB')],
)
def test_bytes_in_words(n, text):
    assert tables.in_bytes(n) == text


def test_times_in_words():
    assert [tables.in_time(s) for s in (0.75, 93, 2640, 20_700)] == ['0.75 s', '93 s', '44 min', '5.8 h']
