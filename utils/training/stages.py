"""The registry of the stages of the methodology, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """A stage, which is a method of `utils.training.trainer.Trainer`.

    Attributes
    ----------
    name : str
        Name of the method, also used in histories, terminal lines and files.
    order_seed : int
        Part of the seed of the order of images. Never renumber: the results of every run would change.
    label : str
        Name in figures.
    follows : bool
        Whether the stage continues with the parameters of the one before; otherwise it starts afresh.
    only_with : str
        Setting without which the stage is skipped; '' for a stage that every run has.
    """

    name: str
    order_seed: int
    label: str
    follows: bool = False
    only_with: str = ''


STAGES: dict[str, Stage] = {}
DONE = 'done'  # after the last stage


def stage(order_seed: int, label: str, follows: bool = False, only_with: str = '') -> Callable[..., Any]:
    """Decorator that registers a method as the next stage; arguments as of `Stage`."""

    def enter(method):
        STAGES[method.__name__] = Stage(method.__name__, order_seed, label, follows, only_with)
        return method

    return enter


def names(settings: Any) -> list[str]:
    """Names of the stages of a run with these settings, in their order, and `DONE`."""
    return [one.name for one in STAGES.values() if not one.only_with or getattr(settings, one.only_with)] + [DONE]


def after(name: str, settings: Any) -> str:
    """Name of the stage after `name`; `DONE` after the last."""
    every = names(settings)
    return every[every.index(name) + 1]
