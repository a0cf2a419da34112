"""What of training is saved and restored, and checks of saved arrays against the network that they are for."""

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


class Resumable:
    """What of a trainer is saved and restored: `Engine` and `Trainer` make epochs and stages of it.

    Attributes
    ----------
    functions : Functions
    stage, epoch, history
        The place in the stages, and a row of figures for every epoch.
    kept, trained : dict of str to array or None
        Arrays at the kept epoch, at the end of stage train.
    """

    ROW: tuple[str, ...]
    functions: Functions
    settings: Settings
    stage: str
    epoch: int
    history: list[dict[str, Any]]
    kept: dict[str, np.ndarray] | None
    trained: dict[str, np.ndarray] | None

    def arrays(self) -> dict[str, np.ndarray]:
        """Parameters, optimiser state and draw counter by path, as NumPy arrays of their own."""
        return {path: np.array(p.get_value(borrow=True)) for path, p in self._targets().items()}

    def _targets(self):
        f = self.functions
        out = {f'parameters/{name}': p for name, p in f.parameters.items()}
        return {**out, **{f'optimiser/{name}': p for name, p in f.state.items()}, 'counter': f.counter}

    def set_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Put back what `arrays` gave."""
        targets = self._targets()
        check_state(arrays, {path: p.type.shape for path, p in targets.items()})
        for path, p in targets.items():
            backend.to_device(p, np.array(arrays[path], dtype=p.dtype))

    def state(self) -> dict[str, Any]:
        """Everything needed to go on: arrays now, at the kept epoch, at the end of stage train; place; history."""
        return {
            'arrays': self.arrays(),
            'kept': self.kept,
            'trained': self.trained,
            'stage': self.stage,
            'epoch': self.epoch,
            'history': [dict(row) for row in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a state that `state` gave, of this trainer or of another of the same configuration."""
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
        self.kept, self.trained = state['kept'], state['trained']
        self.stage, self.epoch = state['stage'], state['epoch']
        self.history = [dict(row) for row in state['history']]
        self._measured = False  # batch norm's statistics, with the current weights
        self.last = self.state()
