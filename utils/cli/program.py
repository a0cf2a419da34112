"""Runs the command that a command line names; prints errors in one line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence

from utils.cli import commands, data, predict, serve, shells, summary  # noqa: F401  (their functions enter COMMANDS)
from utils.cli.parser import describe, parser_of
from utils.cli.registry import COMMANDS
from utils.experiment.suggestions import did_you_mean
from utils.files.extras import MissingExtra
from utils.files.terminal import visible

USAGE = """\
usage: symfer [COMMAND] [OPTIONS]

Symbolic networks that recognise emotions in faces. Without arguments, a short
run on drawn faces.

commands:
{commands}

symfer COMMAND --help describes a command; options alone are those of train:
symfer --dataset datasets/set2.h5 --network A --n_epochs 100"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns the exit status: 0; 2 after a user error; 130 after Ctrl-C; 141 if nobody reads the output.
    """
    words = list(sys.argv[1:] if words is None else words)
    if sys.stdout is not None and hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(errors='backslashreplace')  # so that no encoding makes printing fail
    try:
        _check_encoding(words)
        if words[:1] == ['help']:
            words = [*words[1:], '--help']
        if words in (['-h'], ['--help']):
            print(top_help())
        elif words == ['--version']:
            from utils import __version__

            print('symfer', __version__)
        else:
            name, rest = found(words)
            arguments = vars(parser_of(name).parse_intermixed_args(rest))
            if name not in LIGHT:
                _import_launch()
            COMMANDS[name](**arguments)
    except BrokenPipeError:  # the reader of the output, such as head, has ended: exit like a program killed by SIGPIPE
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError, FloatingPointError, MemoryError, MissingExtra) as error:
        print(f'error: {visible(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


LIGHT = ('completion', 'data', 'data audit', 'data show', 'data check')  # commands without the launcher
FORMER = {'rates': 'lr-find'}  # commands of the last release
FORMER_OPTIONS = {'--sweep': 'sweep', '--seeds': 'sweep', '--search': 'search'}


def found(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Find the command, of one or two words; return its name and the words that follow it."""
    if words and words[0] in FORMER:
        words = [_renamed(words[0], FORMER[words[0]]), *words[1:]]
    for option, name in FORMER_OPTIONS.items():
        if option in words and words[0].startswith('-'):
            _renamed(option, name)
            return name, [word for word in words if word != option or option == '--seeds']
    if not words or words[0].startswith('-'):
        return 'train', words
    for n in (2, 1):
        name = ' '.join(words[:n])
        if name in COMMANDS:
            return name, words[n:]
    known = [name for name in COMMANDS if ' ' not in name]
    raise ValueError(f'there is no command {words[0]!r}' + (did_you_mean(words[0], known) or f' ({", ".join(known)})'))


def _check_encoding(words):
    """Raise ValueError for words that the locale's encoding cannot represent."""
    strange = [word for word in words if any('\ud800' <= c <= '\udfff' for c in word)]
    if strange:
        raise ValueError(
            f'the encoding of the locale, {sys.getfilesystemencoding()}, cannot represent '
            f'{strange[0]!r}: set LC_ALL=C.UTF-8 or PYTHONUTF8=1 in the environment'
        )


def _import_launch():
    """Import the launcher, which takes a second; Ctrl-C is deferred, because a callback of JAX would swallow it."""
    asked = []
    before = signal.getsignal(signal.SIGINT)
    ours = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, lambda *_: asked.append(1))
    try:
        import launch  # noqa: F401
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _renamed(former, name):
    print(f'warning: {former} is now the command: symfer {name}', file=sys.stderr)
    return name


def top_help() -> str:
    """Format the help of `symfer` itself."""
    return USAGE.format(
        commands='\n'.join(
            f'  {name:10} {describe(function).summary}' for name, function in COMMANDS.items() if ' ' not in name
        )
    )
