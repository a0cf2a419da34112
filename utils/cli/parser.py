"""Makes the argparse parser of a command from its function, with one-line errors and grouped options.

The result of a parser only has the options that were given; defaults are those of the functions.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from utils.cli.registry import COMMANDS
from utils.cli.source import described
from utils.experiment import schema
from utils.experiment.kinds import Flag, Location, Several, Table
from utils.experiment.suggestions import did_you_mean
from utils.experiment.values import Unfit

if TYPE_CHECKING:
    from argparse import Namespace


LAUNCH = Path(__file__).parents[2] / 'launch.py'
FORMER = {**schema.FORMER, 'no_twins': 'no_duplicates', 'kept': 'best'}  # options of the last release
SHORT = {'out': '-o'}
CONFIG_HELP = 'YAML file of options, such as the config.yaml of a run; options on the command line override it'


class Formatter(argparse.HelpFormatter):
    """Help formatter that shows flags as ``--[no-]val`` and starts the help texts further to the left."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def _format_action_invocation(self, action):
        if isinstance(action, argparse.BooleanOptionalAction):
            return action.option_strings[0].replace('--', '--[no-]')
        return super()._format_action_invocation(action)


class Single(argparse.Action):
    """Action that stores a single value itself, and several values as a list."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values[0] if len(values) == 1 else values)


class Parser(argparse.ArgumentParser):
    """Parser that also accepts ``--n-epochs`` for ``--n_epochs``, without abbreviations; errors are ValueErrors."""

    def __init__(self, prog: str, description: str, **kwargs: Any) -> None:
        super().__init__(
            prog,
            f'{prog} [OPTIONS]',
            description,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
            formatter_class=Formatter,
            **kwargs,
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        forms = {option.replace('-', '_'): option for option in self._option_string_actions}
        words = []
        for former, name in FORMER.items():
            if f'__{former}' not in forms and f'__{name}' in forms:
                forms[f'__{former}'] = f'--{name}'
        for word in args:
            name, equals, value = word.partition('=')
            words.append((forms.get(name.replace('-', '_'), name) if name.startswith('--') else name) + equals + value)
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        word, _, rest = message.partition(': ')
        if word == 'unrecognized arguments':
            first = rest.split()[0]
            message = (
                f'{self.prog} has no option {first}' + did_you_mean(first, self._option_string_actions)
                if first.startswith('-')
                else f'{self.prog} does not accept {first!r} here'
            )
        elif word == 'the following arguments are required':
            message = f'{self.prog} needs {rest}'
        elif word.startswith('argument '):
            message = f'{word.removeprefix("argument ")} {rest}'
        raise ValueError(f'{message} (see {self.prog} --help)')


def describe(function: Callable[..., Any]) -> Any:
    """Read the signature and docstring of a command."""
    source = Path(sys.modules[function.__module__].__file__)
    return described(source.read_text(encoding='utf-8'), function.__name__)


def parser_of(name: str) -> Parser:
    """Make the parser of a command."""
    parser = Parser(f'symfer {name}', '')
    add_arguments(parser, COMMANDS[name])
    return parser


def add_arguments(parser: Parser, function: Callable[..., Any]) -> None:
    """Add the arguments of a command as options; its ``**options`` are arguments of `launch.test`, by group."""
    about = describe(function)
    parser.description = about.summary
    for name, parameter in about.parameters.items():
        kind = function.__annotations__[name]
        if parameter.several:
            _add_experiment(parser, kind)
        else:
            _add(parser, name, kind, parameter)


def _add_experiment(parser, names):
    """Add the arguments `names` of `launch.test`, in the groups of the schema."""
    experiment = described(LAUNCH.read_text(encoding='utf-8'), 'test').parameters
    groups = {}
    for name in names:
        row = schema.ARGUMENTS[name]
        groups.setdefault(row.group, []).append((name, row.kind, experiment[name]._replace(positional=False)))
    for group in schema.GROUPS:
        if group in groups:
            section = parser.add_argument_group(group)
            for entry in groups[group]:
                _add(section, *entry)
    parser.add_argument('--config', metavar='FILE', type=_typed(Location()), help=CONFIG_HELP)


def _add(parser, name, kind, parameter):
    text = parameter.text.replace('%', '%%')
    if kind.metavar == 'JSON':
        text = re.sub(r'\{.*?\}', lambda found: json.dumps(ast.literal_eval(found[0])), text)
    if parameter.positional:
        nargs = kind.count and ('+' if parameter.required else '*')
        parser.add_argument(name, type=_typed(kind), metavar=kind.metavar, nargs=nargs, help=text)
        return
    if parameter.default is not None:
        text += f' (default: {parameter.default})'
    if isinstance(kind, Flag):
        kwargs = {'action': argparse.BooleanOptionalAction}
    else:
        kwargs = {'type': _typed(kind), 'nargs': kind.count, 'metavar': kind.metavar}
        if isinstance(kind, Several) and kind.single == 'stays':
            kwargs['action'] = Single
    short = [SHORT[name]] if name in SHORT else []
    parser.add_argument(*short, f'--{name}', help=text, **kwargs).completions = kind.choices


def _typed(kind):
    one = kind.kind if isinstance(kind, Several) else kind

    def typed(word):
        try:
            return one.check(one.read(word))
        except Unfit as error:
            wanted, why = str(error) or kind.wanted, ''
        except ValueError as error:
            wanted, why = kind.wanted, f': {error}' if kind.metavar == Table.metavar else ''
        raise argparse.ArgumentTypeError(f'must be {wanted}, got {word!r}{why}' + did_you_mean(word, kind.choices))

    return typed
