"""The output of an experiment: lines and a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from utils.files.terminal import visible, write_line
from utils.training.rules import RULES

if TYPE_CHECKING:
    from utils.annotations import Row


class Console:
    """Reports a running experiment on the terminal.

    Parameters
    ----------
    verbose : {0, 1, 2}
        0 prints nothing; 1 prints a line per epoch and, on a terminal, shows a progress bar; 2 also prints what happens
        between epochs.
    on_epoch : callable, optional
        Function called with the entry of each epoch after it has ended and was saved.
    """

    def __init__(self, verbose: int = 1, on_epoch: Callable[..., Any] | None = None) -> None:
        self.verbose, self.on_epoch = verbose, on_epoch
        self.progress: Any = None
        self.terminal = Terminal()
        self.best, self.lines, self.cost = None, [], ''
        self.log: Path | None = None
        self.rule, self.cost_name = RULES['entropy'], 'cross-entropy'
        self.n_epochs = None  # of the current stage
        self.check = lambda: None  # called at every minibatch

    def write_to(self, path: Path) -> None:
        """Write all lines to a log file too, past and future ones."""
        self.log = Path(path)
        self.log.write_text(''.join(self.lines), encoding='utf-8')

    def follow(self, rule: str, history: Sequence[Row], cost: str = 'cross-entropy') -> None:
        """Track the best epoch by a rule, starting from the history of a resumed run."""
        self.rule, self.cost_name = RULES[rule], cost
        self.best = self.rule.best(row for row in history if row['stage'] == 'train')

    def info(self, text: str = '') -> None:
        """Write a line to the log and, unless `verbose` is 0, to the terminal."""
        self._print(text, 1)

    def debug(self, text: str) -> None:
        """Write a line to the log and, if `verbose` is 2, to the terminal."""
        self._print(text, 2)

    def _print(self, text, level):
        self._write(text)
        if self.verbose < level:
            return
        if self.progress:  # above the progress bar, without markup, colours or line wrapping
            self.progress.console.print(visible(text), markup=False, highlight=False, soft_wrap=True)
        elif not write_line(text):
            self.verbose = 0
            self._write('standard output is closed: further output goes to this log only')

    def _write(self, text):
        text = visible(text)
        self.lines.append(f'{text}\n')
        if not self.log:
            return
        try:
            with open(self.log, 'a', encoding='utf-8') as file:
                file.write(f'{text}\n')
        except OSError as error:  # on a full disk the model matters more
            print(f"the log '{self.log}' cannot be written: {error.strerror}", file=sys.stderr)
            self.log = None

    def epoch_begins(self, stage: str, epoch: int, n_epochs: int, n_images: int) -> None:
        self.shown, self.n_epochs = time.monotonic(), n_epochs
        if not self.verbose or not self.terminal.is_terminal:
            return
        if self.progress is None:
            self.progress = Progress(
                TextColumn('{task.description}'),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn('{task.fields[speed]}'),
                TextColumn('time left'),
                TimeRemainingColumn(),
                TextColumn('{task.fields[note]}'),
                console=self.terminal,
                transient=True,
            )
            self.task = None
            self.progress.start()
        if self.task is None or self.stage != stage:
            if self.task is not None:
                self.progress.remove_task(self.task)
            # One bar for the whole stage, so that the time left is that of the stage.
            self.task = self.progress.add_task('', total=(n_epochs - epoch + 1) * n_images, speed='', note='')
            self.stage, self.seen = stage, 0
        self.began, self.before = time.monotonic(), self.seen
        self.progress.update(self.task, description=f'{stage} {epoch}/{n_epochs}')

    def compiling(self, what: str) -> None:
        """Say what is being compiled, which delays the first minibatch."""
        self.info(f'compiling the {what}')

    def warn(self, text: str) -> None:
        self.info(f'warning: {text}')

    def minibatch(self, count: int, cost: Any) -> None:
        self.check()
        if not self.progress:
            return
        self.seen += count
        self.progress.advance(self.task, count)
        now = time.monotonic()
        if now - self.shown > 1:  # rarely, because reading a cost waits for the device
            self.shown, self.cost = now, f'cost {float(cost):.3f}'
            speed = (self.seen - self.before) / max(now - self.began, 1e-9)
            self.progress.update(self.task, speed=f'{speed:.0f} images/s', note=self._note())

    def _note(self):
        best = self.best and f'best epoch {self.best["epoch"]}: {self.best["validation_error"]:.2f} %'
        return ', '.join(filter(None, [self.cost, best]))

    def epoch_ends(self, row: dict[str, Any]) -> None:
        self.best = self.rule.best([self.best, row] if self.best else [row])
        self.info(epoch_line(row, self.n_epochs, self.cost_name))
        if self.on_epoch:
            self.on_epoch(dict(row))  # a copy: the callback cannot change the history

    def close(self) -> None:
        """Remove the progress bar."""
        if self.progress:
            self.progress.stop()
            self.progress = None


def epoch_line(row: dict[str, Any], n_epochs: int, cost: str = 'cross-entropy') -> str:
    """Format the line of an epoch, as in thesis 5.3; `n_epochs` is the length of its stage.

    ``train epoch 3/10, validation error 41.20 %, test error 42.03 % (...)``, or in stage pretrain
    ``pretrain conv2 3/5, reconstruction cost 0.5123 (...)``
    """
    speed = f'{row["images"] / row["seconds"]:.0f} images/s'
    if row['stage'] == 'pretrain':
        place = f'pretrain {row["layer"]} {row["epoch"]}/{n_epochs}'
        return f'{place}, reconstruction cost {row["train_cost"]:.4f} ({speed})'
    line = f'{row["stage"]} epoch {row["epoch"]}/{n_epochs}'
    if 'size' in row:
        line += f' at {row["size"]} px'
    if row['validation_error'] is not None:
        line += f', validation error {row["validation_error"]:.2f} %'
    else:
        line += f', train cost {row["train_cost"]:.4f}'
    if row['test_error'] is not None:
        line += f', test error {row["test_error"]:.2f} %'
    notes = [speed]
    if row['validation_error'] is not None:
        notes.insert(
            0, f'{cost}: train {row["train_cross_entropy"]:.4f}, validation {row["validation_cross_entropy"]:.4f}'
        )
    return f'{line} ({"; ".join(notes)})'
