"""Importers of published data sets beside FER2013: a file a set, found by being here."""

import importlib
import pkgutil

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f'{__name__}.{_module}')
