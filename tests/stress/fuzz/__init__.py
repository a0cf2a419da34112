"""Damaged and hostile files for every reader: `python -m tests.stress.fuzz [--files N] KIND...`.

Each file is a mutation of a good one: bits are flipped, bytes changed to special numbers, and pieces cut, repeated,
moved or taken from another file. To reach the code behind checksums, there are also mutations inside gzip, zip, PNG and
HDF5 with corrected checksums, and hostile HDF5 and pickle files made from scratch. A file may load or raise the
reader's own error. Anything else is recorded and the file kept: another exception, a crash of the process, more than 5
seconds of processor time, more than 1 GiB of memory, or anything written.

Kinds: csv, archive, folder, set, model.h5, model.pkl. With `coverage.csv` and `coverage.pkl`, atheris chooses the
mutations by the lines that they reach.
"""

import os

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')  # before NumPy is loaded
