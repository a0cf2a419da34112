"""YAML as people write it: ``1e-3`` is a number, and no key stands twice."""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML in which ``1e-3`` is a number, as in YAML 1.2, no key stands twice in one table, and nothing is repeated.

    References (``*name``) are refused: a few lines of them are lists of billions.
    """

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise ValueError(
                f'*{event.anchor} in line {event.start_mark.line + 1} refers to another place: write out '
                'what stands there'
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        lines = {}
        for key, _ in node.value:
            name, line = key.value, key.start_mark.line + 1
            if isinstance(name, str) and name in lines:
                raise ValueError(f'{name!r} stands there twice, in lines {lines[name]} and {line}: keep one of them')
            if isinstance(name, str):
                lines[name] = line
        return super().construct_mapping(node, deep)


class Dumper(yaml.SafeDumper):
    """Puts quotes around the texts that `_Loader` would take for numbers, and writes no references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, Dumper):
    _class.add_implicit_resolver(
        'tag:yaml.org,2002:float', re.compile(r'[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$'), list('-+.0123456789')
    )


def load_yaml(text: str) -> float:
    """What a YAML document holds.

    Raises
    ------
    ValueError, yaml.YAMLError
        A key that stands twice; no YAML.
    """
    return yaml.load(text, _Loader)
