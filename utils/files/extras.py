"""Optional libraries, which symfer's extras install."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtra(ModuleNotFoundError):
    """A library is not installed. The message has the command that installs it."""


def need(module: str, extra: str, purpose: str) -> Any:
    """Import a library of an extra.

    Parameters
    ----------
    module : str
        Name of the library for `import`.
    extra : str
        Extra of symfer that installs the library.
    purpose : str
        Purpose of the library as the end of a sentence, such as 'to export to ONNX'.

    Raises
    ------
    MissingExtra
        The library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f'{(error.name or module).partition(".")[0]} is needed {purpose} and is not installed: '
            f'pip install -e ".[{extra}]" in symfer\'s folder'
        ) from None
