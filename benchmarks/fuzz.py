"""Damaged and hostile files for every reader: `python -m benchmarks.fuzz [--files N] KIND...`.

Each file is a mutation of a good one: bits flipped, bytes changed to telling numbers, pieces cut, doubled, moved or
taken from another file; and, so that what lies behind checksums is reached as well, mutations inside gzip, zip, PNG and
HDF5 after which the checksums are made right again, and hostile HDF5 and pickle files made from scratch. A file may
load, or end in the reader's own error. Anything else is written down and kept: another exception, a crash of the
process, more than 5 seconds of the processor, more than 1 GiB, anything written.

Kinds: csv, archive, folder, set, model.h5, model.pkl. `coverage.csv` and `coverage.pkl` let atheris choose the
mutations by the lines that they reach.
"""

# ruff: noqa: E402
import argparse
import binascii
import gzip
import importlib
import io
import json
import mmap
import os
import pickle
import random
import resource
import shutil
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

import cv2
import h5py
import numpy as np

import loaders
from loaders.synthetic.sample import draw_faces, write_rows
from utils.files import models

SECONDS, MEMORY = 5, 1 << 30  # of the processor, so that a busy machine changes nothing
WAIT = 90  # seconds by the clock until a process is given up
TELLING = [
    0,
    1,
    2,
    7,
    8,
    16,
    32,
    64,
    127,
    128,
    255,
    256,
    1000,
    4096,
    0x7FFF,
    0x8000,
    0xFFFF,
    1 << 20,
    1 << 24,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 50) + 1,
    (1 << 63) - 1,
    (1 << 64) - 1,
]
TEXTS = [
    b'-1',
    b'256',
    b'99999999999999999999',
    b'1e9',
    b'nan',
    b',',
    b'"',
    b'\n',
    b'\r',
    b'\0',
    b' ' * 50,
    b'\xff\xfe',
    b'Training',
    b'PublicTest',
    b'emotion',
    b'pixels',
    b'../../etc/passwd',
    b'/etc/passwd',
]


# --------------------------------------------------------------------------------- mutations


def havoc(data, rng, others=()):
    """A mutation of bytes: one to eight changes, of any kind."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            return b''
        at, kind = rng.randrange(len(data)), rng.randrange(11)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind in (2, 3):
            size = rng.choice((1, 2, 4, 8))
            value = (rng.choice(TELLING) + rng.choice((0, 0, -1, 1))) % (1 << 8 * size)
            data[at : at + size] = value.to_bytes(size, rng.choice(('little', 'big')))
        elif kind == 4:
            del data[at : at + rng.choice((1, 2, 8, 64, 1000))]
        elif kind == 5:
            data[at:at] = rng.choice(TEXTS)
        elif kind == 6:
            piece = data[at : at + rng.choice((1, 4, 16, 256, 4096))]
            to = rng.randrange(len(data))
            data[to:to] = piece
        elif kind == 7:
            piece = data[at : at + rng.choice((1, 4, 16, 256))]
            to = rng.randrange(len(data))
            data[to : to + len(piece)] = piece
        elif kind == 8:
            del data[at:]
        elif kind == 9:
            data[at : at + 16] = bytes(rng.choice((0, 255)) for _ in range(16))
        elif others:
            other = rng.choice(others)
            start = rng.randrange(max(1, len(other)))
            data[at : at + 256] = other[start : start + rng.choice((4, 64, 256, 4096))]
    return bytes(data)


def lookup3(data):
    """Jenkins's lookup3, the checksum of HDF5's tables (H5_checksum_lookup3)."""
    mask = 0xFFFFFFFF

    def rot(x, k):
        return ((x << k) | (x >> (32 - k))) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    at, left = 0, len(data)
    while left > 12:
        x, y, z = struct.unpack_from('<III', data, at)
        v = [(a + x) & mask, (b + y) & mask, (c + z) & mask]
        for p, q, r, k in ((0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)):
            v[p] = ((v[p] - v[q]) ^ rot(v[q], k)) & mask
            v[q] = (v[q] + v[r]) & mask
        a, b, c = v
        at, left = at + 12, left - 12
    if left:
        x, y, z = struct.unpack('<III', bytes(data[at:]).ljust(12, b'\0'))
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        for p, q, k in ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)):
            v = [a, b, c]
            v[p] = ((v[p] ^ v[q]) - rot(v[q], k)) & mask
            a, b, c = v
    return c


def hdf5_blocks(data):
    """(start, length) of each table of an HDF5 file that ends in a checksum: superblock, object headers."""
    blocks = [(0, 44)] if data[8:9] in (b'\2', b'\3') else []
    at = data.find(b'OHDR')
    while at >= 0:
        flags = data[at + 5]
        head = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        size = 1 << (flags & 3)
        length = int.from_bytes(data[at + head : at + head + size], 'little') + head + size
        if length < 1 << 16:
            blocks.append((at, length))
        at = data.find(b'OHDR', at + 4)
    return blocks


def in_hdf5(data, rng, others):
    """Change a table of an HDF5 file and make its checksum right."""
    data, blocks = bytearray(data), hdf5_blocks(data)
    if not blocks:
        return havoc(data, rng, others)
    for _ in range(rng.choice((1, 1, 2, 3))):
        start, length = rng.choice(blocks)
        for _ in range(rng.choice((1, 1, 2, 4))):
            at, size = start + rng.randrange(4, max(5, length)), rng.choice((1, 1, 2, 4, 8))
            value = rng.choice((rng.randrange(256), rng.choice(TELLING))) % (1 << 8 * size)
            if at + size <= start + length:
                data[at : at + size] = value.to_bytes(size, 'little')
        data[start + length : start + length + 4] = lookup3(data[start : start + length]).to_bytes(4, 'little')
    return bytes(data)


def in_gzip(data, rng, others):
    return gzip.compress(havoc(gzip.decompress(data), rng, others), 1)


def in_zip(data, rng, others):
    """Change a file of a zip archive, or the archive's own tables only."""
    source, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    chosen = rng.choice(source.namelist())
    with zipfile.ZipFile(out, 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            if name == chosen:
                content = in_png(content, rng) if rng.random() < 0.5 else havoc(content, rng, others)
            if name == chosen and rng.random() < 0.2:
                name = rng.choice(
                    [
                        '../' * 9 + 'tmp/x.png',
                        '/x/y.png',
                        'a/../b/x.png',
                        name + '/',
                        name.upper(),
                        'train/.png',
                        'train/happy/Training_99999999999999999999.png',
                        'x' * 5000 + '.png',
                        'a\0/a.png',
                        './' + name,
                        name.replace('/', '//'),
                    ]
                )
            target.writestr(name, content, rng.choice((0, 8, 8, 12, 14)) if name == chosen else 8)
    return out.getvalue()


def in_png(data, rng, others=()):
    """Change a chunk of a PNG and make its checksum right."""
    if data[:4] != b'\x89PNG':
        return havoc(data, rng, others)
    data, at, chunks = bytearray(data), 8, []
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], 'big')
        chunks.append((at, length))
        at += 12 + length
    at, length = rng.choice(chunks)
    if length:
        where, size = at + 8 + rng.randrange(length), rng.choice((1, 1, 4))
        data[where : where + size] = (rng.choice(TELLING) % (1 << 8 * size)).to_bytes(size, 'big')
    body = bytes(data[at + 4 : at + 8 + length])
    data[at + 8 + length : at + 12 + length] = binascii.crc32(body).to_bytes(4, 'big')
    return bytes(data)


# -------------------------------------------------------------------------- good files to begin with


def table(n=60, side=8):
    images, labels, usage = draw_faces(n, 5, 5)
    out = io.StringIO()
    write_rows(out, images[:, :side, :side], labels, usage)
    return out.getvalue().encode()


def picture_files(side=8):
    rng, files = np.random.default_rng(0), {}
    for split in ('train', 'test'):
        for k, name in enumerate(('angry', 'happy', 'sad')):
            for suffix in ('.png', '.jpg', '.bmp', '.pgm'):
                image = rng.integers(0, 255, (side + k, side), np.uint8)
                files[f'{split}/{name}/{k}{suffix}'] = cv2.imencode(suffix, image)[1].tobytes()
    return files


def zipped(files, method=8):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(content, kind='w'):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=kind) as archive:
        entry = tarfile.TarInfo('fer2013/fer2013.csv')
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def resaved(path, libver):
    """The same HDF5 file with the tables of another version of the library."""
    out = Path(path).with_name('resaved.h5')
    with h5py.File(path) as source, h5py.File(out, 'w', libver=libver) as target:
        for name, value in source.attrs.items():
            target.attrs[name] = value
        for name in source:
            source.copy(name, target)
    content = out.read_bytes()
    out.unlink()
    return content


def good_sets(folder):
    images = np.random.default_rng(7).integers(0, 255, (60, 6, 6), np.uint8)
    labels = (np.arange(60) % 3).astype(np.uint8)
    usage = np.repeat([0, 1, 2], [40, 10, 10]).astype(np.uint8)
    originals = loaders.Originals(images, labels, usage, np.arange(60, dtype=np.int32), ('a', 'b', 'c'))
    (path,) = loaders.build(originals, (2,), folder, validation=10, log=lambda line: None)
    content = Path(path).read_bytes()
    return [content, resaved(path, ('earliest', 'v108')), resaved(path, ('latest', 'latest'))]


def model_state():
    rng = np.random.default_rng(0)
    arrays = {
        'parameters/fc.hidden0.W': rng.normal(size=(36, 4)).astype('f4'),
        'parameters/fc.b': np.zeros(3, 'f4'),
        'optimiser/velocity.fc.b': np.ones(3, 'f4'),
        'counter': np.asarray(7, np.uint32),
    }
    row = {
        'stage': 'train',
        'epoch': 1,
        'rate': 0.1,
        'train_cost': 1.2,
        'train_cross_entropy': 1.2,
        'validation_error': 60.0,
        'validation_cross_entropy': 1.1,
        'test_error': None,
        'images': 40,
        'seconds': 0.1,
    }
    state = {'arrays': arrays, 'kept': dict(arrays), 'trained': None, 'stage': 'train', 'epoch': 1, 'history': [row]}
    config = {
        'options': {
            'network': 'MLP',
            'n_hidden': [4],
            'activation': 'relu',
            'learning_rate': 0.1,
            'seed': 0,
            'network_args': {},
            'precision': 'float32',
            'augment': None,
        },
        'fingerprint': 'ab' * 32,
        'bundled_network': True,
        'classes': ['a', 'b', 'c'],
        'im_dim': [6, 6],
        'data': 'set 2',
    }
    return state, config


def good_models(folder, suffix):
    path = Path(folder) / f'model{suffix}'
    models.save(path, *model_state())
    if suffix == '.pkl':
        from utils.files.pickles import read_pickle

        flat = read_pickle(path)
        return [path.read_bytes(), *(pickle.dumps(flat, protocol) for protocol in (2, 3, 4, 5))]
    return [path.read_bytes(), resaved(path, ('earliest', 'v108')), resaved(path, ('latest', 'latest'))]


# ------------------------------------------------------------------------------- hostile from scratch


def hostile_hdf5(path, seed, rng, names):
    """A good HDF5 file in which one to three things were replaced by hostile ones."""
    Path(path).write_bytes(seed)
    try:
        with h5py.File(path, 'r+') as file:
            for _ in range(rng.choice((1, 1, 2, 3))):
                name = rng.choice(names)
                parent, _, last = name.rpartition('/')
                group = file.require_group(parent) if parent else file
                old = group.get(last) if isinstance(group.get(last, getlink=True), h5py.HardLink) else None
                plain = isinstance(old, h5py.Dataset) and old.id.get_offset() and not old.external and old.size < 9999
                data = old[()] if plain else None  # HDF5 crashes when it reads some of what was planted before
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
    """A pickle of a model with something planted in it, checksums made right for half of them."""
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


# ------------------------------------------------------------------------------------------- kinds


class Kind:
    """A kind of file: good examples, a mutation, a reader and the errors that it may end in."""

    errors = (loaders.DataError,)
    suffix = ''

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / f'file{self.suffix}'
        self.seeds = self.good()

    def write(self, rng):
        self.path.write_bytes(self.mutate(rng))

    def mutate(self, rng):
        return havoc(rng.choice(self.seeds), rng, self.seeds)


class Csv(Kind):
    suffix = '.csv'

    def good(self):
        plain = table()
        head, *rows = plain.split(b'\n')
        turned = b'\n'.join(b','.join(reversed(row.split(b','))) for row in [head, *rows] if row)
        quoted = plain.replace(b',', b'","').replace(b'\n', b'"\n"')
        return [plain, turned, quoted, plain.replace(b'\n', b'\r\n'), b'\xef\xbb\xbf' + plain, head + b'\n']

    def read(self):
        loaders.read(self.path, size=(8, 8), skip_bad=self.path.stat().st_size % 2 == 0)


class Archive(Kind):
    def good(self):
        csv = table(50)
        self.bombs = [
            gzip.compress(b'emotion,pixels,Usage\n' + byte * size, 1)
            for byte, size in ((b'0', 80 << 20), (b'\n', 80 << 20), (b' ', 1 << 20), (b',', 1 << 20), (b'0\n', 1 << 20))
        ]
        return [
            gzip.compress(csv),
            tarred(csv),
            tarred(csv, 'w:gz'),
            zipped({'fer2013.csv': csv}),
            zipped(picture_files()),
            zipped({'a/train.csv': csv, 'a/test.csv': csv}, 0),
            tarred(csv, 'w:bz2'),
            tarred(csv, 'w:xz'),
        ]

    def mutate(self, rng):
        data, draw = rng.choice(self.seeds), rng.random()
        if draw < 0.002:
            return rng.choice(self.bombs)
        if draw < 0.3 and data[:2] == b'\x1f\x8b':
            return in_gzip(data, rng, self.seeds)
        if draw < 0.5 and data[:2] == b'PK':
            return in_zip(data, rng, self.seeds)
        return havoc(data, rng, self.seeds)

    def read(self):
        loaders.read(self.path, size=None if self.path.stat().st_size % 2 else (8, 8), skip_bad=True, test=None)


class FolderOfImages(Kind):
    def good(self):
        self.files = picture_files()
        shutil.rmtree(self.folder / 'images', ignore_errors=True)
        for name, content in self.files.items():
            path = self.folder / 'images' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.path, self.changed = self.folder / 'images', []
        return list(self.files.values())

    def write(self, rng):
        for path, content in self.changed:
            self.remove(path)
            if content is not None:
                path.write_bytes(content)
        self.changed = []
        for _ in range(rng.choice((1, 1, 2))):
            name = rng.choice(list(self.files))
            path, content, kind = self.path / name, self.files[name], rng.random()
            self.changed.append((path, content))
            self.remove(path)
            if kind < 0.01:
                os.mkfifo(path)
            elif kind < 0.02:
                path.symlink_to(rng.choice(('/dev/zero', '/etc/passwd', 'nowhere', '..', name)))
            elif kind < 0.03:
                path.mkdir()
            elif kind < 0.05:
                other = path.with_name(
                    rng.choice(('.png', 'x' * 200 + '.png', 'a\nb.png', 'Training_9999999999999999999.png'))
                )
                other.write_bytes(content)
                self.changed.append((other, None))
            elif kind < 0.4:
                path.write_bytes(in_png(content, rng, self.seeds))
            else:
                path.write_bytes(havoc(content, rng, self.seeds))

    def remove(self, path):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)

    def read(self):
        loaders.read(self.path, skip_bad=self.count % 2 == 0)


class Set(Kind):
    suffix = '.h5'
    names = [
        *(
            f'{group}/{name}'
            for group in ('training', 'test', 'special_test')
            for name in ('x', 'y', 'source', 'view', 'twin')
        ),
        'validation/rows',
        'reduced_training/rows',
        'training',
        'test',
        'validation',
    ]

    def good(self):
        return good_sets(self.folder)

    def mutate(self, rng):
        draw = rng.random()
        if draw < 0.4:
            return in_hdf5(rng.choice(self.seeds), rng, self.seeds)
        if draw < 0.55:
            return hostile_hdf5(self.folder / 'planted.h5', rng.choice(self.seeds), rng, self.names)
        return havoc(rng.choice(self.seeds), rng, self.seeds)

    def read(self):
        with loaders.load(self.path) as data:
            for subset in data.subsets():
                subset.images()
            data.counts  # noqa: B018
            data.verify()


class ModelHdf5(Set):
    errors = (models.ModelError,)
    names = [
        'parameters/fc.hidden0.W',
        'parameters/fc.b',
        'counter',
        'config',
        'progress',
        'checksums',
        'kept/counter',
        'parameters',
        'kept',
        'extra',
    ]

    def good(self):
        return good_models(self.folder, '.h5')

    def read(self):
        import launch
        from utils.experiment import saved

        saved.load_model(launch.CONTEXT, self.path)


class ModelPickle(ModelHdf5):
    suffix = '.pkl'

    def good(self):
        return good_models(self.folder, '.pkl')

    def mutate(self, rng):
        if rng.random() < 0.3:
            return hostile_pickle(self.seeds, rng)
        return havoc(rng.choice(self.seeds), rng, self.seeds)


KINDS = {
    'csv': Csv,
    'archive': Archive,
    'folder': FolderOfImages,
    'set': Set,
    'model.h5': ModelHdf5,
    'model.pkl': ModelPickle,
}


# -------------------------------------------------------------------------------------- the runs


class Watch:
    """Tells, by Python's audit events, of what a reader writes, removes, runs or connects to."""

    def __init__(self):
        self.on, self.seen = False, []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if not self.on:
            return
        if event == 'open':
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set('wax+')) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            ):
                self.seen.append(f'{event} {path!r} {mode}')
        elif event == 'exec':  # the standard library imports text encodings when they are needed
            if arguments[0].co_filename.startswith('<'):
                self.seen.append(f'exec {arguments!r:.100}')
        elif event.split('.')[0] in ('subprocess', 'socket', 'shutil', 'pty') or event in (
            'os.system',
            'os.exec',
            'os.posix_spawn',
            'os.fork',
            'os.remove',
            'os.rename',
            'os.mkdir',
            'os.rmdir',
            'os.link',
            'os.symlink',
            'os.truncate',
            'os.chmod',
            'pickle.find_class',
            'compile',
        ):
            self.seen.append(f'{event} {arguments!r:.100}')


class Late(BaseException):
    """The reader took too long."""


def _late(*_):
    raise Late


def size_now():
    """Bytes of address space that this process has."""
    return int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()


def worker(kind, folder, seed, first, last, board, findings):
    """Read files `first` to `last`; `board` counts them where the parent can see it."""
    case = KINDS[kind](folder)
    case.count = 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # OpenCV and libpng tell of every image
    if kind.startswith('model'):
        import launch  # noqa: F401  (before memory is limited)
    watch, counts = Watch(), Counter()
    signal.signal(signal.SIGPROF, _late)
    base = size_now()
    resource.setrlimit(resource.RLIMIT_AS, (base + MEMORY, -1))
    listing = sorted(p.name for p in Path(folder).iterdir())
    for number in range(first, last):
        board[0], board[6], case.count = number, 1, number
        case.write(random.Random(f'{kind} {seed} {number}'))
        board[6] = 0
        start, problem = time.process_time(), None
        try:
            try:
                watch.on = True
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                case.read()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                watch.on = False
            counts['loaded'] += 1
        except case.errors as error:
            counts['refused'] += 1
            if not str(error).strip():
                problem = 'an error without words'
        except Late:
            problem = f'more than {SECONDS} seconds'
        except BaseException as error:
            problem = f'{type(error).__name__}: {error}\n' + traceback.format_exc()[-1500:]
        board[2] = max(board[2], int(1e6 * (time.process_time() - start)))
        if watch.seen:
            problem, watch.seen = f'reached out: {watch.seen[:3]}', []
        if number % 500 == 0:
            now = sorted(p.name for p in Path(folder).iterdir())
            if set(now) - set(listing) - {'planted.h5', case.path.name, 'images'}:
                problem = f'wrote {set(now) - set(listing)}'
        if problem:
            counts['problems'] += 1
            keep(kind, case.path, number, problem, findings)
        board[3], board[4], board[5] = (counts[k] for k in ('loaded', 'refused', 'problems'))
    board[0], board[1] = last, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def again(kind, number, seed):
    """Make one file and read it, in this process and without limits."""
    with tempfile.TemporaryDirectory() as folder:
        case = KINDS[kind](folder)
        case.count = number
        case.write(random.Random(f'{kind} {seed} {number}'))
        start = time.process_time()
        try:
            case.read()
            print('loaded')
        except case.errors as error:
            print(f'refused: {error}')
        print(f'{time.process_time() - start:.3f} s of the processor')


def keep(kind, path, number, problem, findings):
    findings.mkdir(parents=True, exist_ok=True)
    (findings / f'{kind}-{number}.txt').write_text(problem)
    if path.is_dir():
        shutil.copytree(path, findings / f'{kind}-{number}', dirs_exist_ok=True, symlinks=True)
    elif path.exists():
        shutil.copyfile(path, findings / f'{kind}-{number}{path.suffix}')


def fuzz(kind, n_files, seed=0, findings=Path('fuzz-findings'), say=print):
    """Read `n_files` mutated files of a kind in child processes; one that crashes is replaced.

    Returns
    -------
    dict
        'files' read, 'loaded', 'refused', 'problems' (crashes among them), 'slowest' (s), 'memory' (MiB), 'seconds'.
    """
    start, first = time.perf_counter(), 0
    total = Counter()
    shm = Path('/dev/shm')
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as folder:
        while first < n_files:
            shared = mmap.mmap(-1, 64)
            board = memoryview(shared).cast('q')
            board[0] = first
            part = min(n_files, first + 20_000)  # a fresh process now and then
            sys.stdout.flush()
            child = os.fork()
            if not child:
                status = 1
                try:
                    worker(kind, folder, seed, first, part, board, findings)
                    status = 0
                except BaseException:
                    keep(kind, Path('none'), board[0], traceback.format_exc(), findings)
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            seen, since, died = first, time.monotonic(), None
            while True:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    died = status or None
                    break
                if board[0] != seen:
                    seen, since = board[0], time.monotonic()
                elif time.monotonic() - since > WAIT * (5 if board[0] == first else 1):  # it imports at first
                    os.kill(child, signal.SIGKILL)  # blocked, or in a library that lets no alarm through
                    os.waitpid(child, 0)
                    died = 'no answer'
                    break
                time.sleep(0.02)
            for k, name in enumerate(('loaded', 'refused', 'problems'), start=3):
                total[name] += board[k]
            total['slowest'] = max(total['slowest'], board[2])
            total['memory'] = max(total['memory'], board[1])
            if died is None:
                first = part
                continue
            number = board[0]
            first = number + 1
            if board[6] and died != 'no answer':  # HDF5 crashed while the file was being made for it
                total['unmade'] += 1
                continue
            suffix = KINDS[kind].suffix
            path = Path(folder) / (f'file{suffix}' if kind != 'folder' else 'images')
            keep(kind, path, number, f'the process died: {died}', findings)
            say(f'{kind}: file {number}: the process died ({died})')
            total['problems'] += 1
            if total['problems'] > 200:
                say(f'{kind}: too many problems, the rest is left')
                break
    return {
        'files': first - total['unmade'],
        **{k: total[k] for k in ('loaded', 'refused', 'problems')},
        'slowest': total['slowest'] / 1e6,
        'memory': total['memory'] / 1024,
        'seconds': time.perf_counter() - start,
    }


def coverage(kind, n_files, seed):
    """Atheris's own mutations, led by the lines of the reader that they reach. Ends the process."""
    import atheris

    with atheris.instrument_imports(include=['utils.files', 'loaders']):
        for name in list(sys.modules):
            if name.startswith('utils.files') or name.partition('.')[0] == 'loaders':
                del sys.modules[name]
        fresh, fresh_models = importlib.import_module('loaders'), importlib.import_module('utils.files.models')
    folder = Path(tempfile.mkdtemp(dir='/dev/shm' if os.path.isdir('/dev/shm') else None))
    seeds = folder / 'seeds'
    seeds.mkdir()
    case = {'csv': Csv, 'pkl': ModelPickle}[kind](folder)
    for k, content in enumerate(case.seeds):
        (seeds / str(k)).write_bytes(content)
    errors = fresh.DataError if kind == 'csv' else fresh_models.ModelError
    watch = Watch()

    def one(data):
        case.path.write_bytes(data)
        watch.on = True
        try:
            if kind == 'csv':
                fresh.read(case.path, size=(8, 8), skip_bad=len(data) % 2 == 0)
            else:
                fresh_models.load(case.path)
        except errors:
            pass
        finally:
            watch.on = False
        if watch.seen:
            raise RuntimeError(f'reached out: {watch.seen[:3]}')

    atheris.Setup(
        [
            sys.argv[0],
            f'-atheris_runs={n_files}',
            f'-seed={seed + 1}',
            f'-timeout={WAIT}',
            '-rss_limit_mb=1500',
            '-max_len=40000',
            '-print_final_stats=1',
            f'-artifact_prefix={folder}/',
            str(seeds),
        ],
        one,
    )
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(prog='python -m benchmarks.fuzz', description=__doc__.split('\n')[0])
    parser.add_argument('kinds', nargs='*', metavar='KIND', default=list(KINDS))
    parser.add_argument('--files', type=int, default=1000, help='of each kind (default: 1000)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', type=int, metavar='N', help='make and read file N of a kind, with all that it says')
    parser.add_argument('--findings', type=Path, default=Path('fuzz-findings'), help='where files are kept that broke')
    args = parser.parse_args()
    unknown = set(args.kinds) - {*KINDS, 'coverage.csv', 'coverage.pkl'}
    if unknown:
        parser.error(f'unknown kind {min(unknown)}: expected {", ".join(KINDS)}, coverage.csv or coverage.pkl')
    if args.only is not None:
        return again(args.kinds[0], args.only, args.seed)
    print(f'{"kind":10} {"files":>8} {"loaded":>8} {"refused":>8} {"problems":>8} {"slowest s":>9} {"MiB":>6} {"s":>7}')
    bad = 0
    for kind in args.kinds:
        if kind.startswith('coverage.'):
            coverage(kind[9:], args.files, args.seed)
        out = fuzz(kind, args.files, args.seed, args.findings)
        bad += out['problems']
        print(
            f'{kind:10} {out["files"]:8} {out["loaded"]:8} {out["refused"]:8} {out["problems"]:8} '
            f'{out["slowest"]:9.2f} {out["memory"]:6.0f} {out["seconds"]:7.0f}',
            flush=True,
        )
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
