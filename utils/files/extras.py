"""Libraries that come with an extra of symfer and may not be installed."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtra(ModuleNotFoundError):
    """A library is not installed; says which command installs it."""


def need(module: str, extra: str, purpose: str) -> Any:
    """Import a library of an extra.

    Parameters
    ----------
    module : str
        Its name for `import`.
    extra : str
        The extra of symfer that brings it.
    purpose : str
        What it is needed for, as the end of a sentence: 'to export to ONNX'.

    Raises
    ------
    MissingExtra
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f'{(error.name or module).partition(".")[0]} is needed {purpose} and is not installed: '
            f'pip install -e ".[{extra}]" in symfer\'s folder'
        ) from None
