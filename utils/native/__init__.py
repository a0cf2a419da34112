"""C++ kernels for convolutions on a CPU: compiled once for the processor that is there, if there is a compiler.

==================  ===========================================================================
`start`             begin to compile them, in a process of its own
`library`           the compiled kernels; compiles them if need be
==================  ===========================================================================

Without a compiler, or with ``SYMFER_NATIVE=0`` in the environment, graphs compute the same without them, more slowly.
This package does not import JAX; `utils.backend.native` hands the kernels to it.

========================  ==========================================================================
simd.h                    vectors of the processor; products of matrices
parallel.h                work in blocks on XLA's threads; memory of a thread
coefficients.h            matrices of Winograd's filtering
winograd.h                3x3 'same' convolutions and their gradients
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
    # Nothing that changes a result: no errno, no floating-point traps, and 0 + x is x.
    '-fno-math-errno',
    '-fno-trapping-math',
    '-fno-signed-zeros',
    '-shared',
    '-fPIC',
)
MOST_SECONDS = 120  # that a compiler may take
_started: dict[Path, subprocess.Popen[bytes]] = {}


def compiler() -> str | None:
    """The C++ compiler: that of the environment variable CXX, or g++ or clang++; None where there is none.

    None too where the kernels are not wanted, or not made for: they are for Linux.
    """
    if os.environ.get('SYMFER_NATIVE') == '0' or not sys.platform.startswith('linux'):
        return None
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get('CXX'), 'g++', 'clang++')))), None)


def _headers() -> Path | None:
    """The folder of XLA's headers, which come with jaxlib."""
    spec = importlib.util.find_spec('jaxlib')
    folders = [Path(place) / 'include' for place in (spec.submodule_search_locations or ()) if spec] if spec else []
    return next((folder for folder in folders if (folder / 'xla/ffi/api/c_api.h').is_file()), None)


@lru_cache
def digest() -> str:
    """What the compiled kernels depend on, as a name."""
    out = hashlib.sha256(process.processor().encode())
    for path in sorted(SOURCES.glob('*.[hc]*')):
        out.update(path.read_bytes())
    headers = _headers()
    out.update((headers / 'xla/ffi/api/c_api.h').read_bytes() if headers else b'')
    out.update(repr((compiler(), OPTIONS)).encode())
    return out.hexdigest()[:32]


def _path() -> Path | None:
    """Where the compiled kernels lie or will lie; None where nothing is kept."""
    folder = process.cache_folder()
    return folder / 'native' / f'{digest()}.so' if folder else None


def _command(to: Path) -> list[str] | None:
    cxx, headers = compiler(), _headers()
    return [cxx, *OPTIONS, f'-I{headers}', str(SOURCES / 'handlers.cc'), '-o', str(to)] if cxx and headers else None


def _begin(path: Path) -> subprocess.Popen[bytes] | None:
    """Start the compiler, which writes beside `path`."""
    command = _command(path.with_name(f'{path.name}.{os.getpid()}'))
    if command is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError:
        return None


def _finish(path: Path, running: subprocess.Popen[bytes] | None) -> bool:
    """Wait for the compiler; whether the kernels lie at `path` then."""
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
    """Begin to compile the kernels, if they are not there, while the process does something else."""
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
    """The compiled kernels; None where there is no compiler, or where it failed."""
    if not compiler():
        return None
    path = _path()
    if path:
        if path.exists() or _finish(path, _started.pop(path, None) or _begin(path)):
            return _loaded(path)
        return None
    with tempfile.TemporaryDirectory() as folder:  # a loaded library needs its file no more
        path = Path(folder) / 'native.so'
        return _loaded(path) if _finish(path, _begin(path)) else None
