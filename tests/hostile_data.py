"""A good model file, for tests that damage it."""

import pickle

import h5py
import numpy as np

from utils.files.pickles import read_pickle


def change(path, name, value):
    """Change the value of an entry and leave everything else unchanged."""
    if path.suffix == '.pkl':
        flat = read_pickle(path)
        if value is None:
            del flat[name]
        else:
            flat[name] = value
        path.write_bytes(pickle.dumps(flat, 4))
        return
    with h5py.File(path, 'r+') as file:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = (
                value
                if not isinstance(value, str)
                else np.array(value.encode(), h5py.string_dtype('utf-8', len(value)))
            )
