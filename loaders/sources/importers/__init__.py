"""Importers of published data sets other than FER2013. Every module in this folder is imported and so registered."""

import importlib
import pkgutil

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f'{__name__}.{_module}')
