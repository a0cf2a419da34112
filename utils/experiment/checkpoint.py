"""Writes the model file during training, and when something ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.experiment.signals import Terminated
from utils.files import atomic, models
from utils.training.stages import DONE

if TYPE_CHECKING:
    from utils.experiment.signals import SignalHandler
    from utils.training.trainer import Trainer


class Checkpoint:
    """Writes the model file every `save_every` epochs, and once more if something ends training.

    Parameters
    ----------
    path : Path
        Model file.
    config : dict
        Configuration saved with the parameters.
    save_every : int
        Number of epochs between writes.
    signals : SignalHandler
        Defers signals during a write.
    replaces : str or None
        The resumed model. If it is another file than `path`, an existing file at `path` is renamed first.
    info : callable
        Function that prints a line.
    recorded : callable
        Function of the trainer that writes the record of an epoch.
    """

    def __init__(
        self,
        path: Path,
        config: dict[str, Any],
        save_every: int,
        signals: SignalHandler,
        replaces: str | None,
        info: Callable[..., Any],
        recorded: Callable[..., Any],
    ) -> None:
        self.path, self.config, self.save_every, self.signals = path, config, save_every, signals
        self.info, self.recorded = info, recorded
        self.replaces = replaces is not None and Path(replaces).resolve() == path.resolve()
        self.written = None

    def __call__(self, trainer: Trainer) -> None:
        with self.signals.deferred():
            if trainer.epoch % self.save_every == 0:
                self.write(trainer.last)
            self.recorded(trainer)

    def write(self, state: dict[str, Any]) -> None:
        if not self.replaces:
            other = atomic.rotate(self.path)
            if other:
                self.info(f"'{self.path}' already existed; it was renamed to '{other}'")
            self.replaces = True
        models.save(self.path, state, self.config)
        self.written = state

    @contextmanager
    def guard(self, trainer: Trainer) -> Iterator[None]:
        """Block that trains; whatever ends it, the model file holds the last completed epoch."""
        try:
            yield
        except BaseException as error:
            self.signals.end()
            trainer.reporter.close()
            self._save_last(trainer, error)
            raise
        if self.written is None and not self.replaces:  # a finished model under a new name
            self.write(trainer.last)

    def _save_last(self, trainer, error):
        on_host = getattr(error, 'on_host', None)  # caused by another host
        what = (
            f'{on_host}: ended'
            if on_host
            else 'interrupted'
            if isinstance(error, KeyboardInterrupt)
            else 'terminated'
            if isinstance(error, Terminated)
            else f'ended by {type(error).__name__}'
        )
        if not trainer.history:
            self.info(f'{what} before the end of the first epoch; no model was written')
            return
        try:
            if self.written is not trainer.last:
                self.write(trainer.last)
        except OSError as failure:
            self.info(f'{what}; {failure}')
            return
        diverged = isinstance(error, FloatingPointError)
        place = 'training' if trainer.stage == DONE else f'{trainer.epoch} epochs of stage {trainer.stage}'
        self.info(
            f'{what} after {place}; '
            + (
                f"the last good epoch is in '{self.path}'"
                if diverged
                else f"resume with test(resume='{self.path}') or: python launch.py --resume {self.path}"
            )
        )
