"""Reads the signature and docstring of a function from its source, without importing it.

So the command line can print its help without importing PyTensor and JAX, and under ``python -OO``, which removes
docstrings.
"""

from __future__ import annotations

import ast
import re
from collections import namedtuple
from typing import Any

Described = namedtuple('Described', 'summary parameters')
Described.__doc__ = """First line of a docstring, and name -> `Parameter` in the order of the signature."""
Parameter = namedtuple('Parameter', 'default text required positional several')
Parameter.__doc__ = """Default as shown in the help (None: not shown), help text, whether it is required, whether it is
positional, whether it stands for ``**options``."""


def described(source: Any, name: str) -> Any:
    """Describe the function `name` in the source text of a module."""
    node = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    doc = ast.get_docstring(node) or ''
    texts = help_texts(doc)
    return Described(
        doc.partition('\n')[0],
        {key: Parameter(shown, texts.get(key, ''), *about) for key, shown, *about in _signature(node.args)},
    )


def _signature(arguments):
    """Yield the name of each parameter and the values of its `Parameter`, without the text."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    for argument, default in zip(plain, defaults, strict=True):
        yield argument.arg, _shown(default), default is None, True, False
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield argument.arg, _shown(default), default is None, False, False
    if arguments.kwarg:
        yield arguments.kwarg.arg, None, False, False, True


def _shown(default):
    """Format a default for the help: ``.1`` as 0.1, ``cnn.A`` as A; None if nothing is shown."""
    if default is None:
        return None
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return ast.unparse(default).rpartition('.')[2]
    if isinstance(value, (list, tuple)):
        return ' '.join(map(str, value)) or None
    return None if value is None or value == '' else str(value)


def help_texts(doc: Any) -> dict[str, Any]:
    """Help text of each parameter in a numpydoc docstring; several may share one, ``L1_reg, L2_reg : float``."""
    _, _, section = doc.partition('Parameters\n----------\n')
    section = re.split(r'\n\n\w+\n-+\n', section)[0]
    return {
        key.lstrip('*'): ' '.join(text.split()).replace('`', '')
        for names, text in re.findall(r'^(\S[^:\n]*?)(?: :[^\n]*)?\n((?: +[^\n]*\n?|\n(?= ))+)', section, re.M)
        for key in names.split(', ')
    }
