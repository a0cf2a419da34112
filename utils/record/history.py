"""The history of a run, history.csv, with one row per epoch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING

from utils.files.atomic import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from utils.annotations import Row


def write_history(history: Sequence[Row], path: Path) -> None:
    """Write one CSV row per epoch."""
    history = [{**row, 'images_per_second': round(row['images'] / row['seconds'], 1)} for row in history]
    with atomic_write(path) as temporary, open(temporary, 'w', newline='') as file:
        names = dict.fromkeys(name for row in history for name in row)  # rows of stage pretrain also have a layer
        writer = csv.DictWriter(file, fieldnames=list(names) or ['epoch'])
        writer.writeheader()
        writer.writerows(history)
