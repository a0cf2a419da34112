"""The registry of commands: name -> function, in the order of the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

COMMANDS = {}


def command(name: str) -> Callable[..., Any]:
    """Decorator that registers a function as the command `name`, of one or two words."""

    def enter(function):
        COMMANDS[name] = function
        return function

    return enter
