"""Processes killed at random moments, and what is left of their work: `python -m tests.stress.faults [--kills N]`.

Makes data sets and trains a tiny network through all stages, again and again, and ends the process each time: by
kill -9, by SIGTERM, or by Ctrl-C twice; at a random moment, after a random number of epochs, or just when a file is
being written. After each, every file must be whole: data sets are to the byte the old or the new ones, the model loads
and has lost no epoch that it had, the table of experiments can be read. Then the work goes on, and in the end it must
have come to what an undisturbed process came to, to the bit.
"""

import os
import tempfile

os.environ |= {'JAX_PLATFORMS': 'cpu', 'OPENBLAS_NUM_THREADS': '1', 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
CACHE = tempfile.TemporaryDirectory(prefix='symfer-faults-')
os.environ['JAX_COMPILATION_CACHE_DIR'] = CACHE.name  # all processes compile the same few functions
