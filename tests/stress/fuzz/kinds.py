"""Kinds of files: good examples, a mutation, a reader and the errors that it may raise."""

# ruff: noqa: E402
import gzip
import os
import shutil

import loaders
from tests import published_data
from tests.stress.fuzz.base import Kind
from tests.stress.fuzz.examples import good_models, good_sets, picture_files, table, tarred, zipped
from tests.stress.fuzz.hostile import hostile_hdf5, hostile_pickle
from tests.stress.fuzz.mutations import havoc, in_gzip, in_hdf5, in_png, in_zip
from tests.stress.fuzz.pictures import Picture, Request
from utils.files import models

WRITERS = {
    name: getattr(published_data, name)
    for name in 'rafdb rafdb_folders affectnet_tables affectnet_files ckplus ck48 jaffe kdef expw sfew ferplus'.split()
}


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
        self.names = list(self.files)
        return list(self.files.values())

    def write(self, rng):
        for path, content in self.changed:
            self.remove(path)
            if content is not None:
                path.write_bytes(content)
        self.changed = []
        for _ in range(rng.choice((1, 1, 2))):
            name = rng.choice(self.names)
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


class Published(FolderOfImages):
    """Published data sets, one folder each; tables and annotations are changed more often than images."""

    def good(self):
        self.path, self.changed = self.folder / 'published', []
        shutil.rmtree(self.path, ignore_errors=True)
        for name, write in WRITERS.items():
            write(self.path / name)
        loaders.read(self.path / 'jaffe')  # import NumPy's random numbers before reads are watched
        files = sorted(path for path in self.path.rglob('*') if path.is_file())
        self.files = {str(path.relative_to(self.path)): path.read_bytes() for path in files}
        self.names = [name for name in self.files for _ in range(40 if name.endswith(('.txt', '.csv', '.lst')) else 1)]
        return list(self.files.values())

    def read(self):
        for name in {path.relative_to(self.path).parts[0] for path, _ in self.changed}:
            loaders.read(self.path / name, skip_bad=self.count % 2 == 0)


class Set(Kind):
    suffix = '.h5'
    names = [
        *(
            f'{group}/{name}'
            for group in ('training', 'test', 'special_test')
            for name in ('x', 'y', 'source', 'view', 'duplicate', 'person', 'votes')
        ),
        'people',
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
    'published': Published,
    'set': Set,
    'model.h5': ModelHdf5,
    'model.pkl': ModelPickle,
    'picture': Picture,
    'request': Request,
}
