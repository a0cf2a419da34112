"""Saves and restores the state of training; checks saved arrays against their network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import backend
from utils.layer import other_names
from utils.training import stages

if TYPE_CHECKING:
    from utils.training.functions import Functions
    from utils.training.settings import Settings


def without_aliases(arrays: dict[str, np.ndarray], shapes: dict[str, Any], network: Any) -> dict[str, np.ndarray]:
    """Remove saved arrays that earlier versions duplicated under other names of a layer or parameter.

    Parameters
    ----------
    arrays : dict of str to array
    shapes : dict of str to tuple
        Expected shapes, by name.
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
    """Check that saved arrays fit their parameters.

    Parameters
    ----------
    arrays : dict of str to array
    shapes : dict of str to tuple
        Expected shapes, by name.
    dtypes : dict of str to str, optional
        Expected types, by name.

    Raises
    ------
    ValueError
        If they do not fit; the message lists missing names, unexpected names, and names of another shape or type.
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


class Resumable:
    """The state of a trainer that is saved and restored. `Engine` adds the epochs, `Trainer` the stages.

    Attributes
    ----------
    functions : Functions
    stage, epoch : str, int
        Current stage, and number of its completed epochs.
    history : list of dict
        A row of figures for every epoch.
    best_arrays, trained : dict of str to array or None
        Arrays at the best epoch and at the end of stage train.
    """

    ROW: tuple[str, ...]
    functions: Functions
    settings: Settings
    stage: str
    epoch: int
    history: list[dict[str, Any]]
    best_arrays: dict[str, np.ndarray] | None
    trained: dict[str, np.ndarray] | None

    def arrays(self) -> dict[str, np.ndarray]:
        """Parameters, optimiser state and draw counter by path, copied to NumPy arrays."""
        return {path: np.array(p.get_value(borrow=True)) for path, p in self._targets().items()}

    def _targets(self):
        f = self.functions
        out = {f'parameters/{name}': p for name, p in f.parameters.items()}
        return {**out, **{f'optimiser/{name}': p for name, p in f.state.items()}, 'counter': f.counter}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore a result of `arrays`."""
        targets = self._targets()
        check_state(arrays, {path: p.type.shape for path, p in targets.items()})
        for path, p in targets.items():
            backend.to_device(p, np.array(arrays[path], dtype=p.dtype))

    def state(self) -> dict[str, Any]:
        """Everything needed to resume: arrays now, at the best epoch and after stage train; stage, epoch, history."""
        return {
            'arrays': self.arrays(),
            'kept': self.best_arrays,
            'trained': self.trained,
            'stage': self.stage,
            'epoch': self.epoch,
            'history': [dict(row) for row in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`, from this trainer or another one of the same configuration."""
        shapes = {path: p.type.shape for path, p in self._targets().items()}
        dtypes = {path: p.dtype for path, p in self._targets().items()}
        state = {
            **state,
            **{
                group: without_aliases(state[group], shapes, self.functions.network)
                for group in ('arrays', 'kept', 'trained')
                if state[group] is not None
            },
        }
        for group in ('arrays', 'kept', 'trained'):
            if state[group] is not None:
                check_state(state[group], shapes, dtypes)
        done = [row['stage'] for row in state['history']]
        if (
            state['stage'] not in stages.names(self.settings)
            or (state['kept'] is None and self.settings.val and 'train' in done)
            or (state['trained'] is None and state['stage'] not in ('pretrain', 'train'))
            or any(set(self.ROW) - set(row) for row in state['history'])
        ):
            raise ValueError('the saved model is incomplete: the parameters or the history of an epoch are missing')
        self.set_arrays(state['arrays'])
        self.best_arrays, self.trained = state['kept'], state['trained']
        self.stage, self.epoch = state['stage'], state['epoch']
        self.history = [dict(row) for row in state['history']]
        self._measured = False  # whether batch norm's statistics are those of the current weights
        self.last = self.state()
