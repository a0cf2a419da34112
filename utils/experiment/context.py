"""Passes down what is defined above utils: `launch.test`, the networks known by name, the data sets."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.experiment import schema
from utils.experiment.arguments import as_json, validate_arguments
from utils.experiment.building import network_arguments, with_class_defaults
from utils.experiment.suggestions import did_you_mean

if TYPE_CHECKING:
    from types import ModuleType

    from utils.annotations import Dataset, StrPath


@dataclass(eq=False)
class Context:
    """Objects that functions of utils need but may not import, made once by launch.py.

    Attributes
    ----------
    test : callable
        `launch.test`; its signature has the defaults of all arguments.
    networks : dict of str to class
        The networks known by name.
    loaders : module
        The package `loaders`.
    sample_set : callable
        Function ``sample_set(info=...) -> Path`` that returns the set of drawn faces and makes it if it is missing.
    """

    test: Callable
    networks: Mapping[str, type]
    loaders: ModuleType
    sample_set: Callable

    def load(self, path: StrPath, fold: Sequence[int] | None = None, val: bool = False) -> Dataset:
        """Open a data set or a fold of it; ValueError if the file is no data set, OSError if it does not exist."""
        try:
            data = self.loaders.load(path)
        except self.loaders.DataError as error:
            if not Path(path).is_file():
                raise
            raise ValueError(
                f'dataset must be an HDF5 set: {error}. To make one from FER2013 in any layout, run: '
                f"python -m loaders '{path}'"
            ) from None
        return self.fold_of(data, fold, val) if fold else data

    def fold_of(self, data: Dataset, fold: Sequence[int], val: bool = False) -> Dataset:
        """Fold (i, k) of an open set; ValueError if there is none or, with `val`, no person is left to hold out."""
        try:
            made = self.loaders.Fold(data, *fold)
            if val and data.validation is not None and made.validation is None:
                raise ValueError(
                    f"fold {fold[0]} of {fold[1]} of '{data.path}' leaves one person to train on and none to hold out "
                    'for validation: pass val=False, or choose more folds'
                )
            return made
        except ValueError:
            data.close()
            raise

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """The defaults of all arguments of `test`."""
        return {name: p.default for name, p in inspect.signature(self.test).parameters.items()}

    def bundled(self, network: Any) -> bool:
        """Whether a network's class is one of symfer's."""
        return network in self.networks.values()

    def bind(self, function: Callable) -> Callable:
        """Bind this context as the first argument of a function, and remove it from the signature."""

        @functools.wraps(function)
        def bound(*args, **kwargs):
            return function(self, *args, **kwargs)

        signature = inspect.signature(function)
        bound.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
        return bound

    def validate(self, options: dict) -> dict:
        """Complete arguments by the defaults of `test` and of the network's class, in their plain form.

        Raises
        ------
        ValueError
            If `test` does not accept an argument or its value; or for `resume` and `hosts`, which are for one run.
        """
        options = schema.renamed(options)
        for name in options:
            if name not in self.defaults:
                raise ValueError(f'test() has no argument {name!r}' + did_you_mean(name, self.defaults))
        if options.get('resume') is not None:
            raise ValueError(
                f'resume is for one run, got {str(options["resume"])!r}: leave it out here; a sweep or '
                'search resumes by itself when it is called again'
            )
        if options.get('hosts') is not None:
            raise ValueError(
                f'hosts are for one run, got {options["hosts"]!r}: leave them out here; the workers of a sweep may run '
                "on a Ray cluster, workers='ray'"
            )
        given = {name for name, value in options.items() if value is not None}
        options = with_class_defaults(validate_arguments({**self.defaults, **options}, self.networks), given)
        network_arguments(options)
        return options

    def serialise(self, options: dict) -> dict:
        """Validate arguments like `validate`, and return them in the form in which a run saves them."""
        return as_json(self.validate(options))

    def open_data(self, options: dict, info: Callable) -> Dataset:
        """Open and verify the data set of an experiment; the sample set by default.

        Raises
        ------
        ValueError, OSError
            If there is no such set, or its images are not of size `im_dim`.
        """
        if options['dataset'] is None:
            options['dataset'] = self.sample_set(info=info)
        data = self.load(Path(options['dataset']), options.get('fold'), options['val'])
        try:
            if data.fold:
                info(data.about)
            if options['im_dim'] is not None and tuple(options['im_dim']) != tuple(data.shape):
                raise ValueError(
                    f"im_dim must be the size of the images of '{data.path}', {list(data.shape)}, got "
                    f'{options["im_dim"]}'
                )
            data.verify()
        except ValueError:
            data.close()
            raise
        return data
