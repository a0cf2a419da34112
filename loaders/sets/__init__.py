"""Data sets as HDF5 files: their contents, how to build them and how to open them."""
