"""Kernels in C++ for a CPU, compiled at the first use if there is a compiler.

==================  ===========================================================================
`start`             start to compile the kernels of most networks in the background
`library`           some compiled kernels; compiles them if necessary
==================  ===========================================================================

Without a compiler, or with ``SYMFER_NATIVE=0`` in the environment, XLA computes the same, more slowly.
This package does not import JAX; `utils.backend.native` registers the kernels with it.

========================  ==========================================================================
winograd.cc, .h           'same' convolutions of 3x3 and 5x5 and their gradients
direct.cc, .h             convolutions with any filters, strides and groups; products
filter_gradient.h         their gradients by the filters
narrow.cc, .h             convolutions with groups of one to eight channels, which share a vector
product.h                 products of matrices of which the second is large
convolution.h             the functions of the latter two that XLA calls
pooling.cc                maximum over windows that overlap, and its gradient
response.cc               local response normalisation and its gradient
handlers.h                what XLA hands to them, by its foreign function interface
geometry.h                which pixels of the images meet which places of the filters
coefficients.h            matrices of Winograd's filtering
parallel.h                work in blocks on XLA's threads; memory of a thread
simd.h                    vectors of the processor; products of matrices
========================  ==========================================================================
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from utils import process

SOURCES = Path(__file__).resolve().parent
OPTIONS = (
    '-std=c++17',
    '-O3',
    '-march=native',
    # These change no result: no errno, no floating-point traps, and 0 + x is x.
    '-fno-math-errno',
    '-fno-trapping-math',
    '-fno-signed-zeros',
    '-shared',
    '-fPIC',
)
# Each library by itself, so that they are compiled side by side, and only if they are used.
LIBRARIES = {
    'winograd3': ('winograd.cc', '-DSYMFER_FILTER=3'),
    'winograd5': ('winograd.cc', '-DSYMFER_FILTER=5'),
    'direct': ('direct.cc',),
    'narrow': ('narrow.cc',),
    'pooling': ('pooling.cc',),
    'response': ('response.cc',),
}
OF_MOST_NETWORKS = 'winograd3', 'direct'
MOST_SECONDS = 120  # time limit of the compiler
_started: dict[Path, subprocess.Popen[bytes]] = {}


def compiler() -> str | None:
    """Return the C++ compiler: the environment variable CXX, g++ or clang++; None if there is none.

    It is also None with ``SYMFER_NATIVE=0`` and on systems other than Linux.
    """
    if os.environ.get('SYMFER_NATIVE') == '0' or not sys.platform.startswith('linux'):
        return None
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get('CXX'), 'g++', 'clang++')))), None)


def _headers() -> Path | None:
    """Return the folder of XLA's headers, which jaxlib contains."""
    spec = importlib.util.find_spec('jaxlib')
    folders = [Path(place) / 'include' for place in (spec.submodule_search_locations or ()) if spec] if spec else []
    return next((folder for folder in folders if (folder / 'xla/ffi/api/c_api.h').is_file()), None)


@lru_cache
def digest() -> str:
    """Return a digest of everything that the compiled kernels depend on."""
    out = hashlib.sha256(process.processor().encode())
    for path in sorted(SOURCES.glob('*.[hc]*')):
        out.update(path.read_bytes())
    headers = _headers()
    out.update((headers / 'xla/ffi/api/c_api.h').read_bytes() if headers else b'')
    out.update(repr((compiler(), OPTIONS, LIBRARIES)).encode())
    return out.hexdigest()[:32]


def _path(name: str) -> Path | None:
    """Return the path of a compiled library, which need not exist; None without a cache."""
    folder = process.cache_folder()
    return folder / 'native' / f'{name}-{digest()}.so' if folder else None


def _command(name: str, to: Path) -> list[str] | None:
    cxx, headers = compiler(), _headers()
    source, *defined = LIBRARIES[name]
    return [cxx, *OPTIONS, *defined, f'-I{headers}', str(SOURCES / source), '-o', str(to)] if cxx and headers else None


def _begin(name: str, path: Path) -> subprocess.Popen[bytes] | None:
    """Start the compiler, which writes to a file beside `path`."""
    command = _command(name, path.with_name(f'{path.name}.{os.getpid()}'))
    if command is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for other in path.parent.glob('*.so.*'):  # of processes that were killed
            if time.time() - other.stat().st_mtime > 2 * MOST_SECONDS:
                other.unlink(missing_ok=True)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, with the processes that it starts
        )
    except OSError:
        return None


def _kill(running: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        os.killpg(running.pid, signal.SIGTERM)  # which lets it remove its temporary files


def _finish(path: Path, running: subprocess.Popen[bytes] | None) -> bool:
    """Wait for the compiler; tell whether the kernels are at `path`."""
    if running is None:
        return False
    written = path.with_name(f'{path.name}.{os.getpid()}')
    try:
        said, _ = running.communicate(timeout=MOST_SECONDS)
        if running.returncode == 0:
            os.replace(written, path)
            return True
        logging.getLogger(__name__).debug('C++ kernels: %s', said.decode(errors='replace'))
    except subprocess.TimeoutExpired:
        _kill(running)
        running.communicate()
    except OSError:
        pass
    with suppress(OSError):
        written.unlink()
    return False


def start() -> None:
    """Start to compile the kernels of most networks in the background, unless they are there already."""
    for name in OF_MOST_NETWORKS if compiler() else ():
        path = _path(name)
        if path and path not in _started and not path.exists():
            running = _begin(name, path)
            if running:
                _started[path] = running


@atexit.register
def _stop() -> None:
    """Stop compilers whose results nobody has asked for."""
    for running in _started.values():
        _kill(running)
    while _started:
        _finish(*_started.popitem())


def _loaded(path):
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


@lru_cache
def library(name: str) -> ctypes.CDLL | None:
    """Return the compiled kernels of a library; None without a compiler, or if it fails.

    Parameters
    ----------
    name : {'winograd3', 'winograd5', 'direct', 'narrow', 'pooling', 'response'}
        Winograd's filtering for filters of 3x3 or 5x5; other convolutions; those of groups that share a vector; maxima
        over windows that overlap; local response normalisation.
    """
    if not compiler():
        return None
    path = _path(name)
    if path:
        if path.exists() or _finish(path, _started.pop(path, None) or _begin(name, path)):
            return _loaded(path)
        return None
    with tempfile.TemporaryDirectory() as folder:  # a loaded library does not need its file
        path = Path(folder) / 'native.so'
        return _loaded(path) if _finish(path, _begin(name, path)) else None
