"""Model files: parameters by name, with everything needed to resume training.

A model is a flat dict from path to array or string: ``parameters/conv1.W``, ``optimiser/velocity.conv1.W``,
``counter``, ``kept/...`` (the arrays of the best epoch), ``trained/...`` (those at the end of stage train),
``pretrained/...`` (those at the end of stage pretrain, and its decoders), and ``config``, ``progress`` and
``checksums`` in JSON (``checksums`` has the SHA-256 of every other entry). It is written as HDF5 (``.h5``) or as a
pickle of NumPy arrays and strings (``.pkl``). Reading never runs code from a file, see `utils.files.hdf5` and
`utils.files.pickles`.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from utils.files.atomic import atomic_write
from utils.files.checksums import ModelError, checksums
from utils.files.extras import MissingExtra
from utils.files.hdf5 import format_of, read_hdf5
from utils.files.pickles import read_pickle
from utils.files.safetensors_ import read_safetensors, write_safetensors

if TYPE_CHECKING:
    from utils.annotations import StrPath


FORMAT, VERSION = 'symfer model', 2
GROUPS = ('kept', 'trained', 'pretrained')  # groups of a state, besides the current arrays
CHECKSUMMED = ('v108', 'v108')  # HDF5 1.8, the first version with checksums of its metadata

SUFFIXES = ('.h5', '.hdf5', '.pkl')
LONGEST_NAME = 230  # bytes; file systems allow 255, and files with longer names are written beside it


def check_target(path: StrPath) -> Path:
    """Check, before any work is done, that a model can be written to `path`, and create its folder.

    Raises
    ------
    ValueError
        The name is not valid, see `check_name`, or `path` is a folder.
    OSError
        The folder cannot be created or written.
    """
    path = check_name(path)
    if path.is_dir():
        raise ValueError(f"savename must be a file, but '{path}' is a folder")
    folder = Path(os.path.realpath(path)).parent  # for a link, the folder of its target
    for one in dict.fromkeys((path.parent, folder)):
        try:
            one.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=one):
                pass
        except OSError as error:
            raise OSError(
                f"savename: the folder '{one}' cannot be written ({error.strerror or error}); choose another"
            ) from error
    return path


def check_name(path: StrPath) -> Path:
    """Check the path of a model and return it.

    Raises
    ------
    ValueError
        The name is empty, too long for the files written beside the model, has an ending other than .h5, .hdf5 or
        .pkl, or characters that are not printable.
    """
    path = Path(path)
    if not str(path).isprintable():
        raise ValueError(f'savename must be a path of printable characters, got {str(path)!r}')
    if path.name in SUFFIXES:
        raise ValueError(f"savename must have a name before its ending, got '{path}'")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"savename must end in {', '.join(SUFFIXES)}, got '{path}'")
    for name in (path.name, Path(os.path.realpath(path)).name):
        if len(os.fsencode(name)) > LONGEST_NAME:
            raise ValueError(
                f'savename must have a file name of at most {LONGEST_NAME} bytes, got one of '
                f"{len(os.fsencode(name))}: '{name[:40]}...'"
            )
    return path


def save(path: Path, state: dict[str, Any], config: dict[str, Any]) -> None:
    """Write a model file; an existing one is replaced atomically.

    Parameters
    ----------
    path : path
        File to write, ending in .h5, .hdf5 or .pkl.
    state : dict
        State, as returned by `utils.training.trainer.Trainer.state`.
    config : dict
        Configuration, which can be written as JSON.
    """
    content = encode(state, config, Path(path).suffix)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def encode(state: dict[str, Any], config: dict[str, Any], suffix: str = '.h5') -> memoryview | bytes:
    """Return the contents of a model file, with the state and configuration of `save`, for the ending of its name."""
    flat = dict(state['arrays'])
    for group in GROUPS:
        if state.get(group) is not None:
            flat |= {f'{group}/{name}': value for name, value in state[group].items()}
    flat['config'] = json.dumps(config)
    flat['progress'] = json.dumps({k: state[k] for k in ('stage', 'epoch', 'history')})
    flat['checksums'] = json.dumps(checksums(flat))
    if suffix == '.pkl':
        return pickle.dumps({'format': FORMAT, 'version': VERSION, **flat}, protocol=4)
    return write_safetensors(flat, FORMAT, VERSION) if suffix == '.safetensors' else _hdf5(flat)


def _hdf5(flat):
    """Return the bytes of an HDF5 file, made in memory because the library crashes the process if the disk is full."""
    file = io.BytesIO()
    with h5py.File(file, 'w', libver=CHECKSUMMED) as target:
        target.attrs['format'], target.attrs['version'] = np.bytes_(FORMAT), VERSION
        for name, value in flat.items():
            if isinstance(value, str):  # of fixed length: HDF5 has no checksum of strings of variable length
                value = np.array(value.encode(), h5py.string_dtype('utf-8', len(value.encode())))
            target.create_dataset(name, data=value, track_times=False)
    return file.getbuffer()


def load(path: StrPath) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a model file without running any code from it.

    Returns
    -------
    state, config : dict
        State and configuration, as given to `save`.

    Raises
    ------
    ModelError
        The file is not a model, is damaged, has another version, or contains anything but strings and arrays of
        numbers.
    FileNotFoundError
        The file does not exist, or is a folder.
    ValueError
        `path` is not a path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f'a model must be given as the path of its file, got {path!r:.100}')
    path = Path(path)
    if path.is_dir():
        raise FileNotFoundError(f"'{path}' is a folder: give the model file beside it, which ends in .h5 or .pkl")
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file '{path}'")
    try:
        flat = _entries(path)
        config, progress = json.loads(flat.pop('config')), json.loads(flat.pop('progress'))
        if not isinstance(config, dict):
            raise ModelError('its configuration is not a table of arguments')
        state = {'arrays': {}, **{group: {} for group in GROUPS}, **_checked_progress(progress)}
        for name, value in flat.items():
            if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in 'fiu':
                raise ModelError(f'{name!r} is not an array of numbers')
            group, _, rest = name.partition('/')
            target = state[group] if group in GROUPS else state['arrays']
            target[rest if group in GROUPS else name] = np.asarray(value)
    except ModelError as error:
        raise ModelError(f"'{path}' cannot be loaded: {error}") from None
    except (MemoryError, MissingExtra):
        raise
    except Exception as error:  # h5py, pickletools and json each raise different errors for a damaged file
        raise ModelError(
            f"'{path}' cannot be loaded: it is damaged or not a {FORMAT} ({type(error).__name__}: {error})"
        ) from error
    for group in GROUPS:
        state[group] = state[group] or None
    return state, config


def is_model(path: StrPath) -> bool:
    """Return whether a path is a folder or a model file; False for a set and for a file that cannot be read."""
    path = Path(path)
    if path.is_dir() or path.suffix in ('.pkl', '.safetensors'):
        return True
    try:
        return format_of(path) == FORMAT
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):  # ModelError among them
        return False


def check_values(path: StrPath, state: dict[str, Any]) -> None:
    """Check that the arrays of a model file have valid values.

    Training saves only finite values, so others are the result of damage or manipulation.

    Raises
    ------
    ModelError
        An array has infinite or NaN values, or a batch norm (`var` beside `mean`) has negative variances. The message
        names the array.
    """
    for group in ('arrays', *GROUPS):
        arrays, prefix = state.get(group) or {}, '' if group == 'arrays' else f'{group}/'
        for name, value in arrays.items():
            stem, _, last = name.rpartition('.')
            if not np.isfinite(value).all():
                raise ModelError(f"'{path}' cannot be loaded: {prefix}{name} has values that are infinite or NaN")
            if last == 'var' and name.startswith('parameters/') and f'{stem}.mean' in arrays and (value < 0).any():
                raise ModelError(f"'{path}' cannot be loaded: {prefix}{name} has variances below 0")


def _entries(path):
    """Read the strings and arrays of a model file by name, and verify their checksums."""
    if path.suffix in ('.pkl', '.safetensors'):
        flat = read_pickle(path) if path.suffix == '.pkl' else read_safetensors(path)
        if flat.pop('format', None) != FORMAT:
            raise ModelError(f'it is a file of type {path.suffix[1:]}, but not a {FORMAT}')
        version = flat.pop('version')
    else:
        attributes, flat = read_hdf5(path)
        version = attributes.get('version')
        if attributes.get('format') != FORMAT or 'config' not in flat:
            raise ModelError(f'it is an HDF5 file, but not a {FORMAT}')
    if version != VERSION:
        raise ModelError(f'it has version {version}, but this symfer reads version {VERSION}')
    saved, found = json.loads(flat.pop('checksums')), checksums(flat)
    wrong = [name for name in {**saved, **found} if saved.get(name) != found.get(name)]
    if wrong:
        raise ModelError(
            f'the checksums of {", ".join(map(repr, wrong[:3]))} do not match: it was damaged or changed '
            'after it was written; use an earlier copy of it'
        )
    return flat


def _checked_progress(progress):
    """Check stage, epoch and history, and return them."""
    stage, epoch, history = (progress[key] for key in ('stage', 'epoch', 'history'))
    whole = [epoch, *(row['epoch'] for row in history)]
    if not (
        isinstance(history, list)
        and all(type(name) is str for name in (stage, *(row['stage'] for row in history)))
        and all(type(n) is int and 0 <= n < 2**31 for n in whole)
        and all(type(v) in (int, float, str, bool, type(None)) for row in history for v in row.values())
    ):
        raise ModelError('its history is not a list of epochs')
    return {'stage': stage, 'epoch': epoch, 'history': history}
