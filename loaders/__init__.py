"""FER2013 and data sets like it: any layout in, the sets of the thesis out, sets opened.

build(source, sets)     make HDF5 sets 1 to 4 of the thesis, or one's own
load(path)              open one: Dataset with its Subsets
Fold(data, i, k)        an open one without the people of fold i, which are its test images
read(source)            the images of a source as they are: Originals
read_unlabelled(source, size)   images of a folder without classes
Recipe, transform       what a set of one's own consists of (see `loaders.sets.transforms`)
views(images, names, size)      the views of images by name
write_csv(path)         drawn faces in the layout of FER2013
DataError               what every bad input ends in

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
