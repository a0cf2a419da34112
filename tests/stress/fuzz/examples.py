"""Good files of every kind, from which mutations start."""

# ruff: noqa: E402
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np

import loaders
from loaders.synthetic.sample import draw_faces, write_rows
from utils.files import models


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
    """Save an HDF5 file again with the metadata of another version of the library."""
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
    (path,) = loaders.build(originals, (2,), folder, validation=10, info=lambda line: None)
    content = Path(path).read_bytes()
    originals.person, originals.people = (np.arange(60) % 10).astype(np.int32), tuple('abcdefghij')
    originals.votes = np.eye(3, dtype=np.uint8)[labels] * 9 + 1
    (known,) = loaders.build(originals, (2,), folder, validation=10, info=lambda line: None)
    return [content, Path(known).read_bytes(), resaved(path, ('earliest', 'v108')), resaved(path, ('latest', 'latest'))]


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
