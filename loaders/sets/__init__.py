"""Data sets as HDF5 files: what they consist of, how they are made and opened."""
