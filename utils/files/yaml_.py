"""YAML for configurations: ``1e-3`` is a number, and repeated keys are refused."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """A loader that reads ``1e-3`` as a number, as in YAML 1.2, and refuses repeated keys and references.

    A few lines of references (``*name``) can expand to lists of billions of elements.
    """

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise ValueError(
                f'*{event.anchor} in line {event.start_mark.line + 1} is a reference, which is not allowed: write '
                'its value out'
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        lines = {}
        for key, _ in node.value:
            name, line = key.value, key.start_mark.line + 1
            if isinstance(name, str) and name in lines:
                raise ValueError(f'{name!r} occurs twice, in lines {lines[name]} and {line}: keep one of them')
            if isinstance(name, str):
                lines[name] = line
        return super().construct_mapping(node, deep)


class Dumper(yaml.SafeDumper):
    """A dumper that quotes strings that `_Loader` would take for numbers, and writes no references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, Dumper):
    _class.add_implicit_resolver(
        'tag:yaml.org,2002:float', re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$'), list('-+.0123456789')
    )


def load_yaml(text: str) -> float:
    """Load a YAML document.

    Raises
    ------
    ValueError
        A key occurs twice, or there is a reference.
    yaml.YAMLError
        The text is not YAML.
    """
    return yaml.load(text, _Loader)
