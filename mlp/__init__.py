"""Multi-layer perceptrons and the layers that all networks share."""

# ruff: noqa: E402, I001
from importlib.util import find_spec
from pathlib import Path

for _name in ('utils',):  # a module of the same name may come first in sys.path
    _spec = find_spec(_name)
    _found = Path(_spec.origin or next(iter(_spec.submodule_search_locations or ()), '')) if _spec else None
    _ours = Path(__file__).resolve().parents[1] / _name
    if _found and _found.resolve() not in (_ours, _ours / '__init__.py'):
        raise ImportError(
            f"'{_found}' hides symfer's package {_name} ('{_ours}'): rename it, or start from another folder"
        )

from mlp.mlp import MLP

__all__ = ['MLP']
