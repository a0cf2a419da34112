"""The error that any bad input raises, and helpers that make names printable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DataError(ValueError):
    """A source, an image, a row or a data set cannot be used. The message is one line that says where and why."""


class NoLabels(DataError):
    """A table of images has no labels."""


def visible(text: str) -> str:
    r"""Return the text with unprintable characters replaced by escapes such as `\x1b`."""
    return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def check_class_names(names: Sequence[str], where: str | Path) -> None:
    """Raise DataError unless each class name is a non-blank, printable line."""
    for name in names:
        if not name.strip() or not name.isprintable():
            raise DataError(
                f'{where}: class folder or name {ascii(name)} is blank or has characters that cannot be '
                'printed; rename it'
            )
