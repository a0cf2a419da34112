"""Models as safetensors: arrays by name, and strings in the metadata of the header. The format cannot contain code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from utils.files.checksums import ModelError
from utils.files.extras import need

if TYPE_CHECKING:
    from pathlib import Path


def write_safetensors(flat: dict[str, Any], name: str, version: int) -> bytes:
    """Return the contents of a safetensors file.

    Parameters
    ----------
    flat : dict of str to str or array
        Strings and arrays by name.
    name, version : str, int
        Name and version of the format.
    """
    library = need('safetensors.numpy', 'export', 'to write safetensors')
    texts = {key: value for key, value in flat.items() if isinstance(value, str)}
    arrays = {key: np.ascontiguousarray(value) for key, value in flat.items() if not isinstance(value, str)}
    return library.save(arrays, {'format': name, 'version': str(version), **texts})


def read_safetensors(path: Path) -> dict:
    """Read the strings and arrays of a file by name, with 'format' and 'version'.

    Raises
    ------
    ModelError
        The file is damaged, or an array extends beyond it.
    """
    library = need('safetensors', 'export', 'to read safetensors')
    try:
        with library.safe_open(path, framework='numpy') as file:
            texts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except library.SafetensorError as error:
        raise ModelError(f'it is damaged or not a safetensors file ({error})') from None
    twice = sorted(set(texts) & set(arrays))
    if twice:
        raise ModelError(f'{twice[0]!r} occurs twice')
    version = texts.get('version', '')
    return {
        **texts,
        **arrays,
        'format': texts.get('format'),
        'version': int(version) if version.isdecimal() else version,
    }
