"""Several devices give the results of one, in a process whose CPU counts as four; see tests/device_checks.py."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from utils import backend, native

ROOT = Path(__file__).parents[2]


def checks(name):
    done = subprocess.run(
        [sys.executable, '-m', 'tests.device_checks', name], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_tiny_network_on_two_devices_learns_what_it_learns_on_one():
    found = checks('quick')
    assert found['resident'] < 1e-6 and found['streamed'] < 1e-6 and found['logits'] < 1e-5
    for one, two in (found['figures'], found['resumed']):
        assert two == pytest.approx(one, rel=1e-5)
    assert set(found['collectives']) == {'all-reduce'}  # no image and no output of a layer is sent to another device
    assert found['lies on'] == 2


def test_each_device_computes_layers_of_its_own_images():
    found = checks('layers')
    assert found['cpu, kernels'] == (0 if native.compiler() is None else 5)
    for form in ('cpu', 'gpu'):
        assert found[form] < 1e-5, found  # relative to the changes, gradients times the rate
        assert set(found[f'{form}, collectives']) == {'all-reduce'}, found


@pytest.mark.slow
def test_so_do_many_steps_in_a_call_divided_images_and_networks_side_by_side():
    found = checks('members_and_steps')
    assert found.pop('share') == [65] * 4  # of 260 images
    assert found.pop('GPU form, default') == 3  # of 4 devices: as many as divide 90
    assert len(found) == 7 and all(distance < 1e-6 for distance in found.values()), found


@pytest.mark.slow
def test_twenty_steps_in_a_row_of_a_network_without_maxima_and_signs_are_the_same():
    found = checks('smooth_in_a_row')
    assert found['moved'] > 0.01 and found['2'] < 1e-6 and found['4'] < 1e-6, found


@pytest.mark.slow
def test_network_a_takes_the_same_steps_on_two_and_four_devices():
    found = checks('network_a')
    for n in (2, 4):
        for what, most in (('', 1e-6), (', each array', 1e-5)):  # the arrays include the momentum, which sums gradients
            steps, rounding = found[f'{n} devices{what}'], found[f'rounding{what}']
            assert len(steps) == len(rounding) == 20
            # A step in which a sign or maximum depends on the last bit: rounding errors on one device change as much.
            other = [k for k in range(20) if steps[k] >= most]
            assert len(other) <= 1 and all(steps[k] <= 2 * rounding[k] for k in other), (steps, rounding)
        assert set(found[f'{n} devices, collectives']) == {'all-reduce'}


@pytest.mark.slow
def test_an_experiment_goes_on_with_another_number_of_devices():
    found = checks('experiment')
    one, several = found['one'], found['several']
    assert several['cross-entropy'] == pytest.approx(one['cross-entropy'], rel=1e-6)
    assert one['devices'] == [1, 1] and several['devices'] == [2, 4]  # the record says how many there were
    too_many, none, uneven, few = found['errors']
    assert 'available ones, 4, got 8' in too_many and 'XLA_FLAGS=--xla_force_host_platform_device_count=8' in too_many
    assert 'devices must be a whole number >= 1, got 0' in none
    assert 'the nearest sizes are 48 or 52' in uneven and few.endswith('the nearest sizes are 4')
    assert found['written'] == []


def test_one_cpu_is_used_unless_more_are_asked_for():
    assert backend.n_devices(None, 100) == 1
    there = jax.device_count()
    with pytest.raises(ValueError, match=f'of available ones, {there}, got {there + 1}'):
        backend.n_devices(there + 1, 100)
    assert backend.device_names(None, 100) == 'cpu'
