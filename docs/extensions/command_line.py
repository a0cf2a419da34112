"""Pages of the command line and of the arguments of `launch.test`, generated from the parsers and the schema."""

import argparse
import inspect
import re
from pathlib import Path

from utils.cli import program  # noqa: F401  (registers all commands)
from utils.cli.parser import LAUNCH, Formatter, describe, parser_of
from utils.cli.registry import COMMANDS
from utils.cli.source import described
from utils.experiment import schema

COMMANDS_FOLDER, ARGUMENTS_PAGE = Path('reference', 'commands'), Path('reference', 'arguments.rst')


def heading(text: str, line: str = '=') -> list[str]:
    """Lines of an RST heading."""
    return [text, line * len(text), '']


def escaped(text: str) -> str:
    """Escape RST markup in a text, and format names of options as code."""
    text = re.sub(r'([*_`|\\])', r'\\\1', text)
    return re.sub(r'(?<![\w-])(--[a-z][\w\\-]*[a-z]|-o)\b', lambda m: f'``{m[0]}``'.replace('\\', ''), text)


def option(action: argparse.Action, formatter: Formatter) -> list[str]:
    """RST lines of an option or a positional argument with its help."""
    if action.option_strings:
        names = [formatter._format_action_invocation(action).rsplit(', --', 1)[-1]]
        names = [name if name.startswith('-') else f'--{name}' for name in names]
        names[:0] = [name for name in action.option_strings if re.fullmatch('-[a-z]', name)]
    else:
        names = [str(action.metavar) + {'+': ' ...', '*': ' ...'}.get(action.nargs, '')]
    text = escaped((action.help or '').replace('%%', '%'))
    return [f'.. option:: {", ".join(names)}', '', f'   {text}', '']


def command_page(name: str) -> str:
    """Text of the page of a command."""
    parser, function = parser_of(name), COMMANDS[name]
    formatter = Formatter(parser.prog)
    lines = [*heading(f'symfer {name}'), escaped(describe(function).summary), '', f'.. program:: symfer {name}', '']
    positionals = [a for a in parser._actions if not a.option_strings]
    words = ' '.join(f'{a.metavar}...' if a.nargs in ('+', '*') else str(a.metavar) for a in positionals)
    lines += ['.. code-block:: none', '', f'   symfer {name} {words}'.rstrip() + ' [OPTIONS]', '']
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if not isinstance(a, argparse._HelpAction)]
        if not actions:
            continue
        if group.title not in schema.GROUPS:
            for action in actions:
                lines += option(action, formatter)
        elif name == 'train':
            lines += heading(group.title.capitalize(), '-')
            for action in actions:
                lines += option(action, formatter)
    shared = [a for g in parser._action_groups if g.title in schema.GROUPS for a in g._group_actions]
    if shared and name != 'train':
        links = ', '.join(f':option:`{_long(a)} <symfer train {_first(a)}>`' for a in shared)
        lines += [*heading('Options of an experiment', '-'), f'The same as for :doc:`train`: {links}.', '']
    return '\n'.join(lines)


def _long(action):
    return next(name for name in action.option_strings if name.startswith('--'))


def _first(action):
    return Formatter('')._format_action_invocation(action).split(' ')[0].strip(',')


def arguments_page() -> str:
    """Text of the page of arguments, by group: values, default, and whether a resumed run may change the argument."""
    import launch

    texts = described(LAUNCH.read_text(encoding='utf-8'), 'test').parameters
    defaults = inspect.signature(launch.test).parameters
    lines = heading('Arguments of an experiment')
    lines += [
        'Every argument of :py:obj:`launch.test` is an option of :doc:`commands/train` and a key of ``config.yaml``. '
        'Validation, the command line and this page are generated from the same table. A resumed run takes its '
        'arguments from its model. It cannot change those marked *fixed*. Those marked *not saved* apply '
        'to one call only.',
        '',
    ]
    for group in schema.GROUPS:
        lines += heading(group.capitalize(), '-')
        for name, row in schema.ARGUMENTS.items():
            if row.group == group:
                about = [escaped(row.kind.wanted), *shown(defaults[name].default), resumed(row)]
                lines += [f'``{name}`` : {" · ".join(about)}', f'   {escaped(texts[name].text)}', '']
    return '\n'.join(lines)


def shown(default: object) -> list[str]:
    """Format a default for the page, as a list with one entry; an empty list for None."""
    if default is None:
        return []
    named = f'{default.__module__.partition(".")[0]}.{default.__name__}' if isinstance(default, type) else repr(default)
    return [f'default ``{named}``']


def resumed(row: schema.Argument) -> str:
    """Describe whether a resumed run may change an argument."""
    if not row.saved:
        return 'not saved'
    return 'fixed' if row.decides == 'result' else 'may change'


def write_pages(app) -> None:
    """Write only the pages that have changed."""
    folder = Path(app.srcdir) / COMMANDS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / f'{name.replace(" ", "-")}.rst': command_page(name) for name in COMMANDS}
    texts[Path(app.srcdir) / ARGUMENTS_PAGE] = arguments_page()
    for path in set(folder.iterdir()) - set(texts):
        path.unlink()
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')


def setup(app):
    """Register the extension (called by Sphinx)."""
    app.connect('builder-inited', write_pages)
    return {'parallel_read_safe': True}
