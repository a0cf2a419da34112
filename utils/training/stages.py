"""The stages of the methodology, registered where they are written, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """A stage, a method of `utils.training.trainer.Trainer`.

    Attributes
    ----------
    name : str
        Of the method; in histories, lines and files.
    order_seed : int
        Part of the seed of its orders of images. Never renumber: the figures of every run would change.
    label : str
        In figures.
    follows : bool
        Whether it goes on with the parameters of the stage before; else it begins anew.
    only_with : str
        The setting without which it is left out; '' of a stage that every run has.
    """

    name: str
    order_seed: int
    label: str
    follows: bool = False
    only_with: str = ''


STAGES: dict[str, Stage] = {}
DONE = 'done'  # after the last stage


def stage(order_seed: int, label: str, follows: bool = False, only_with: str = '') -> Callable[..., Any]:
    """Decorator: a method is the next stage."""

    def enter(method):
        STAGES[method.__name__] = Stage(method.__name__, order_seed, label, follows, only_with)
        return method

    return enter


def names(settings: Any) -> list[str]:
    """The stages of a run with these settings in their order, and `DONE`."""
    return [one.name for one in STAGES.values() if not one.only_with or getattr(settings, one.only_with)] + [DONE]


def after(name: str, settings: Any) -> str:
    """The name of the stage after one; `DONE` after the last."""
    every = names(settings)
    return every[every.index(name) + 1]
