"""Kill processes at random moments and check their files: `python -m tests.stress.faults [--kills N]`.

Repeatedly builds data sets and trains a tiny network through all stages, and ends the process each time: by kill -9, by
SIGTERM, or by Ctrl-C twice; at a random moment, after a random number of epochs, or just while a file is being written.
Afterwards every file must be intact: data sets are identical to the old or the new ones, the model loads and has lost
no saved epoch, and the table of experiments can be read. The work is then resumed, and its final result must be
bit-identical to that of an undisturbed process.
"""

import os
import tempfile

os.environ |= {'JAX_PLATFORMS': 'cpu', 'OPENBLAS_NUM_THREADS': '1', 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
CACHE = tempfile.TemporaryDirectory(prefix='symfer-faults-')
os.environ['JAX_COMPILATION_CACHE_DIR'] = CACHE.name  # all processes compile the same few functions
