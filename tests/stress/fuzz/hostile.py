"""Hostile HDF5 files and pickles made from scratch."""

# ruff: noqa: E402
import io
import json
import pickle
from pathlib import Path

import h5py
import numpy as np

from tests.stress.fuzz.mutations import havoc


def hostile_hdf5(path, seed, rng, names):
    """Make a good HDF5 file in which one to three objects are replaced by hostile ones."""
    Path(path).write_bytes(seed)
    try:
        with h5py.File(path, 'r+') as file:
            for _ in range(rng.choice((1, 1, 2, 3))):
                name = rng.choice(names)
                parent, _, last = name.rpartition('/')
                group = file.require_group(parent) if parent else file
                old = group.get(last) if isinstance(group.get(last, getlink=True), h5py.HardLink) else None
                plain = isinstance(old, h5py.Dataset) and old.id.get_offset() and not old.external and old.size < 9999
                data = old[()] if plain else None  # HDF5 crashes when it reads some of the objects inserted before
                if last in group:
                    del group[last]
                _plant(file, group, last, data, rng)
    except (ValueError, OSError, KeyError, TypeError, RuntimeError, MemoryError):
        pass
    return Path(path).read_bytes()


def _plant(file, group, name, data, rng):
    shape = rng.choice(((), (0,), (3,), (1 << 40,), (1 << 20, 1 << 20), (2,) * 20, (1 << 62, 4)))
    kind = rng.randrange(16)
    if kind == 0:
        group[name] = h5py.ExternalLink(rng.choice(('/etc/passwd', '/dev/zero', 'set2.h5', '/proc/self/mem')), '/x')
    elif kind == 1:
        group[name] = h5py.SoftLink(rng.choice(('/', f'{group.name}/{name}', '/training', '.', '..')))
    elif kind == 2:
        group.create_dataset(name, (1000,), 'u1', external=[('/etc/passwd', 0, 1000)])
    elif kind == 3:
        layout = h5py.VirtualLayout((1000,), 'u1')
        layout[:] = h5py.VirtualSource(rng.choice(('/etc/passwd', '.')), name, (1000,))
        group.create_virtual_dataset(name, layout)
    elif kind == 4:
        group.create_dataset(name, shape, rng.choice(('f4', 'u1', 'f8', 'S100')))
    elif kind == 5:
        group.create_dataset(name, (1 << 24,), 'f4', chunks=(1 << 20,), compression='gzip', fillvalue=1)
    elif kind == 6:
        group.create_dataset(name, data=np.zeros(1 << 16, 'f4'), compression=rng.choice(('gzip', 'lzf')), shuffle=True)
    elif kind == 7:
        group.create_dataset(name, data=np.zeros(3, [('a', 'f4'), ('b', 'S5')]))
    elif kind == 8:
        group.create_dataset(name, data=['x' * 100] * 5, dtype=h5py.string_dtype())
    elif kind == 9:
        group.create_dataset(name, shape[:4], h5py.ref_dtype)
    elif kind == 10:
        group[name] = file  # a loop of hard links
    elif kind == 11:
        others = [n for n in file if n != name]
        if others:
            group[name] = file[rng.choice(others)]
    elif kind == 12:
        group[name] = np.dtype(rng.choice(('f4', 'S10')))
    elif kind == 13 and data is not None:
        group.create_dataset(
            name, data=np.asarray(data).astype(rng.choice(('f8', 'i8', 'S20', 'c8', 'f2', '>f4')), casting='unsafe')
        )
    elif kind == 14:
        group.create_dataset(name, data=rng.choice((np.nan, np.full((3, 3), np.inf, 'f4'), np.bytes_('{' * 5000))))
    else:
        for k in range(50):
            group = group.create_group(name if not k else 'x')
    for owner in (file, group):
        if rng.random() < 0.2:
            owner.attrs[rng.choice(('format', 'version', 'classes', 'name', 'crc32', 'transforms'))] = rng.choice(
                (
                    'x' * 60000,
                    3,
                    2.5,
                    np.zeros(100),
                    np.array(['a'] * 300, 'S5'),
                    'symfer model',
                    np.bytes_('symfer model'),
                )
            )


def hostile_pickle(seeds, rng):
    """Make a pickle of a model with a hostile object, and with correct checksums in half of the cases."""
    flat = pickle.loads(seeds[0])  # noqa: S301  (made by this script)
    key = rng.choice(list(flat))
    laugh = ['x']
    for _ in range(40):
        laugh = (laugh, laugh)
    flat[rng.choice((key, 'parameters/new', 'kept', ''))] = rng.choice(
        (
            None,
            1e300,
            -1,
            [1],
            {'a': 1},
            {1, 2},
            'text',
            b'bytes',
            np.zeros(2, object),
            np.zeros(2, 'f8'),
            np.array('x'),
            np.zeros(3, [('a', 'f4')]),
            np.datetime64(3, 's'),
            laugh,
            np.zeros((2, 0)),
            np.complex64(1),
            print,
            io.BytesIO,
            '{' * 3000,
            '[' * 100000,
            '{"stage": "train", "epoch": 1e999, "history": []}',
            '{"options": {}}',
            '{"options": {"batch_size": ' + '9' * 5000 + '}}',
        )
    )
    if rng.random() < 0.5:
        plain = {
            k: v
            for k, v in flat.items()
            if isinstance(v, (str, np.ndarray))
            and k not in ('format', 'checksums')
            and getattr(v, 'dtype', np.dtype('f4')).kind in 'fiu'
        }
        from utils.files.checksums import checksums

        flat['checksums'] = json.dumps(checksums(plain))
    content = pickle.dumps(flat, rng.choice((2, 3, 4, 5)))
    return havoc(content, rng) if rng.random() < 0.5 else content
