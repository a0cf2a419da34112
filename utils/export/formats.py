"""The formats that models are exported in, by name: each is a function with the decorator `format`."""

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
        On the command line.
    suffix : str
        Of its files, with the dot.
    encode : callable
        ``encode(exported) -> bytes``: the contents of the file of an `Exported`.
    """

    name: str
    suffix: str
    encode: Callable[[Exported], bytes]


@dataclass(frozen=True, eq=False)
class Exported:
    """A model that is to be written.

    Attributes
    ----------
    network : Layer
        With its parameters.
    config : dict
        As in a model file: 'options', 'classes', 'im_dim', 'temperature', ...
    """

    network: Any
    config: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Shared]:
        """The shared variables of the network by name."""
        return parameters(self.network)


def format(name: str, suffix: str) -> Callable[..., Any]:  # noqa: A001  (in this module it is the word)
    """Decorator: the function makes the contents of files of this format."""

    def register(encode):
        FORMATS[name] = Format(name, suffix, encode)
        return encode

    return register


def format_of(name: str | None, out: StrPath | None) -> Format:
    """The format of a name or, where none is given, of the ending of a file.

    Raises
    ------
    ValueError
        No format is so called, or none has that ending.
    """
    known = ', '.join(FORMATS)
    if name is not None:
        if name not in FORMATS:
            raise ValueError(f'format must be one of {known}, got {name!r}')
        return FORMATS[name]
    if out is None:
        raise ValueError(f'export needs a format, one of {known}, or a file that ends as one of them')
    for one in FORMATS.values():
        if Path(out).suffix == one.suffix:
            return one
    raise ValueError(f"no format ends as '{out}' does: give one of {known}")
