"""Which commands there are: name -> function, in the order of the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

COMMANDS = {}


def command(name: str) -> Callable[..., Any]:
    """Decorator: a function is the command `name`, of one word or two."""

    def enter(function):
        COMMANDS[name] = function
        return function

    return enter
