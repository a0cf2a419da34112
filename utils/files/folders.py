"""New and numbered folders, in which no file is overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utils.annotations import StrPath


def new_folder(path: StrPath, error: type = ValueError) -> Path:
    """Create a folder if it does not exist and return its path; raise `error` if it is not empty."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise error(f"the folder '{path}' is not empty: choose a new or empty folder")
    return path


def numbered_folder(parent: Path, word: str = 'run', make: bool = True) -> Path:
    """Return the next free folder ``parent/word-001``, ``word-002``, ...; with `make`, no two callers get the same."""
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    last = max(
        (int(p.name.rpartition('-')[2]) for p in parent.glob(f'{word}-[0-9]*') if p.name.rpartition('-')[2].isdigit()),
        default=0,
    )
    while True:
        last += 1
        folder = parent / f'{word}-{last:03d}'
        try:
            if make:
                folder.mkdir()
            return folder
        except FileExistsError:
            continue
