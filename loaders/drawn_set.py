"""The sample set."""
from pathlib import Path

from utils.files.locks import lock
from utils.files.terminal import write_line

from .building import build
from .sample import write_csv


def sample_set(folder='datasets', say=write_line):
    """The path of the sample set: drawn faces with mirror images; made if it is not there yet.

    FER2013 may not be redistributed. These faces are drawn from the facial action units of each emotion, see
    `loaders.sample`; figures on them say nothing about photographs.
    """
    path = Path(folder) / 'sample_set2.h5'
    if not path.exists():
        say('Drawing sample faces; README.md tells how to get FER2013 in.')
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path):                  # another process may be at it
            if not path.exists():
                csv = write_csv(path.with_name('sample.csv'))
                build(csv, sets=(2,), out=folder, prefix='sample_', log=lambda *line: None)
    return path
