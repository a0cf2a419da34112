"""The formats 'h5' and 'safetensors': the parameters by name, without what only training needs."""

from utils.export.formats import Exported, format
from utils.files import models


def _state(exported: Exported) -> dict:
    """Return the state of a model file without what only training needs."""
    arrays = {f'parameters/{name}': p.get_value() for name, p in exported.parameters.items()}
    return {'arrays': arrays, 'kept': None, 'trained': None, 'stage': 'done', 'epoch': 0, 'history': []}


@format('h5', '.h5')
def hdf5(exported: Exported) -> bytes:
    """Encode a model file without what only training needs."""
    return bytes(models.encode(_state(exported), exported.config, '.h5'))


@format('safetensors', '.safetensors')
def safetensors(exported: Exported) -> bytes:
    """Encode the same contents as safetensors, with the configuration in the header."""
    return bytes(models.encode(_state(exported), exported.config, '.safetensors'))
