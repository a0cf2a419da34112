"""Folders in which nothing is overwritten: new ones and numbered ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utils.annotations import StrPath


def new_folder(path: StrPath, error: type = ValueError) -> Path:
    """The folder of this path, made if need be; one that holds anything is refused, for nothing is overwritten."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise error(f"the folder '{path}' is not empty: nothing is overwritten")
    return path


def numbered_folder(parent: Path, word: str = 'run', make: bool = True) -> Path:
    """The next free folder ``parent/word-001``, ``word-002``, ...; no two callers that make it get the same."""
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
