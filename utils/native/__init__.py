"""Kernels in C++ for convolutions on a CPU, compiled at the first use if there is a compiler.

==================  ===========================================================================
`start`             start the compiler in the background
`library`           the compiled kernels; compiles them if necessary
==================  ===========================================================================

Without a compiler, or with ``SYMFER_NATIVE=0`` in the environment, XLA computes the same convolutions, more slowly.
This package does not import JAX; `utils.backend.native` registers the kernels with it.

========================  ==========================================================================
simd.h                    vectors of the processor; products of matrices
parallel.h                work in blocks on XLA's threads; memory of a thread
coefficients.h            matrices of Winograd's filtering
winograd.h                'same' convolutions of 3x3 and 5x5 and their gradients
geometry.h                which pixels of the images meet which places of the filters
direct.h                  convolutions with any filters, strides and groups
narrow.h                  convolutions with groups of one to eight channels, which share a vector
handlers.cc               the functions that XLA calls, by its foreign function interface
========================  ==========================================================================
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
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
    out.update(repr((compiler(), OPTIONS)).encode())
    return out.hexdigest()[:32]


def _path() -> Path | None:
    """Return the path of the compiled kernels, which need not exist; None without a cache."""
    folder = process.cache_folder()
    return folder / 'native' / f'{digest()}.so' if folder else None


def _command(to: Path) -> list[str] | None:
    cxx, headers = compiler(), _headers()
    return [cxx, *OPTIONS, f'-I{headers}', str(SOURCES / 'handlers.cc'), '-o', str(to)] if cxx and headers else None


def _begin(path: Path) -> subprocess.Popen[bytes] | None:
    """Start the compiler, which writes to a file beside `path`."""
    command = _command(path.with_name(f'{path.name}.{os.getpid()}'))
    if command is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        return None


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
        running.kill()
        running.communicate()
    except OSError:
        pass
    with suppress(OSError):
        written.unlink()
    return False


def start() -> None:
    """Start to compile the kernels in the background, unless they are there already."""
    path = _path()
    if path and compiler() and path not in _started and not path.exists():
        running = _begin(path)
        if running:
            _started[path] = running


def _loaded(path):
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


@lru_cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels; None without a compiler, or if it fails."""
    if not compiler():
        return None
    path = _path()
    if path:
        if path.exists() or _finish(path, _started.pop(path, None) or _begin(path)):
            return _loaded(path)
        return None
    with tempfile.TemporaryDirectory() as folder:  # a loaded library does not need its file
        path = Path(folder) / 'native.so'
        return _loaded(path) if _finish(path, _begin(path)) else None
