"""Checks of saved arrays against the network that they are for."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from utils.layer import other_names


def without_aliases(arrays: dict[str, np.ndarray], shapes: dict[str, Any], network: Any) -> dict[str, np.ndarray]:
    """Saved arrays without those that earlier versions saved again under other names of a layer or parameter.

    Parameters
    ----------
    arrays : dict of str to array
    shapes : dict of str to tuple
        What is wanted, by name.
    network : Layer
    """
    others, out = other_names(network), dict(arrays)
    for path in [path for path in arrays if path not in shapes]:
        for other, first in others.items():
            again = re.sub(rf'(?<![^/.]){re.escape(other)}(?![^.])', lambda _, first=first: first, path, count=1)  # type: ignore[misc]
            if again != path and again in shapes and again in arrays and np.array_equal(arrays[path], arrays[again]):
                out.pop(path, None)
    return out


def check_state(arrays: dict[str, np.ndarray], shapes: dict[str, Any], dtypes: dict[str, str] | None = None) -> None:
    """Check that saved arrays fit the parameters they are for.

    Parameters
    ----------
    arrays : dict of str to array
    shapes : dict of str to tuple
        Shapes wanted, by name.
    dtypes : dict of str to str, optional
        Types wanted, by name.

    Raises
    ------
    ValueError
        Lists missing names, unexpected names and names of another shape or type.
    """
    missing = [name for name in shapes if name not in arrays]
    unexpected = [name for name in arrays if name not in shapes]
    other = [
        f'{name} {np.shape(arrays[name])} for {tuple(shapes[name])}'
        for name in shapes
        if name in arrays and tuple(np.shape(arrays[name])) != tuple(shapes[name])
    ]
    types = [
        f'{name} {arrays[name].dtype} for {dtypes[name]}'
        for name in dtypes or ()
        if name in arrays and arrays[name].dtype != dtypes[name]
    ]
    lines = [
        f'{word}: {", ".join(names)}'
        for word, names in (
            ('missing', missing),
            ('unexpected', unexpected),
            ('of another shape', other),
            ('of another type', types),
        )
        if names
    ]
    if lines:
        raise ValueError('the saved model is of another architecture; ' + '; '.join(lines))
