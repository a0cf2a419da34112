"""Checksums of the entries of a model file, and the error for bad files."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


class ModelError(ValueError):
    """A model file is invalid or damaged."""


def checksums(flat: dict[str, Any]) -> dict[str, str]:
    """Compute the SHA-256 of every entry, in hex by name: of text, or of the type, shape and bytes of an array."""
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
