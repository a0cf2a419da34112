"""Models as safetensors: arrays under their names, texts in the metadata of the header. Nothing in them can run."""

import numpy as np

from utils.files.checksums import ModelError
from utils.files.extras import need


def write_safetensors(flat, name, version) -> bytes:
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


def read_safetensors(path) -> dict:
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
