"""Models as safetensors: arrays under their names, texts in the metadata of the header. Nothing in them can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from utils.files.checksums import ModelError
from utils.files.extras import need

if TYPE_CHECKING:
    from pathlib import Path


def write_safetensors(flat: dict[str, Any], name: str, version: int) -> bytes:
    """The contents of a file.

    Parameters
    ----------
    flat : dict of str to str or array
    name, version : str, int
        Of the format.
    """
    library = need('safetensors.numpy', 'export', 'to write safetensors')
    texts = {key: value for key, value in flat.items() if isinstance(value, str)}
    arrays = {key: np.ascontiguousarray(value) for key, value in flat.items() if not isinstance(value, str)}
    return library.save(arrays, {'format': name, 'version': str(version), **texts})


def read_safetensors(path: Path) -> dict:
    """Texts and arrays of a file by name, with 'format' and 'version'.

    Raises
    ------
    ModelError
        The file is damaged, or an array lies outside it.
    """
    library = need('safetensors', 'export', 'to read safetensors')
    try:
        with library.safe_open(path, framework='numpy') as file:
            texts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    except library.SafetensorError as error:
        raise ModelError(f'it is damaged or no safetensors file ({error})') from None
    twice = sorted(set(texts) & set(arrays))
    if twice:
        raise ModelError(f'{twice[0]!r} is there twice')
    version = texts.get('version', '')
    return {
        **texts,
        **arrays,
        'format': texts.get('format'),
        'version': int(version) if version.isdecimal() else version,
    }
