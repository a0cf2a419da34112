"""The trials of a sweep: every combination of a grid and seeds, each with a name."""

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
    """Parse texts ``name=value,value`` to lists of values. Commas inside brackets belong to the value.

    Values are read as YAML: numbers, true and false, lists, or otherwise text.

    Raises
    ------
    ValueError
        A text has another form, or a name occurs twice.
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


def trial_name(options: dict[str, Any]) -> str:
    """Return the name of a trial for files and tables, such as ``learning_rate=0.05_n_hidden=8-8_seed=1``."""

    def short(value):
        if isinstance(value, (list, tuple)):
            return '-'.join(map(short, value))
        if isinstance(value, dict):
            return '-'.join(f'{key}{short(one)}' for key, one in value.items())
        return f'{value:g}' if isinstance(value, float) else getattr(value, '__name__', str(value))

    text = '_'.join(f'{key}={short(value)}' for key, value in options.items())
    return re.sub(r'[^\w=.+-]', '-', text)


def make_trials(grid: dict[str, Any], seeds: Sequence[int], prefix: StrPath) -> list[dict[str, Any]]:
    """Combine every combination of a grid with every seed.

    Parameters
    ----------
    grid : dict of str to list
        Values of arguments of `test`.
    seeds : sequence of int
        Seeds.
    prefix : path
        Prefix of the model files, ``<prefix>_<name of the trial>.h5``.

    Returns
    -------
    list of dict
        Arguments that each trial adds to the common ones: its values, 'seed' and 'savename'.

    Raises
    ------
    ValueError
        The grid has an argument that cannot be swept, no values for one, or two equal trials.
    """
    for name, values in grid.items():
        if name in ('seed', 'savename', 'resume'):
            raise ValueError(f'a sweep cannot vary {name}' + (': use seeds' if name == 'seed' else ''))
        if not isinstance(values, (list, tuple)) or not values:
            raise ValueError(f'the grid must have a list of values for {name}, got {values!r}')
    out = []
    for values in itertools.product(*grid.values()):
        for seed in seeds:
            own = {**dict(zip(grid, values)), 'seed': seed}
            out.append({**own, 'savename': f'{prefix}_{trial_name(own)}.h5'})
    names = [trial['savename'] for trial in out]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f'two trials of the sweep are the same: {min(twice)}')
    return out
