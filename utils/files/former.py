"""Former names in files: keys of JSON files, arrays of logits.npz, columns of experiments.csv.

Files are written with the current names. Their readers also accept the names of earlier versions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

FORMER = {
    'twin': 'duplicate',
    'without_twins': 'without_duplicates',
    'error_without_twins': 'error_without_duplicates',
    'images_without_twins': 'images_without_duplicates',
    'kept_epoch': 'best_epoch',
}


def current(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return named values as a dict with their current names."""
    return {FORMER.get(name, name): value for name, value in items}


def parse_json(text: str) -> Any:
    """Parse JSON whose keys, at any depth, may have former names."""
    return json.loads(text, object_pairs_hook=current)
