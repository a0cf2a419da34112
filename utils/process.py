"""Settings of the whole process, made by the launcher before JAX is imported, and not by importing a package.

==================  ===========================================================================
`tune_malloc`       keeps freed memory, so that large buffers are not mapped again at every step
`give_back`         returns free memory to the system
`keep_compiled`     caches compiled functions on disk
==================  ===========================================================================
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import zlib
from pathlib import Path

# Parameters of mallopt in glibc's malloc.h. The kernel zeroes every page of a new mapping when it is first touched. A
# training step that maps its buffers again would spend up to a quarter of its time on this.
_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD, _ARENA_MAX = -4, -1, -2, -8
SETTINGS = (
    (_MMAP_MAX, 0),  # no separate mappings for large buffers
    (_TRIM_THRESHOLD, -1),  # no memory is returned to the system
    # Two arenas, so that memory freed by one thread can be used by another. With a single arena, the threads of a
    # compilation wait for each other (20 s instead of 12), and small buffers fragment the memory of large ones, which
    # is then requested again (1.3 to 1.8 GiB instead of 1.1). With more than two, arenas are emptied and refilled at
    # each step.
    (_ARENA_MAX, 2),
    (_TOP_PAD, 64 << 20),  # bytes requested from the system at a time
)
_tuned = False  # whether `tune_malloc` was called


def tune_malloc() -> bool:
    """Make glibc's malloc keep freed memory for the next step.

    The process then keeps the memory that its training steps have needed until it ends. ``SYMFER_MALLOC=0`` in the
    environment leaves malloc unchanged, and so does a system without glibc.

    Returns
    -------
    bool
        Whether malloc accepted all settings.
    """
    if os.environ.get('SYMFER_MALLOC') == '0' or not sys.platform.startswith('linux'):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, 'gnu_get_libc_version'):  # musl has no mallopt
        return False
    global _tuned
    _tuned = True
    return all([libc.mallopt(parameter, value) for parameter, value in SETTINGS])


def give_back() -> None:
    """Return free memory to the system if `tune_malloc` makes malloc keep it; called after compilations."""
    if _tuned:
        ctypes.CDLL(None).malloc_trim(0)


def keep_compiled() -> Path | None:
    """Make JAX cache compiled functions in the user's cache folder, ``$XDG_CACHE_HOME/symfer`` or ``~/.cache/symfer``.

    Compiled code is specific to a kind of processor, so each kind has its own folder. JAX distinguishes versions.
    ``SYMFER_CACHE=0`` in the environment turns the cache off, and ``JAX_COMPILATION_CACHE_DIR`` names another folder.
    If the folder cannot be written, nothing is cached.

    Returns
    -------
    Path or None
        Cache folder; None without a cache.
    """
    folder = cache_folder()
    if folder and 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
        os.environ['JAX_COMPILATION_CACHE_DIR'] = str(folder)
        os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '1')
    return folder


def cache_folder() -> Path | None:
    """Return the folder of `keep_compiled` without setting anything; None without a cache."""
    if os.environ.get('SYMFER_CACHE') == '0':
        return None
    if 'JAX_COMPILATION_CACHE_DIR' in os.environ:
        return Path(os.environ['JAX_COMPILATION_CACHE_DIR'])
    try:
        home = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
        folder = home / 'symfer' / f'{zlib.crc32(processor().encode()):08x}'
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home folder, or a read-only one
        return None
    return folder if os.access(folder, os.W_OK) else None


def processor() -> str:
    """Describe the kind of processor: architecture and, on Linux, model and instruction sets."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    first = {line for line in lines if line.startswith(('model name', 'flags', 'Features'))}
    return '\n'.join([platform.machine(), platform.processor(), *sorted(first)])
