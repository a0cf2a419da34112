"""The source of a network's class as an importable file."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path


def class_source(cls) -> str | None:
    """Return the imports, definitions and constants of the file that defines a class, without its other statements.

    A script that trains a network when it is run can thus be imported only for the network.

    Returns
    -------
    str or None
        Source; None if the class cannot be imported from a source, because it was typed into an interpreter, made by
        `exec` or defined in a function.
    """
    try:
        source = Path(inspect.getsourcefile(cls)).read_text(encoding='utf-8')
        nodes = ast.parse(source).body
    except (TypeError, OSError, SyntaxError, UnicodeDecodeError):
        return None
    if not any(isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == cls.__qualname__ for node in nodes):
        return None
    lines, parts = source.splitlines(), []
    for node in nodes:
        if isinstance(node, ast.Assign):
            try:
                ast.literal_eval(node.value)
            except ValueError:
                continue
        elif not isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
            continue
        first = min([node.lineno, *(d.lineno for d in getattr(node, 'decorator_list', ()))])
        parts.append('\n'.join(lines[first - 1 : node.end_lineno]))
    return '\n'.join(parts) + '\n'
