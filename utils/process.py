"""Settings of the whole process, made before JAX is imported. The launcher makes them; importing a package does not.

==================  ===========================================================================
`tune_malloc`       keep freed memory, so that big buffers are not mapped anew at every step
==================  ===========================================================================
"""
import ctypes
import os
import sys

# Parameters of mallopt in glibc's malloc.h. The kernel zeroes the pages of a new mapping one by one as they are
# touched; a training step that maps its buffers anew spends up to a quarter of its time in that.
_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD, _ARENA_MAX = -4, -1, -2, -8
SETTINGS = ((_MMAP_MAX, 0),                 # no mapping of its own for a big buffer
            (_TRIM_THRESHOLD, -1),          # nothing goes back to the system
            (_ARENA_MAX, 1),                # what one thread frees, another can use
            (_TOP_PAD, 256 << 20))          # bytes asked of the system at a time


def tune_malloc():
    """Let glibc's malloc keep the memory that is freed, for the next step to use.

    The process keeps its peak of memory until it ends. ``SYMFER_MALLOC=0`` in the environment leaves malloc as it
    is; so do systems without glibc.

    Returns
    -------
    bool
        Whether malloc took all settings.
    """
    if os.environ.get('SYMFER_MALLOC') == '0' or not sys.platform.startswith('linux'):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, 'gnu_get_libc_version'):       # musl has no mallopt
        return False
    return all([libc.mallopt(parameter, value) for parameter, value in SETTINGS])
