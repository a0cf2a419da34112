"""Checksums of the entries of a model file, and the error that a bad file ends in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


class ModelError(ValueError):
    """A model file that is not what it should be."""


def checksums(flat: dict[str, Any]) -> dict[str, str]:
    """SHA-256 in hex of every entry, by name: of texts, and of type, shape and bytes of arrays."""
    out = {}
    for name, value in flat.items():
        if isinstance(value, str):
            out[name] = hashlib.sha256(value.encode()).hexdigest()
        else:
            value = np.asarray(value)
            digest = hashlib.sha256(f'{value.dtype.str} {value.shape} '.encode())
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
            out[name] = digest.hexdigest()
    return out
