"""Model files: parameters by name with everything needed to go on.

A model is a flat dict from path to array or text: ``parameters/conv1.W``, ``optimiser/velocity.conv1.W``,
``counter``, ``kept/...`` (the arrays of the kept epoch), ``trained/...`` (those at the end of stage train),
``config`` and ``progress`` (JSON). It is written as HDF5 (``.h5``), or as a pickle of NumPy arrays and built-in
containers (``.pkl``). Reading never runs code from a file, whatever is in it.
"""
import io
import json
import os
import pickle
import tempfile
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

FORMAT, VERSION = 'symfer model', 1
SUFFIXES = ('.h5', '.hdf5', '.pkl')


class ModelError(ValueError):
    """A model file that is not what it should be."""


def check_target(path):
    """Check, before any work is done, that a model can be written to `path`; makes its folder.

    Raises
    ------
    ValueError
        Another ending than .h5, .hdf5 or .pkl, or `path` is a folder.
    OSError
        The folder cannot be made or written.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"savename must end in {', '.join(SUFFIXES)}, got '{path}'")
    if path.is_dir():
        raise ValueError(f"savename must be a file, and '{path}' is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(f"savename: the folder '{path.parent}' cannot be written ({error.strerror or error}); "
                      'choose another') from error
    return path


@contextmanager
def replacing(path):
    """A temporary file beside `path`, which takes its place when the block ends well; else nothing changes."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.part')
    os.close(handle)
    try:
        yield Path(temporary)
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)      # mkstemp's own permission is the owner's alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def save(path, state, config):
    """Write a model file; an existing one is replaced at once or stays as it was.

    Parameters
    ----------
    path : path ending in .h5, .hdf5 or .pkl
    state : dict
        From `utils.methodology.Trainer.state`.
    config : dict
        Made of what JSON knows.
    """
    flat = dict(state['arrays'])
    for group in ('kept', 'trained'):
        if state[group] is not None:
            flat |= {f'{group}/{name}': value for name, value in state[group].items()}
    flat['config'] = json.dumps(config)
    flat['progress'] = json.dumps({k: state[k] for k in ('stage', 'epoch', 'history')})
    with replacing(path) as temporary:
        if Path(path).suffix == '.pkl':
            with open(temporary, 'wb') as file:
                pickle.dump({'format': FORMAT, 'version': VERSION, **flat}, file, protocol=4)
            return
        with h5py.File(temporary, 'w') as file:
            file.attrs['format'], file.attrs['version'] = FORMAT, VERSION
            for name, value in flat.items():
                file.create_dataset(name, data=value, track_times=False)


class _Unpickler(pickle.Unpickler):
    """Admits NumPy arrays and built-in containers, nothing that could run."""
    ADMITTED = {(module, name) for module, names in {
        'numpy': ('ndarray', 'dtype'),
        'numpy.core.multiarray': ('_reconstruct', 'scalar'),
        'numpy._core.multiarray': ('_reconstruct', 'scalar'),
    }.items() for name in names}

    def find_class(self, module, name):
        if (module, name) in self.ADMITTED:
            return super().find_class(module.replace('numpy.core', 'numpy._core'), name)
        raise ModelError(f"it holds an object '{module}.{name}', which is neither a NumPy array nor a built-in "
                         'container; it is not loaded, for unpickling it could run code')


def _read_hdf5(path):
    flat = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            if item.shape == () and h5py.check_string_dtype(item.dtype):
                flat[name] = item.asstr()[()]
            elif item.dtype.kind in 'fiu':
                flat[name] = item[()]
            else:
                raise ModelError(f"dataset '{name}' has type {item.dtype}, numbers expected")

    with h5py.File(path, 'r') as file:
        if file.attrs.get('format') != FORMAT:
            raise ModelError(f"it is an HDF5 file, but not a {FORMAT}")
        flat['version'] = int(file.attrs['version'])
        file.visititems(visit)
    return flat


def _read_pickle(path):
    with open(path, 'rb') as file:
        flat = _Unpickler(io.BytesIO(file.read())).load()
    if not isinstance(flat, dict) or flat.pop('format', None) != FORMAT:
        raise ModelError(f'it is a pickle, but not a {FORMAT}')
    return flat


def load(path):
    """Read a model file.

    Returns
    -------
    state, config : dict
        As they were given to `save`.

    Raises
    ------
    ModelError
        Not a model, damaged, of a later version, or with objects that are not arrays.
    FileNotFoundError
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file '{path}'")
    try:
        flat = _read_pickle(path) if path.suffix == '.pkl' else _read_hdf5(path)
        version = flat.pop('version')
        if version != VERSION:
            raise ModelError(f'it is of version {version}, this symfer reads version {VERSION}')
        config, progress = json.loads(flat.pop('config')), json.loads(flat.pop('progress'))
        state = {'arrays': {}, 'kept': {}, 'trained': {}, **{k: progress[k] for k in ('stage', 'epoch', 'history')}}
        for name, value in flat.items():
            if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in 'fiu':
                raise ModelError(f"'{name}' is not an array of numbers")
            group, _, rest = name.partition('/')
            target = state[group] if group in ('kept', 'trained') else state['arrays']
            target[rest if group in ('kept', 'trained') else name] = np.asarray(value)
    except ModelError as error:
        raise ModelError(f"'{path}' cannot be loaded: {error}") from None
    except Exception as error:       # h5py, pickle and json each have their own words for a damaged file
        raise ModelError(f"'{path}' cannot be loaded: it is damaged or not a {FORMAT} "
                         f'({type(error).__name__}: {error})') from error
    for group in ('kept', 'trained'):
        state[group] = state[group] or None
    return state, config


def make_way(path):
    """Rename an existing file to the next free ``name.1.h5``, ``name.2.h5``, ... so that it is not lost.

    Returns
    -------
    Path or None
        Its new name, if there was one.
    """
    path = Path(path)
    if not path.exists():
        return None
    number = 1
    while (other := path.with_suffix(f'.{number}{path.suffix}')).exists():
        number += 1
    os.rename(path, other)
    return other
