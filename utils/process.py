"""Settings of the whole process, made before JAX is imported. The launcher makes them; importing a package does not.

==================  ===========================================================================
`tune_malloc`       keep freed memory, so that big buffers are not mapped anew at every step
`give_back`         what is free of it, to the system
`keep_compiled`     keep compiled functions on disk, so that they are compiled once
==================  ===========================================================================
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import zlib
from pathlib import Path

# Parameters of mallopt in glibc's malloc.h. The kernel zeroes the pages of a new mapping one by one as they are
# touched; a training step that maps its buffers anew spends up to a quarter of its time in that.
_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD, _ARENA_MAX = -4, -1, -2, -8
SETTINGS = (
    (_MMAP_MAX, 0),  # no mapping of its own for a big buffer
    (_TRIM_THRESHOLD, -1),  # nothing goes back to the system
    # What one thread frees, another can use. With a single arena a compilation's threads wait for each other
    # (20 s in place of 12), and small buffers break up the memory of big ones, which is then asked for anew
    # (1.3 to 1.8 GiB in place of 1.1); with more than two, arenas are emptied and filled at each step.
    (_ARENA_MAX, 2),
    (_TOP_PAD, 64 << 20),
)  # bytes asked of the system at a time
_tuned = False  # whether `tune_malloc` has been at work


def tune_malloc() -> bool:
    """Let glibc's malloc keep the memory that is freed, for the next step to use.

    The process keeps what training steps have needed until it ends. ``SYMFER_MALLOC=0`` in the environment leaves
    malloc as it is; so do systems without glibc.

    Returns
    -------
    bool
        Whether malloc took all settings.
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
    """Give memory that is free back to the system, if `tune_malloc` made malloc keep it: after compilations."""
    if _tuned:
        ctypes.CDLL(None).malloc_trim(0)


def keep_compiled() -> Path | None:
    """Let JAX keep compiled functions in the user's cache folder, ``$XDG_CACHE_HOME/symfer`` or ``~/.cache/symfer``.

    Compiled code is for one kind of processor, so each kind has a folder of its own; JAX distinguishes versions.
    ``SYMFER_CACHE=0`` in the environment turns it off, ``JAX_COMPILATION_CACHE_DIR`` names another folder. Where the
    folder cannot be written nothing is kept.

    Returns
    -------
    Path or None
        The folder.
    """
    folder = cache_folder()
    if folder and 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
        os.environ['JAX_COMPILATION_CACHE_DIR'] = str(folder)
        os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '1')
    return folder


def cache_folder() -> Path | None:
    """The folder of `keep_compiled`, without setting anything; None where nothing is kept."""
    if os.environ.get('SYMFER_CACHE') == '0':
        return None
    if 'JAX_COMPILATION_CACHE_DIR' in os.environ:
        return Path(os.environ['JAX_COMPILATION_CACHE_DIR'])
    try:
        home = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
        folder = home / 'symfer' / f'{zlib.crc32(processor().encode()):08x}'
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, or none that can be written
        return None
    return folder if os.access(folder, os.W_OK) else None


def processor() -> str:
    """What tells processors apart: architecture and, on Linux, model and instruction sets."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    first = {line for line in lines if line.startswith(('model name', 'flags', 'Features'))}
    return '\n'.join([platform.machine(), platform.processor(), *sorted(first)])
