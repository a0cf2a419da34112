"""The data set of an experiment that names none: drawn faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.files.locks import lock
from utils.files.terminal import write_line

if TYPE_CHECKING:
    from types import ModuleType

    from utils.annotations import StrPath


def sample_set(loaders: ModuleType, folder: StrPath = 'datasets', say: Callable[[str], Any] = write_line) -> Path:
    """The path of the sample set: drawn faces with mirror images; made if it is not there yet.

    FER2013 may not be redistributed. These faces are drawn from the facial action units of each emotion, see
    `loaders.synthetic.sample`; figures on them say nothing about photographs.

    Parameters
    ----------
    loaders : module
        The package `loaders`, which utils may not import.
    folder : path
        Where the set is, or is made.
    say : callable
        Is given a line before the faces are drawn.
    """
    path = Path(folder) / 'sample_set2.h5'
    if not path.exists():
        say('Drawing sample faces; README.md tells how to get FER2013 in.')
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path):  # another process may be at it
            if not path.exists():
                csv = loaders.write_csv(path.with_name('sample.csv'))
                loaders.build(csv, sets=(2,), out=folder, prefix='sample_', log=lambda *line: None)
    return path
