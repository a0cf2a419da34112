"""The default reporter of a `Trainer`."""

from __future__ import annotations

from typing import Any


class NullReporter:
    """Ignores all calls. A reporter is called at every epoch and minibatch, see `utils.experiment.console.Console`."""

    def epoch_begins(self, stage: str, epoch: int, n_epochs: int, n_images: int) -> None:
        pass

    def compiling(self, what: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def minibatch(self, count: int, cost: Any) -> None:
        pass

    def epoch_ends(self, row: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass
