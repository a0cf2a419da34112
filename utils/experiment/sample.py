"""The default data set of an experiment: drawn faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.files.former import accepts
from utils.files.locks import lock
from utils.files.terminal import write_line

if TYPE_CHECKING:
    from types import ModuleType

    from utils.annotations import StrPath


@accepts(say='info')
def sample_set(loaders: ModuleType, folder: StrPath = 'datasets', info: Callable[[str], Any] = write_line) -> Path:
    """Return the path of the sample set, drawn faces with their mirror images; make the set if it is missing.

    FER2013 may not be redistributed. These faces are drawn from the facial action units of each emotion, see
    `loaders.synthetic.sample`. Results on them say nothing about photographs.

    Parameters
    ----------
    loaders : module
        The package `loaders`, which utils may not import.
    folder : path
        Folder of the set.
    info : callable
        Function that prints a line; called before the faces are drawn.
    """
    path = Path(folder) / 'sample_set2.h5'
    if not path.exists():
        info('Drawing sample faces; README.md says how to import FER2013.')
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path):  # another process may be making it
            if not path.exists():
                csv = loaders.write_csv(path.with_name('sample.csv'))
                loaders.build(csv, sets=(2,), out=folder, prefix='sample_', info=lambda *line: None)
    return path
