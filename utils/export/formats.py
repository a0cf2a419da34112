"""The export formats of models by name. Each is a function with the decorator `format`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.layer import parameters

if TYPE_CHECKING:
    from utils.annotations import Shared, StrPath

FORMATS: dict[str, Format] = {}


@dataclass(frozen=True)
class Format:
    """A format of exported models.

    Attributes
    ----------
    name : str
        Name on the command line.
    suffix : str
        Ending of the files, with the dot.
    encode : callable
        Function ``encode(exported) -> bytes`` that returns the file contents of an `Exported`.
    """

    name: str
    suffix: str
    encode: Callable[[Exported], bytes]


@dataclass(frozen=True, eq=False)
class Exported:
    """A model to export.

    Attributes
    ----------
    network : Layer
        Network with its parameters.
    config : dict
        Configuration as in a model file: 'options', 'classes', 'im_dim', 'temperature', ...
    """

    network: Any
    config: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Shared]:
        """Shared variables of the network by name."""
        return parameters(self.network)


def format(name: str, suffix: str) -> Callable[..., Any]:  # noqa: A001  (the natural name in this module)
    """Register a function that returns the contents of files of this format; a decorator."""

    def register(encode):
        FORMATS[name] = Format(name, suffix, encode)
        return encode

    return register


def format_of(name: str | None, out: StrPath | None) -> Format:
    """Return the format with a name or, if the name is None, with the ending of a file.

    Raises
    ------
    ValueError
        The name or the ending is unknown.
    """
    known = ', '.join(FORMATS)
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f'format must be one of {known}, got {name!r}')
        return FORMATS[name]
    if out is None:
        raise ValueError(f'export needs a format, one of {known}, or a file with the ending of one of them')
    for one in FORMATS.values():
        if Path(out).suffix == one.suffix:
            return one
    raise ValueError(f"no format has the ending of '{out}': give one of {known}")
