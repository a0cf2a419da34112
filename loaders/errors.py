"""The one error that bad input of any kind ends in, and names as they can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DataError(ValueError):
    """A source, an image, a row or a data set cannot be used; one line says where and why."""


class NoLabels(DataError):
    """A table of images without labels."""


def visible(text: str) -> str:
    r"""Text with its control characters and what else cannot be printed as escapes, as `\x1b`."""
    return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def check_class_names(names: Sequence[str], where: str | Path) -> None:
    """Raise DataError unless each name of a class can be printed, and stored, as one line."""
    for name in names:
        if not name.strip() or not name.isprintable():
            raise DataError(
                f'{where}: class folder or name {ascii(name)} is blank or has characters that cannot be '
                'printed; rename it'
            )
