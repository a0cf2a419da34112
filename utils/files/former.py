"""Former names, which are still accepted.

==================  ===========================================================================
`FORMER`            keys of JSON files, arrays of logits.npz, columns of experiments.csv
`current`           named values under their current names
`parse_json`        JSON with current keys
`accepts`           decorator for functions whose arguments were renamed
==================  ===========================================================================

Files are written with the current names. Their readers also accept the names of earlier versions.
"""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

F = TypeVar('F', bound=Callable[..., Any])

FORMER = {
    'twin': 'duplicate',
    'without_twins': 'without_duplicates',
    'error_without_twins': 'error_without_duplicates',
    'images_without_twins': 'images_without_duplicates',
    'kept_epoch': 'best_epoch',
}


def current(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return named values as a dict with their current names."""
    return {FORMER.get(name, name): value for name, value in items}


def parse_json(text: str) -> Any:
    """Parse JSON whose keys, at any depth, may have former names."""
    return json.loads(text, object_pairs_hook=current)


def accepts(**former: str) -> Callable[[F], F]:
    """Decorator that accepts keyword arguments under their former names, with a warning: ``@accepts(say='info')``."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            for name in former.keys() & kwargs.keys():
                warnings.warn(f'{function.__name__}(): {name} is now {former[name]}', FutureWarning, stacklevel=2)
                kwargs[former[name]] = kwargs.pop(name)
            return function(*args, **kwargs)

        return cast(F, wrapper)

    return decorate
