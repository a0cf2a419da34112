"""Kinds of argument values: how each is parsed from the command line, validated and brought into its plain form.

==================  ===========================================================================
`Number`, `Whole`   numbers in a range
`Flag`              True or False
`Choice`            one of a few values
`Text`              a text of one line
`Location`          a path
`Several`           a list of values of one kind
`Fold`              fold i of k
`Table`             a dict
`Function`          a callable
`Own`               a name that symfer knows, or the user's own class or function
==================  ===========================================================================

Nothing here imports PyTensor, JAX or NumPy, so the command line starts fast.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from utils.experiment.values import Unfit, is_number, plain


class Kind:
    """Base class of the kinds of values.

    Attributes
    ----------
    wanted : str
        Description of a valid value in messages: "must be ...".
    metavar : str
        Placeholder of a value in the help of the command line.
    choices : tuple of str
        All valid values, if they are few.
    count : None, '*', '+' or int
        Number of words of a list on the command line; None for one word.
    """

    wanted, metavar, choices, count = 'a value', 'VALUE', (), None

    def check(self, value: Any) -> Any:
        """Validate a value and return it in its plain form.

        Raises
        ------
        Unfit
            If it is not of this kind.
        """
        value = plain(value)
        if not self.fits(value):
            raise Unfit
        return self.settled(value)

    def fits(self, value: Any) -> bool:
        raise NotImplementedError

    def settled(self, value: Any) -> Any:
        return value

    def read(self, word: str) -> Any:
        """Parse one word of the command line; ValueError if it is invalid."""
        return word


class Number(Kind):
    """A finite number: > `above`, >= `least`, < `below`, <= `most`."""

    metavar = 'NUMBER'

    def __init__(
        self,
        above: float | None = None,
        least: float | None = None,
        below: float | None = None,
        most: float | None = None,
    ) -> None:
        self.above, self.least, self.below, self.most = above, least, below, most
        self.wanted = (
            'a number'
            if above is least is None
            else f'a number > {above}' + (f' and <= {most}' if most is not None else '')
            if above is not None
            else f'a number >= {least}'
            if below is None
            else f'a number in [{least}, {below})'
        )

    def fits(self, value: Any) -> bool:
        return (
            is_number(value)
            and (self.above is None or value > self.above)
            and (self.least is None or value >= self.least)
            and (self.below is None or value < self.below)
            and (self.most is None or value <= self.most)
        )

    def read(self, word: str) -> float:
        return float(word)


class Whole(Kind):
    """A whole number >= `least` and < `below`; a float without a fraction is accepted."""

    metavar = 'N'

    def __init__(self, least: int = 0, below: int | None = None) -> None:
        self.least, self.below = least, below
        self.wanted = f'a whole number >= {least}'

    def check(self, value: Any) -> int:
        value = plain(value)
        if self.below is not None and is_number(value) and value >= self.below:
            raise Unfit(f'a whole number below 2**{self.below.bit_length() - 1}')
        return super().check(value)

    def fits(self, value: Any) -> bool:
        return is_number(value) and value == int(value) and value >= self.least

    def settled(self, value: Any) -> int:
        return int(value)

    def read(self, word: str) -> int:
        return int(word)


class Flag(Kind):
    """True or False; 1 and 0 are accepted."""

    wanted, metavar = 'True or False', None

    def fits(self, value: Any) -> bool:
        return isinstance(value, bool) or (is_number(value) and value in (0, 1))

    def settled(self, value: Any) -> bool:
        return bool(value)


class Choice(Kind):
    """One of a few texts or numbers."""

    def __init__(self, *values: Any, wanted: Any = None) -> None:
        self.values, self.choices = values, tuple(map(str, values))
        self.wanted = wanted or 'one of ' + ', '.join(self.choices)
        self.metavar = '{' + ','.join(self.choices) + '}'

    def fits(self, value: Any) -> bool:
        return any(value == one and type(value) is type(one) for one in self.values)

    def read(self, word: str) -> str | int:
        return dict(zip(self.choices, self.values)).get(word, word)


class Text(Kind):
    """A text of one line."""

    wanted = 'a text of one line'

    def __init__(self, metavar: str = 'TEXT') -> None:
        self.metavar = metavar

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and value.isprintable() and bool(value.strip())


class Location(Kind):
    """A path."""

    wanted = 'a path'

    def __init__(self, metavar: str = 'PATH') -> None:
        self.metavar = metavar

    def fits(self, value: Any) -> bool:
        return isinstance(value, (str, os.PathLike)) and bool(str(value)) and '\0' not in str(value)

    def settled(self, value: Any) -> str:
        return os.path.expanduser(value) if str(value).startswith('~') else value


class Several(Kind):
    """A list of values of one kind.

    Parameters
    ----------
    kind : Kind
        Kind of each value.
    wanted : str
    count : '*', '+' or int
        Number of values; '*' is any, '+' at least one.
    single : {'no', 'list', 'stays'}
        Whether a single value is refused, becomes a list of one, or stays as it is.
    most : int
        Largest length.
    """

    def __init__(self, kind: Any, wanted: Any, count: int | str = '*', single: str = 'no', most: int = 1000) -> None:
        self.kind, self.wanted, self.count, self.single, self.most = kind, wanted, count, single, most
        self.metavar, self.choices = kind.metavar, kind.choices

    def check(self, value: Any) -> float | Sequence[Any]:
        value = plain(value)
        if not isinstance(value, (list, tuple)):
            if self.single == 'no':
                raise Unfit
            one = self.kind.check(value)
            return one if self.single == 'stays' else [one]
        if (self.count == '+' and not value) or (isinstance(self.count, int) and len(value) != self.count):
            raise Unfit
        if len(value) > self.most:
            raise Unfit(f'a list of at most {self.most}')
        try:
            return [self.kind.check(one) for one in value]
        except Unfit:
            raise Unfit from None  # the error names the list, not its entry

    def read(self, word: str) -> Any:
        return self.kind.read(word)


class Fold(Kind):
    """Fold i of k, as (i, k) or a text ``i/k``; its plain form is a list."""

    wanted, metavar = 'a fold i of k with 1 <= i <= k and k >= 2, as 3/10 or (3, 10)', 'I/K'

    def check(self, value: Any) -> list[int]:
        value = plain(value)
        if isinstance(value, str):
            value = [int(part) if part.isdecimal() else part for part in value.split('/')]
        whole = isinstance(value, (list, tuple)) and len(value) == 2 and all(type(part) is int for part in value)
        if not (whole and 1 <= value[0] <= value[1] >= 2):
            raise Unfit
        return list(value)


class Table(Kind):
    """A dict with string keys, made of numbers, texts, booleans and lists of them."""

    wanted, metavar = 'a dict', 'JSON'

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)

    def read(self, word: str) -> Any:
        """Parse a JSON text; the error quotes the text at the position of the mistake."""

        def table(pairs):
            keys = [key for key, _ in pairs]
            twice = [key for key in keys if keys.count(key) > 1]
            if twice:
                raise ValueError(f'it has {twice[0]!r} twice')
            return dict(pairs)

        try:
            return json.loads(word, object_pairs_hook=table)
        except json.JSONDecodeError as error:
            rest = word[error.pos : error.pos + 20]
            raise ValueError(f'{error.msg} at {rest!r}' if rest else f'{error.msg} at its end') from None
        except RecursionError:
            raise ValueError('it has too many levels') from None


class Function(Kind):
    """A callable; the command line cannot give one."""

    wanted = 'a function'

    def check(self, value: Any) -> Callable[..., Any]:
        if not callable(value):
            raise Unfit
        return value


class Own(Kind):
    """A name that symfer knows, the object it names, or the user's own class or function.

    Parameters
    ----------
    wanted : str
    form : str
        'Class' or 'function' if the user's own is named as ``script.py:Class``; '' if it cannot be named.
    choices : tuple of str
        The known names.
    table : bool
        Also accept a dict or True.
    """

    def __init__(self, wanted: Any, form: str = '', choices: Sequence[str] = (), table: bool = False) -> None:
        self.wanted, self.choices, self.table = wanted, choices, table
        self.metavar = 'JSON' if table else f'NAME|FILE:{form.upper()}' if form else '{' + ','.join(choices) + '}'

    def check(self, value: Any) -> Any:
        return value  # resolved by `utils.experiment.arguments`, which knows the names

    def read(self, word: str) -> Any:
        return Table().read(word) if self.table else word
