"""What values arguments take: read from words of a command line, and checked and brought into their plain form.

==================  ===========================================================================
`Number`, `Whole`   numbers in a range
`Flag`              True or False
`Choice`            one of a few
`Text`              a text of one line
`Location`          a path
`Several`           a list of values of one kind
`Fold`              fold i of k
`Table`             a dict
`Function`          something that can be called
`Own`               a name of symfer's, or a class or function of the user's own
==================  ===========================================================================

A kind is a light object: nothing here imports PyTensor, JAX or NumPy, so that the command line answers at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from utils.experiment.values import Unfit, is_number, plain


class Kind:
    """A kind of values.

    Attributes
    ----------
    wanted : str
        What a value is to be, as a message says it: "must be ...".
    metavar : str
        As the help of the command line shows a value.
    choices : tuple of str
        All there are, where they are few.
    count : None, '*', '+' or int
        Words of a list on the command line; None for one word.
    """

    wanted, metavar, choices, count = 'a value', 'VALUE', (), None

    def check(self, value: Any) -> Any:
        """The value in its plain form.

        Raises
        ------
        Unfit
            It is not of this kind.
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
        """The value of one word of a command line; ValueError where it is none."""
        return word


class Number(Kind):
    """A finite number: above `above`, at least `least`, below `below`, at most `most`."""

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
    """A whole number from `least` on, below `below`; a float without a fraction will do."""

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
    """True or False; 1 and 0 will do."""

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
    wanted : str
    count : '*', '+' or int
        How many; '+' is one at least.
    single : {'no', 'list', 'stays'}
        Whether one value will do, and what becomes of it: a list of one, or itself.
    most : int
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
    """Fold i of k, (i, k) or a text ``i/k``; its plain form is a list."""

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
    """A dict by names, made of numbers, texts, booleans and lists of them."""

    wanted, metavar = 'a dict', 'JSON'

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)

    def read(self, word: str) -> Any:
        """What a JSON text holds; a wrong one is quoted where it is wrong."""

        def table(pairs):
            keys = [key for key, _ in pairs]
            twice = [key for key in keys if keys.count(key) > 1]
            if twice:
                raise ValueError(f'{twice[0]!r} stands twice in it')
            return dict(pairs)

        try:
            return json.loads(word, object_pairs_hook=table)
        except json.JSONDecodeError as error:
            rest = word[error.pos : error.pos + 20]
            raise ValueError(f'{error.msg} at {rest!r}' if rest else f'{error.msg} at its end') from None
        except RecursionError:
            raise ValueError('it has too many levels') from None


class Function(Kind):
    """Something that can be called; there is no word for it."""

    wanted = 'a function'

    def check(self, value: Any) -> Callable[..., Any]:
        if not callable(value):
            raise Unfit
        return value


class Own(Kind):
    """A name of symfer's, or what it stands for, or a class or function of the user's own.

    Parameters
    ----------
    wanted : str
    form : str
        'Class' or 'function': how one in a script is named, ``script.py:Class``; '' where that is not possible.
    choices : tuple of str
        The names.
    table : bool
        A dict, or True, is taken too.
    """

    def __init__(self, wanted: Any, form: str = '', choices: Sequence[str] = (), table: bool = False) -> None:
        self.wanted, self.choices, self.table = wanted, choices, table
        self.metavar = 'JSON' if table else f'NAME|FILE:{form.upper()}' if form else '{' + ','.join(choices) + '}'

    def check(self, value: Any) -> Any:
        return value  # `utils.experiment.arguments` resolves it, which knows the names

    def read(self, word: str) -> Any:
        return Table().read(word) if self.table else word
