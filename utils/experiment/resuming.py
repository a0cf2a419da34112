"""Checks that an experiment is resumed with the data set and the network it started with.

==================  ===========================================================================
`check_data`        refuses another data set
`network_source`    normalised source of a network's class, saved in the model
`network_change`    how a class differs from that of a model
`check_network`     refuses a class that was edited
==================  ===========================================================================
"""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from utils.experiment.arguments import NETWORK_OPTIONS, class_name
from utils.record.source import class_source

if TYPE_CHECKING:
    from pathlib import Path

    from utils.annotations import Dataset, Row


MOST_LINES = 40  # of a difference in a message


def check_data(model: Any, config: dict[str, Any], history: Sequence[Row], data: Dataset) -> None:
    """Refuse to resume a model with another data set.

    Parameters
    ----------
    model : path
    config : dict
        Configuration of the model. In early versions it has no 'content_digest'; then the source, the name, the number
        of images and the image size of the set are compared.
    history : list of dict
    data : loaders.Dataset

    Raises
    ------
    ValueError
        If the data set is another one.
    """
    differences = []
    if config['fingerprint'] != data.fingerprint:
        differences.append('another source')
    for what, saved, now in (('', config['data'], data.name), ('images of ', list(config['im_dim']), list(data.shape))):
        if saved != now:
            differences.append(f'{what}{now}, not {saved}')
    digest = config.get('content_digest')
    if digest is None:
        subset = data.reduced_training if config['options'].get('val', True) else data.training
        if subset is None or any(row['images'] != len(subset) for row in history if row['stage'] == 'train'):
            differences.append('another number of training images')
    elif digest != data.content_digest and not differences:
        differences.append('other views, labels or validation images')
    if differences:
        raise ValueError(
            f"'{model}' was trained on another data set than '{data.path}' ({'; '.join(differences)}): "
            "give the model's data set, dataset=, or start a new experiment"
        )


def network_source(network: Any, options: dict[str, Any], bundled: bool) -> str | None:
    """Source of a network's class without comments, layout, docstrings and type hints of its functions.

    For a class from a script, the source includes the definitions, constants and imports of the file that it uses,
    directly or indirectly. Defaults of arguments that the experiment gives have no effect, so they are left out.

    Parameters
    ----------
    network : class
    options : dict
        Arguments of the experiment.
    bundled : bool
        Whether the class is one of symfer's. Its source is then that of the class and its bases only.

    Returns
    -------
    str or None
        None if there is no source, for example for a class typed into an interpreter.
    """
    while isinstance(network, functools.partial):
        network = network.func
    name = getattr(network, '__name__', '')
    if '<locals>' in getattr(network, '__qualname__', ''):
        try:
            text = textwrap.dedent(inspect.getsource(network))
        except (OSError, TypeError):
            return None
    else:
        text = class_source(network)
    return source_in(text, name, options, bundled)


def source_in(text: str, name: str, options: dict[str, Any], bundled: bool) -> str | None:
    """`network_source` of the class called `name` in the text of a file."""
    try:
        nodes = [one for node in ast.parse(text or '').body for one in _split(node)]
    except (SyntaxError, ValueError):
        return None
    for node in nodes:
        _strip_hints(node)
    defined = {bound: node for node in nodes for bound in _bound(node)}
    if not isinstance(defined.get(name), ast.ClassDef):
        return None
    taken, waiting = {}, [name]
    while waiting:
        one = waiting.pop()
        if one in defined and one not in taken:
            taken[one] = defined[one]
            waiting += [base for base in _bases(defined[one]) if isinstance(defined.get(base), ast.ClassDef)]
            if not bundled:
                waiting += [node.id for node in ast.walk(defined[one]) if isinstance(node, ast.Name)]
    for node in taken.values():
        _strip_docstrings(node)
    _strip_defaults(
        taken[name],
        {*(options.get('network_args') or ()), *(key for key in NETWORK_OPTIONS if options.get(key) is not None)},
    )
    return '\n'.join(dict.fromkeys(ast.unparse(taken[one]) for one in sorted(taken))) + '\n'


def _split(node):
    """Split an import of several names into several imports; other statements stay as they are."""
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return [node]
    return [
        ast.Import([name]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [name], node.level)
        for name in node.names
    ]


def _bound(node):
    """The names that a statement defines."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [node.names[0].asname or node.names[0].name.partition('.')[0]]
    if isinstance(node, ast.Assign):
        return [one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)]
    return [node.name] if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else []


def _bases(node):
    return [base.id for base in getattr(node, 'bases', ()) if isinstance(base, ast.Name)]


def _strip_docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]


def _strip_hints(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None


def _strip_defaults(cls, settled):
    """Remove the defaults of the arguments `settled` of a class, which are always given."""
    for method in cls.body:
        if isinstance(method, ast.FunctionDef) and method.name == '__init__':
            arguments = method.args
            positional = [*arguments.posonlyargs, *arguments.args]
            defaults = dict(zip([one.arg for one in positional[::-1]], arguments.defaults[::-1]))
            # Without its default, an argument could not follow one that has a default: all become keyword arguments.
            keyword = dict(zip([one.arg for one in arguments.kwonlyargs], arguments.kw_defaults))
            arguments.kwonlyargs = [*[one for one in positional if one.arg in defaults], *arguments.kwonlyargs]
            every = {**defaults, **keyword}
            arguments.kw_defaults = [None if one.arg in settled else every[one.arg] for one in arguments.kwonlyargs]
            arguments.posonlyargs, arguments.defaults = [], []
            arguments.args = [one for one in positional if one.arg not in defaults]


def changed_lines(saved: str, now: str) -> list[str]:
    """Lines of the difference between two sources, with '-' before lines of the saved one; empty if they are equal."""
    if saved == now:
        return []
    lines = [*difflib.unified_diff(saved.splitlines()[:2000], now.splitlines()[:2000], lineterm='', n=1)][2:]
    lines = [''.join(c if c.isprintable() else '?' for c in line) for line in lines if not line.startswith('@@')]
    return lines[:MOST_LINES] + ['...'] * (len(lines) > MOST_LINES)


def saved_source(model: Path, config: dict[str, Any]) -> str | None:
    """`network_source` of a model's network when it was trained; None if it is not known.

    Models of early versions do not have it; it is then read from the last run folder. This is not done for symfer's
    own networks, whose source a later version may have changed without changing what they compute.
    """
    source, bundled = config.get('network_source'), config['bundled_network']
    if source is not None:  # may have been saved with hints
        return source_in(source, class_named(config['options']), config['options'], bundled) or source
    if bundled:
        return None
    for folder in sorted(model.with_suffix('').glob('run-*'), reverse=True):
        source = folder_source(folder, config['options'], False)
        if source:
            return source
    return None


def folder_source(folder: Path, options: dict[str, Any], bundled: bool) -> str | None:
    """`network_source` of the network.py of a run folder."""
    try:
        text = (folder / 'network.py').read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError):
        return None
    return source_in(text, class_named(options), options, bundled)


def class_named(options: dict[str, Any]) -> Any:
    """The name of the class in a saved network option: 'B' of 'B', 'Name' of 'module:Name'."""
    return str(options['network']).rpartition(':')[2]


def network_change(model: Path, config: dict[str, Any], network: type, bundled: bool) -> Any:
    """Describe how a network's class has changed since a model was trained; None if it has not.

    Parameters
    ----------
    model : Path
    config : dict
        Configuration of the model.
    network : class
    bundled : bool
        Whether the class is one of symfer's.
    """
    saved, now = saved_source(model, config), network_source(network, config['options'], bundled)
    if saved is None or saved == now:
        return None
    name = class_name(network)
    if now is None:
        return f"network {name} has no source file: whether it has changed since '{model}' was trained is not known"
    return f"network {name} has changed since '{model}' was trained:\n" + '\n'.join(changed_lines(saved, now))


def check_network(
    model: Any, config: dict[str, Any], network: Any, bundled: bool, accept: Any, info: Callable[..., Any]
) -> None:
    """Refuse to resume with a changed network class; with `accept`, or without a source, only print the change.

    Raises
    ------
    ValueError
        If the class has changed and `accept` is False.
    """
    change = network_change(model, config, network, bundled)
    if change and '\n' in change and not accept:
        raise ValueError(
            f'{change}\nUndo the change, start a new experiment, or resume with the changed class: '
            'accept_changed_network=True (--accept-changed-network)'
        )
    if change:
        info(change)
