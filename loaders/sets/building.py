"""`build(source, sets)`: write the sets of the thesis, or custom ones, as HDF5 files."""

from __future__ import annotations

import os
import shutil
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loaders import fer2013
from loaders.audit.duplicates import duplicates_in_training
from loaders.errors import DataError, visible
from loaders.sets import hdf5
from loaders.sets.recipes import Recipe, thesis_set
from loaders.sets.splits import choose_validation, number_of
from loaders.sets.transforms import views
from loaders.sources.importing import is_of_importer
from loaders.sources.originals import Originals
from loaders.sources.reading import read

BLOCK = 1024  # originals whose views are computed at a time


def build(
    source: Any,
    sets: Sequence[Any] = (2,),
    out: str | os.PathLike[str] = 'datasets',
    *,
    prefix: str = '',
    validation: Any = None,
    stratify: bool = False,
    no_duplicates: bool = False,
    seed: int = 0,
    info: Callable[..., Any] = print,
    **reading: Any,
) -> list[str]:
    """Build data sets from a source and write each as an HDF5 file, completely or not at all.

    Parameters
    ----------
    source : path or Originals
        Source of the images, see `read`.
    sets : sequence of int or Recipe
        Sets to build: 1 to 4 for the sets of the thesis (section 5.2), a `Recipe` for a custom set.
    out : path
        Folder to write to, created if necessary.
    prefix : str
        Prefix of the file names set1.h5, set2.h5, ...
    validation : int or float, optional
        Number or fraction of the training originals held out for validation; 0 for none. The default is that of the
        thesis: of FER2013's 28,709 originals none in set 1, 3,709 in set 2, 3,000 in set 3 and 2,870 in set 4; the same
        fraction of other sources. If people are known, whole people are held out, with a number of images as close as
        possible to this.
    stratify : bool
        Whether to hold out equal parts of each class for validation (nearly equal parts if people are known). Always
        done for published sets other than FER2013.
    no_duplicates : bool
        Whether to hold out only images that have no exact duplicate in training.
    seed : int
        Seed of the choice of validation images. With the same seed, a smaller validation set is part of a larger one
        (only without `stratify` if people are known).
    info : function
        Called with each line of the report.
    **reading
        Arguments of `read`: size, classes, test, votes, contempt, crop, angles, skip_bad.

    Returns
    -------
    list of str
        Paths of the files, {out}/{prefix}set{n}.h5. An existing file of that name is renamed to set{n}.1.h5, ...

    Raises
    ------
    DataError
        The source is bad, or a file cannot be written. Existing files stay as they were.
    """
    if 'no_twins' in reading:
        warnings.warn('no_twins is now no_duplicates', FutureWarning, stacklevel=2)
        no_duplicates = reading.pop('no_twins')
    if 'log' in reading:
        warnings.warn('log is now info', FutureWarning, stacklevel=2)
        info = reading.pop('log')
    originals = read(source, seed=seed, **reading)
    if len(originals.classes) == 1:
        where = '' if isinstance(source, Originals) else f'{source}: '
        raise DataError(
            f'{where}only one class, {originals.classes[0]}: every prediction would be correct; expected a '
            'folder for each class'
        )
    recipes = [s if isinstance(s, Recipe) else thesis_set(s, originals.images.shape[1:]) for s in sets]
    info(f'recognised: {originals.layout}')
    for note in originals.notes:
        info(visible(note))
    for line in fer2013.table(originals.classes, originals.counts):
        info(line)
    if is_of_importer(originals.layout):
        stratify = True
    else:
        for line in fer2013.compare(originals.classes, originals.counts):
            info(line)
    duplicates = duplicates_in_training(originals.images, originals.usage)
    fingerprint = originals.fingerprint()
    n_training = int((originals.usage == 0).sum())
    paths = []
    for recipe in recipes:
        k = number_of(recipe.held_out if validation is None and recipe.held_out else validation or 0, n_training)
        held_out = choose_validation(
            originals, k, duplicates, seed=seed, stratify=stratify, no_duplicates=no_duplicates
        )
        path = Path(out) / f'{prefix}{recipe.name.replace(" ", "")}.h5'
        write_set(path, originals, recipe, held_out, duplicates, fingerprint, info)
        paths.append(str(path))
        info(describe(path, recipe, originals, held_out))
    return paths


def describe(path: Path, recipe: Recipe, originals: Originals, held_out: np.ndarray) -> str:
    """Return a line that describes the contents of a set file."""
    k = len(held_out)
    n = int((originals.usage == 0).sum())
    n_test, n_views = len(originals) - n, len(recipe.views)
    height, width = recipe.size or originals.images.shape[1:]
    line = f'{path}: {height}x{width}, training {n * n_views:,}, test {n_test:,}'
    if k:
        whom = ''
        if originals.person is not None:
            people = n_people(originals.person[originals.usage == 0])
            whom = f' (by person: {n_people(originals.person[held_out])} of {people} people)'
        line += f', validation {k * n_views:,}{whom}, reduced training {(n - k) * n_views:,}'
    if n_views > 1:
        line += f', special test {n_test * n_views:,}'
    return line + f'; {os.path.getsize(path) / 2**20:.0f} MiB'


def n_people(person: np.ndarray) -> int:
    """Count the known people among the images."""
    return len(np.unique(person[person >= 0]))


def write_set(
    path: Path,
    originals: Originals,
    recipe: Recipe,
    held_out: np.ndarray,
    duplicates: np.ndarray,
    fingerprint: str,
    info: Callable[..., Any],
) -> None:
    """Write one set.

    Parameters
    ----------
    held_out : int array
        Rows of the validation images in `originals`.
    duplicates : bool array (n,)
        Whether each original has an exact duplicate among the training originals.
    info : function
        Called with a line if a file of that name existed.
    """
    size = tuple(recipe.size or originals.images.shape[1:])
    training = np.flatnonzero(originals.usage == 0)
    test = np.flatnonzero(originals.usage > 0)
    with hdf5.new_file(path, info) as file:
        check_space(path, (len(training) + len(test)) * (len(recipe.views) + 1) * size[0] * size[1])
        texts = dict(
            format=hdf5.FORMAT,
            name=recipe.name,
            classes=originals.classes,
            fingerprint=fingerprint,
            layout=originals.layout,
        )
        file.attrs.update(
            {name: hdf5.encode(text) for name, text in texts.items()}, version=hdf5.VERSION, number=recipe.number or 0
        )
        if originals.person is not None:
            write_column(file, 'people', hdf5.encode(originals.people))
        write_subset(file, 'training', originals, training, recipe.views, size, duplicates)
        write_subset(file, 'test', originals, test, recipe.views[:1], size, duplicates)
        if len(recipe.views) > 1:
            write_subset(file, 'special_test', originals, test, recipe.views, size, duplicates)
        if len(held_out):
            out = np.repeat(np.isin(training, held_out), len(recipe.views))
            for name, rows in (('validation', out), ('reduced_training', ~out)):
                write_column(file.create_group(name), 'rows', np.flatnonzero(rows).astype(np.int32))


def check_space(path: Path, n_bytes: int) -> None:
    """Raise DataError if the disk has no room for a file of `n_bytes` bytes."""
    free = shutil.disk_usage(Path(os.path.realpath(path)).parent).free
    if free < n_bytes:
        raise DataError(
            f'{path}: cannot be written: needs {n_bytes / 2**20:.0f} MiB, the disk has {free / 2**20:.0f} MiB left'
        )


def write_subset(
    file: Any,
    name: str,
    originals: Originals,
    rows: np.ndarray,
    names: Sequence[str],
    size: Any,
    duplicates: np.ndarray,
) -> None:
    """Write the views of some originals, with all views of an original in consecutive rows."""
    group = file.create_group(name)
    group.attrs['transforms'] = hdf5.encode(names)
    n = len(names)
    columns = {
        'y': originals.labels[rows],
        'source': originals.ids[rows],
        'usage': originals.usage[rows],
        'duplicate': duplicates[rows],
    }
    for column, values in columns.items():
        write_column(group, column, np.repeat(values, n).astype(hdf5.COLUMNS[column]))
    for column, values in (('person', originals.person), ('votes', originals.votes)):
        if values is not None:
            write_column(group, column, np.repeat(values[rows], n, axis=0))
    write_column(group, 'view', np.tile(np.arange(n, dtype=np.uint8), len(rows)))
    x = group.create_dataset('x', (len(rows) * n, *size), np.uint8)
    crc = 0
    for k in range(0, len(rows), BLOCK):
        block = views(originals.images[rows[k : k + BLOCK]], names, size).reshape(-1, *size)
        x[k * n : k * n + len(block)] = block
        crc = zlib.crc32(np.ascontiguousarray(block), crc)
    hdf5.stamp(x, crc)


def write_column(group: Any, name: str, values: Any) -> None:
    """Write an array with its checksum."""
    group[name] = values
    hdf5.stamp(group[name], zlib.crc32(values))
