"""Kernels in C++: results against NumPy in float64, which convolutions have a kernel, how they are compiled."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from native_data import DIRECT, NARROW, POOLINGS, RESPONSES, WINOGRAD
from rewrites_data import ops_of

from utils import backend, native, ops
from utils.backend.native import kernels
from utils.ops.kernels import Kernel

needs_compiler = pytest.mark.skipif(native.compiler() is None, reason='needs a C++ compiler')


def both_forms(rng, images, size, pad, stride, groups, channels, filters):
    """Convolution and gradients by the kernels in float32, and by NumPy in float64; the Ops of the first."""
    pad, stride, size = (v if isinstance(v, tuple) else (v, v) for v in (pad, stride, size))
    values = [rng.normal(size=(*images, channels)), rng.normal(size=(*size, channels // groups, filters))]

    def compute(dtype, mode):
        x, W = (pt.tensor(dtype=dtype, shape=v.shape) for v in values[:2])
        y = ops.Conv2d(pad, stride, groups)(x, W)
        if len(values) == 2:
            values.append(rng.normal(size=y.type.shape))
        g = pt.tensor(dtype=dtype, shape=y.type.shape)
        outputs = [y, *pytensor.grad(None, [x, W], known_grads={y: g})]
        f = pytensor.function([x, W, g], outputs, mode=mode)
        return f(*(v.astype(dtype) for v in values)), f.maker.fgraph.toposort()

    got, nodes = compute('float32', backend.MODE)
    return got, compute('float64', 'FAST_COMPILE')[0], nodes


@pytest.mark.cpu_form
@needs_compiler
@pytest.mark.parametrize('case', WINOGRAD + DIRECT + NARROW)
def test_kernels_agree_with_float64(rng, case):
    if case in NARROW and case[5] // case[4] > kernels('narrow').lanes():
        pytest.skip('these groups do not share a vector of this processor')
    got, expected, nodes = both_forms(rng, *case)
    used = [node.op for node in nodes if isinstance(node.op, Kernel)]
    assert len(used) == 3
    assert all(bool(op.tile) == (case in WINOGRAD) for op in used)
    for a, b in zip(got, expected):
        assert abs(np.asarray(a) - b).max() <= (2e-5 if case in WINOGRAD else 4e-6) * abs(b).max()


@pytest.mark.parametrize(
    'shape, filters, groups, dtype',
    [
        ((2, 12, 12, 16), (3, 3, 16, 24), 1, 'float32'),  # filters that do not fill vectors
        ((2, 12, 12, 12), (3, 3, 4, 12), 3, 'float32'),
        ((2, 12, 12, 64), (3, 3, 2, 128), 32, 'float32'),  # groups of more filters than channels
        ((2, 12, 12, 16), (3, 3, 16, 16), 1, 'float64'),
        ((None, 12, 12, 16), (3, 3, 16, 16), 1, 'float32'),
    ],
)
def test_other_convolutions_have_no_kernel(shape, filters, groups, dtype):
    x, W = pt.tensor(dtype=dtype, shape=shape), pt.tensor(dtype=dtype, shape=filters)
    f = pytensor.function([x, W], ops.Conv2d(1, 1, groups)(x, W), mode=backend.MODE)
    assert Kernel not in ops_of(f)


@pytest.mark.cpu_form
@needs_compiler
def test_of_few_pixels_only_the_images_have_one(rng):
    case = (1, 3, 3), 3, 1, 1, 1, 32, 64
    got, expected, nodes = both_forms(rng, *case)
    assert len([node for node in nodes if isinstance(node.op, Kernel)]) == 1
    for a, b in zip(got, expected):
        assert abs(np.asarray(a) - b).max() <= 4e-6 * abs(b).max()


def of_one_convolution(**options):
    x, W = pt.tensor(dtype='float32', shape=(2, 12, 12, 16)), pt.tensor(dtype='float32', shape=(3, 3, 16, 16))
    return ops_of(backend.function([x, W], ops.Conv2d(1)(x, W), **options))


@pytest.mark.cpu_form
@needs_compiler
def test_what_is_rounded_has_none():
    assert Kernel in of_one_convolution()
    assert Kernel not in of_one_convolution(precision='bf16')
    assert Kernel not in of_one_convolution(precision='tf32')


def test_without_kernels_xla_computes_the_same(rng, monkeypatch):
    monkeypatch.setattr('utils.backend.native.kernels', lambda library: None)
    for case in (WINOGRAD[0], DIRECT[1], NARROW[0]):
        got, expected, nodes = both_forms(rng, *case)
        assert not any(isinstance(node.op, Kernel) for node in nodes)
        for a, b in zip(got, expected):
            assert abs(np.asarray(a) - b).max() <= 2e-5 * abs(b).max()


RESULTS = """
import os, sys
if sys.argv[1:]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import hashlib, numpy as np
sys.path[:0] = ['tests', 'tests/backend']
from native_data import DIRECT, NARROW, WINOGRAD
from test_native import both_forms
for case in (WINOGRAD[2], DIRECT[0], *DIRECT[-7:], NARROW[1]):
    for v in both_forms(np.random.default_rng(1), *case)[0]:
        print(hashlib.sha256(np.asarray(v)).hexdigest())
"""


@pytest.mark.cpu_form
@needs_compiler
@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='needs sched_setaffinity')
def test_results_do_not_depend_on_the_number_of_threads():
    outcomes = [
        subprocess.run([sys.executable, '-c', RESULTS, *one], capture_output=True, text=True, check=True).stdout
        for one in ((), ('one',))
    ]
    assert len(outcomes[0].splitlines()) == 30
    assert outcomes[0] == outcomes[1]


# --------------------------------------------------------------------------------------------- how they are built


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Builds the kernels anew, in a folder of its own."""
    monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path))
    monkeypatch.setattr(native, '_started', {})

    def build(name='direct'):
        native.digest.cache_clear()
        return native.library.__wrapped__(name)

    yield build
    native.digest.cache_clear()


def a_compiler(folder, script):
    path = folder / 'cxx'
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize('script', ['exit 1', 'exit 0', 'for o; do out=$o; done; echo junk > "$out"'])
def test_a_compiler_that_fails_leaves_xla_to_do_it(built, tmp_path, monkeypatch, script):
    monkeypatch.setenv('CXX', a_compiler(tmp_path, script))
    assert built() is None
    assert not [path for path in (tmp_path / 'native').glob('*') if path.suffix != '.so']


def test_they_can_be_turned_off(built, monkeypatch):
    monkeypatch.setenv('SYMFER_NATIVE', '0')
    assert native.compiler() is None and built() is None


@needs_compiler
@pytest.mark.skipif(sys.platform != 'linux', reason='for Linux')
def test_they_are_compiled_once(built, tmp_path, monkeypatch):
    native.start()
    assert all(built(name) is not None for name in native.OF_MOST_NETWORKS)
    files = list((tmp_path / 'native').iterdir())
    assert len(files) == 2 and all(file.suffix == '.so' for file in files)
    monkeypatch.setattr(subprocess, 'Popen', None)
    native.start()
    assert built() is not None


@needs_compiler
@pytest.mark.skipif(sys.platform != 'linux', reason='for Linux')
def test_a_compiler_does_not_outlive_its_process(tmp_path):
    script = 'from utils import native; native.start(); print(*(p.pid for p in native._started.values()))'
    environment = {**os.environ, 'JAX_COMPILATION_CACHE_DIR': str(tmp_path)}
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True, env=environment)
    groups = set(done.stdout.split())
    assert len(groups) == 2
    for path in Path('/proc').glob('[0-9]*/stat'):
        with suppress(OSError):  # it has ended since
            state, _, group = path.read_text().rpartition(')')[2].split()[:3]
            assert group not in groups or state == 'Z'
    assert all(path.suffix == '.so' for path in (tmp_path / 'native').iterdir())


@needs_compiler
def test_what_killed_processes_have_left_is_removed(built, tmp_path):
    left = tmp_path / 'native' / 'direct-0.so.1'
    left.parent.mkdir()
    left.write_bytes(b'half')
    os.utime(left, (0, 0))
    assert built() is not None
    assert not left.exists()


def test_other_sources_are_another_library(monkeypatch, tmp_path):
    native.digest.cache_clear()
    names = {native.digest()}
    (tmp_path / 'winograd.cc').write_text('int x;')
    for change in ((native, 'SOURCES', tmp_path), (native, 'OPTIONS', ('-O0',))):
        monkeypatch.setattr(*change)
        native.digest.cache_clear()
        names.add(native.digest())
    native.digest.cache_clear()
    assert len(names) == 3


@pytest.mark.cpu_form
@needs_compiler
def test_a_tile_that_does_not_exist_is_an_error_of_xla_not_a_crash():
    import jax

    assert kernels('winograd3') is not None
    x, W = np.ones((1, 8, 8, 16), 'float32'), np.ones((3, 3, 16, 16), 'float32')
    types = [jax.ShapeDtypeStruct(shape, 'float32') for shape in ((1, 8, 8, 16), (1,))]
    with pytest.raises(Exception, match='tiles of 3 to 5 pixels'):
        jax.ffi.ffi_call('symfer_winograd3_images', types)(x, W, tile=np.int64(9), mirrored=np.int64(0))


OTHER_PROCESSOR = """
import sys, pytest
from utils import native
native.OPTIONS = tuple(sys.argv[1] if option == '-march=native' else option for option in native.OPTIONS)
files = ['tests/backend/test_native.py', 'tests/backend/test_native_layers.py']
sys.exit(pytest.main(['-q', '-n', '0', '-k', 'agree_with', *files]))
"""


@pytest.mark.slow
@pytest.mark.cpu_form
@pytest.mark.skipif(
    os.uname().machine != 'x86_64' or native.compiler() is None, reason='for x86-64 with a C++ compiler'
)
@pytest.mark.parametrize('architecture', ['x86-64', 'haswell'])  # vectors of 4 and of 8 numbers
def test_narrower_vectors_compute_the_same(architecture):
    command = [sys.executable, '-c', OTHER_PROCESSOR, f'-march={architecture}']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    counts = {word: int(n) for n, word in re.findall(r'(\d+) (passed|skipped)', done.stdout)}
    passed, skipped = counts['passed'], counts.get('skipped', 0)
    assert passed + skipped == len(WINOGRAD + DIRECT + NARROW + POOLINGS + RESPONSES)
    assert skipped <= 2  # groups of 4 and of 8 channels share no vector of 4 numbers


@pytest.mark.slow
@pytest.mark.cpu_form
@pytest.mark.skipif(shutil.which('clang++') is None, reason='needs clang++')
def test_clang_compiles_them_too():
    command = [sys.executable, '-c', OTHER_PROCESSOR, '-march=native']
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'CXX': 'clang++'})
    assert done.returncode == 0, done.stdout
