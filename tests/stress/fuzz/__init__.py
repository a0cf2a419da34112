"""Damaged and hostile files for every reader: `python -m tests.stress.fuzz [--files N] KIND...`.

Each file is a mutation of a good one: bits flipped, bytes changed to telling numbers, pieces cut, doubled, moved or
taken from another file; and, so that what lies behind checksums is reached as well, mutations inside gzip, zip, PNG and
HDF5 after which the checksums are made right again, and hostile HDF5 and pickle files made from scratch. A file may
load, or end in the reader's own error. Anything else is written down and kept: another exception, a crash of the
process, more than 5 seconds of the processor, more than 1 GiB, anything written.

Kinds: csv, archive, folder, set, model.h5, model.pkl. `coverage.csv` and `coverage.pkl` let atheris choose the
mutations by the lines that they reach.
"""

import os

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')  # before NumPy is loaded
