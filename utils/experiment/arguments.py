"""Validates the arguments of `launch.test` by the schema, and resolves the names in them.

========================  =====================================================================
`validate_arguments`      all arguments in their plain form, each in its range
`as_json`                 the arguments in their JSON form, for model files and tables
`explicit`                decorator: records the explicit arguments, refuses unknown ones
`named`                   a class or function by its name or from a script
`did_you_mean`            suggestion of the intended name
========================  =====================================================================
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from utils import rna
from utils.experiment import hosts
from utils.experiment.described import distillation, make_augment, pretraining
from utils.experiment.schema import ARGUMENTS, FORMER, names, renamed
from utils.experiment.suggestions import did_you_mean
from utils.experiment.values import shortened
from utils.layer import Layer
from utils.record import trackers
from utils.training import optimisers, resizing, schedules

FUNCTIONS = {'optimiser': optimisers.OPTIMISERS, 'schedule': schedules.SCHEDULES}
NETWORK_OPTIONS = names(part='network')  # None stands for the default of the network's class


def explicit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator that passes `function` the names of the explicit arguments as `given`, and refuses unknown names."""
    full = inspect.signature(function)
    public = full.replace(parameters=[p for name, p in full.parameters.items() if name != 'given'])

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        former = set(kwargs) & set(FORMER)
        for name in former:
            warnings.warn(f'{function.__name__}(): {name} is now {FORMER[name]}', FutureWarning, stacklevel=2)
        kwargs = renamed(kwargs) if former else kwargs
        for name in kwargs:
            if name not in public.parameters:
                raise TypeError(
                    f'{function.__name__}() has no argument {name!r}' + did_you_mean(name, public.parameters)
                )
        return function(*args, **kwargs, given=frozenset(public.bind(*args, **kwargs).arguments))

    wrapper.__signature__ = public  # type: ignore[attr-defined]
    return wrapper


def validate_arguments(options: dict[str, Any], networks: Mapping[str, Any]) -> dict[str, Any]:
    """Validate all options and return them in their plain form; `networks` are the classes known by name.

    Raises
    ------
    ValueError
        If an argument does not fit the schema or contradicts another. The message says what it must be.
    """
    options = {name: ARGUMENTS[name].check(name, value) for name, value in options.items()}
    if options['activation'] is not None:
        options['activation'] = _activation(options['activation'])
    demand(isinstance(options['track'], (str, list, tuple)), 'track', 'a list of trackers', options['track'])
    options['track'] = trackers.check(options['track'])
    options['network'] = named(options['network'], networks, 'network', 'Class')
    options['augment'] = make_augment(options['augment'])
    for name, known in FUNCTIONS.items():
        options[name] = named(options[name], known, name, 'function')  # type: ignore[arg-type]
        _check_further(options, name)
    options['pretrain_args'] = pretraining(options)
    _check_together(options)
    if options['teacher']:
        options['teacher_args'] = asdict(distillation(options['teacher_args']))
    return options


def _check_together(options):
    """Raise ValueError for arguments that contradict each other."""
    if options['optimiser'] is not optimisers.sgd and (options['momentum'] or options['nesterov']):
        raise ValueError(
            f"momentum and nesterov need optimiser 'sgd', got {class_name(options['optimiser'])!r}: leave them out"
        )
    if options['nesterov'] and not options['momentum']:
        raise ValueError(
            f'nesterov=True needs a momentum, got momentum={options["momentum"]!r}: give a '
            'momentum, for example 0.9, or leave nesterov out'
        )
    if options['members'] > 1 and options['pretrain_epochs']:
        raise ValueError('pretrain_epochs works with a single network: leave out pretrain_epochs or members')
    if options['members'] == 1 and (options['portion'] != 1 or options['replacement']):
        raise ValueError('portion and replacement need several networks: give members=2 or more, or leave them out')
    for name in ('label_smoothing', 'soft_labels', 'teacher'):
        if options['loss'] != 'nll' and options[name]:
            raise ValueError(f"{name} needs loss 'nll', got {options['loss']!r}: leave it out")
    if options['teacher_args'] and not options['teacher']:
        raise ValueError(
            f'teacher_args need a teacher, got {shortened(options["teacher_args"])}: give teacher, or leave them out'
        )
    if options['schedule'] is schedules.plateau and not options['val']:
        raise ValueError("schedule 'plateau' needs the validation images: val must be True, got False")
    if options['resume'] is None:
        resizing.check_epochs(options['progressive_sizes'], options['n_epochs'])
    hosts.check(options)
    if options['patience'] and not options['val']:
        raise ValueError('patience needs the validation images: val must be True, got False')


def demand(good: bool, name: str, wanted: Any, value: Any) -> None:
    """Raise ValueError unless `good`: ``name must be wanted, got value``."""
    if not good:
        raise ValueError(f'{name} must be {wanted}, got {shortened(value)}')


def network_option(name: str, value: Any) -> Any:
    """Validate one of `NETWORK_OPTIONS` and return it in its plain form.

    Raises
    ------
    ValueError
        If `test` does not accept the value.
    """
    return _activation(value) if name == 'activation' else ARGUMENTS[name].check(name, value)


def _activation(value):
    wanted = ', '.join(repr(make()) for make in rna.ACTIVATIONS.values()) + ' or a function of one expression'
    if isinstance(value, str):
        if value not in rna.ACTIVATIONS:
            raise ValueError(
                f'activation must be one of {", ".join(rna.ACTIVATIONS)}, got {shortened(value)}'
                + did_you_mean(value, rna.ACTIVATIONS)
            )
        return rna.ACTIVATIONS[value]()
    if any(value is make for make in rna.ACTIVATIONS.values()):
        raise ValueError(
            f'activation must be {wanted}, got rna.{value.__name__} without parentheses: write rna.{value.__name__}()'
        )
    demand(
        callable(value) and not isinstance(value, type) and _takes(value, None, unknown=True),
        'activation',
        wanted,
        value,
    )
    return value


def _takes(function, *arguments, unknown=False, **keywords):
    """Whether a function accepts these arguments, perhaps with others; `unknown` if it has no signature."""
    try:
        inspect.signature(function).bind_partial(*arguments, **keywords)
    except TypeError:
        return False
    except ValueError:
        return unknown
    return True


def _check_further(options, name):
    """Check ``<name>_args``, the arguments of a function after the first three."""
    key = f'{name}_args'
    accepted = list(inspect.signature(options[name]).parameters.values())
    further = [p for p in accepted[3:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    names = [p.name for p in further]
    unknown = [k for k in options[key] if k not in names and not any(p.kind is p.VAR_KEYWORD for p in accepted)]
    if unknown:
        raise ValueError(
            f'{name} {class_name(options[name])!r} does not take {unknown[0]!r} of {key}; it takes '
            + (', '.join(names) or 'nothing')
            + did_you_mean(unknown[0], names)
        )
    missing = [p.name for p in further if p.default is p.empty and p.name not in options[key]]
    if missing:
        raise ValueError(f'{name} {class_name(options[name])!r} needs {missing[0]!r}: give it in {key}')


def named(value: Any, known: Mapping[str, Any], what: str, kind: Any) -> Callable[..., Any] | type:
    """Resolve a class or function: itself, the name of one of `known`, or one in a script, ``script.py:name``.

    A name may include its package: ``cnn.A``.
    """
    if not isinstance(value, str):
        if not callable(value):
            raise ValueError(f'{what} must be a {kind.lower()} or one of {", ".join(known)}, got {shortened(value)}')
        return _fit_for(what, value)
    package, _, last = value.rpartition('.')
    if last in known and (not package or f'.{package}.' in f'.{known[last].__module__}.{what}s.'):
        return known[last]
    file, colon, cls = value.rpartition(':')
    if not colon or not Path(file).is_file():
        near = did_you_mean(last, known).replace("'", '')
        raise ValueError(f'{what} must be one of {", ".join(known)} or script.py:{kind}, got {shortened(value)}{near}')
    spec = importlib.util.spec_from_file_location(f'{Path(file).stem} of {Path(file).resolve()}', file)
    # `inspect` looks for the source of a class in sys.modules.
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, cls):
        raise ValueError(f"'{file}' has no {kind.lower()} {cls}")
    return _fit_for(what, getattr(module, cls))


def _fit_for(what, value):
    """Return the user's own class or function; ValueError if it cannot be called as a `what`."""
    if what == 'network':
        if isinstance(value, Layer):
            name = class_name(value)
            raise ValueError(
                f'network must be a class, got an instance of class {name}: give '
                f'{name} itself, and its arguments as arguments of test() or in network_args'
            )
        if not _takes(value, None, None, rng=None):
            raise ValueError(
                'network must be a class that is called as network(im_dim, n_classes, ..., rng=...), '
                f'got {shortened(value)}'
            )
    else:
        arguments = {'optimiser': 'gradients, parameters, rate', 'schedule': 'epoch, n_epochs, figures'}[what]
        if isinstance(value, type) or not _takes(value, None, None, None):
            raise ValueError(f'{what} must be a function {what}({arguments}), got {shortened(value)}')
    return value


def as_json(options: dict[str, Any]) -> dict[str, Any]:
    """Convert the options to their JSON form."""
    saved = names(saved=True)
    out = {key: value for key, value in options.items() if key in saved}
    for key in ('network', 'optimiser', 'schedule'):
        out[key] = class_name(options[key])
    out['augment'] = options['augment'] and options['augment'].settings
    if options['activation'] is not None:
        out['activation'] = getattr(options['activation'], 'name', None) or repr(options['activation'])
    for key in ('dataset', 'savename'):
        out[key] = None if options[key] is None else str(options[key])
    out['teacher'] = options['teacher'] and list(map(str, options['teacher']))
    for key, value in out.items():
        try:
            out[key] = json.loads(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'{key} must hold numbers, texts, booleans and lists of them ({error}), got {shortened(value)}'
            ) from None
    return out


def class_name(network: Callable[..., Any] | type) -> str:
    """The name of a class or function, or the type name of an object without a name."""
    return getattr(network, '__name__', type(network).__name__)
