"""Read FER2013 and similar data sets in any layout, build HDF5 sets from them, and open those sets.

build(source, sets)     build HDF5 sets: sets 1 to 4 of the thesis, or custom ones
load(path)              open a set: a Dataset with its Subsets
Fold(data, i, k)        fold i of k of an open set for cross-validation
read(source)            read the original images of a source: Originals
read_unlabelled(source, size)   read the images of a folder without classes
Recipe, transform       define a custom set (see `loaders.sets.transforms`)
views(images, names, size)      compute named views of images
write_csv(path)         draw faces and write them in the layout of FER2013
DataError               the error that any bad input raises

From a shell: `python -m loaders --help`.
"""

from loaders.errors import DataError
from loaders.sets.building import build
from loaders.sets.dataset import Dataset, Subset, load
from loaders.sets.folds import Fold
from loaders.sets.recipes import Recipe
from loaders.sets.transforms import transform, views
from loaders.sources.originals import Originals
from loaders.sources.reading import read
from loaders.sources.unlabelled import read_unlabelled
from loaders.synthetic.sample import write_csv

__all__ = [
    'DataError',
    'Dataset',
    'Fold',
    'Originals',
    'Recipe',
    'Subset',
    'build',
    'load',
    'read',
    'read_unlabelled',
    'transform',
    'views',
    'write_csv',
]
