"""The points of a sweep: every combination of a grid and seeds, with a name each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml

from utils.files import yaml_

if TYPE_CHECKING:
    from utils.annotations import StrPath


def parse_grid(texts: Sequence[str]) -> dict[str, list[float]]:
    """Lists of values from texts ``name=value,value``; commas inside brackets belong to the value.

    Values are read as YAML: numbers, true and false, lists, else texts.
    """
    grid = {}
    for text in texts:
        name, equals, values = text.partition('=')
        parts = re.findall(r'(?:\[[^\]]*\]|\{[^}]*\}|[^,\[\{])+', values)
        if not equals or not name or not parts or ','.join(parts) != values:
            raise ValueError(f"expected argument=value,value,..., got '{text}'")
        if name in grid:
            raise ValueError(f"'{name}' is given twice")
        try:
            grid[name] = [yaml_.load_yaml(part) for part in parts]
        except (ValueError, yaml.YAMLError):
            raise ValueError(f"the values of '{text}' cannot be read") from None
    return grid


def point_name(options: dict[str, Any]) -> str:
    """A name for file and table: ``learning_rate=0.05_n_hidden=8-8_seed=1``."""

    def short(value):
        if isinstance(value, (list, tuple)):
            return '-'.join(map(short, value))
        if isinstance(value, dict):
            return '-'.join(f'{key}{short(one)}' for key, one in value.items())
        return f'{value:g}' if isinstance(value, float) else getattr(value, '__name__', str(value))

    text = '_'.join(f'{key}={short(value)}' for key, value in options.items())
    return re.sub(r'[^\w=.+-]', '-', text)


def points(grid: dict[str, Any], seeds: Sequence[int], prefix: StrPath) -> list[dict[str, Any]]:
    """Every combination of a grid with every seed.

    Parameters
    ----------
    grid : dict of str to list
    seeds : sequence of int
    prefix : path
        Model files are ``<prefix>_<name of the point>.h5``.

    Returns
    -------
    list of dict
        What each point adds to the common arguments: its values, 'seed' and 'savename'.
    """
    for name, values in grid.items():
        if name in ('seed', 'savename', 'resume'):
            raise ValueError(f'a sweep cannot be over {name}' + (': use seeds' if name == 'seed' else ''))
        if not isinstance(values, (list, tuple)) or not values:
            raise ValueError(f'the grid must have a list of values for {name}, got {values!r}')
    out = []
    for values in itertools.product(*grid.values()):
        for seed in seeds:
            own = {**dict(zip(grid, values)), 'seed': seed}
            out.append({**own, 'savename': f'{prefix}_{point_name(own)}.h5'})
    names = [point['savename'] for point in out]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f'two points of the sweep are the same: {min(twice)}')
    return out
