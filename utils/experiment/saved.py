"""Model files: validated when they are read, opened with their network, resumed.

====================  =========================================================================
`load_model`          state and configuration, validated
`open_model`          the network with its parameters
`network_of`          the network of a model that is already loaded
`with_resumed`        arguments completed by those of the model to resume
`read_config`         arguments from a config.yaml
====================  =========================================================================
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import rna
from utils.experiment import resuming, schema
from utils.experiment.arguments import FUNCTIONS, NETWORK_OPTIONS, as_json, named, validate_arguments
from utils.experiment.building import arguments_of_file, make_network, of_members, with_class_defaults, without_idle
from utils.experiment.described import make_augment
from utils.experiment.suggestions import did_you_mean
from utils.experiment.values import shortened
from utils.files import models
from utils.layer import parameters
from utils.record import reading
from utils.results.temperature import is_temperature
from utils.training.state import check_state, without_aliases
from utils.training.trainer import DONE, STAGES

if TYPE_CHECKING:
    from utils.annotations import StrPath
    from utils.experiment.context import Context


def load_model(context: Context, path: StrPath) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read and validate the state and the configuration of a saved model, which may come from an untrusted source."""
    state, config = models.load(path)
    kinds = {'options': dict, 'fingerprint': str, 'bundled_network': bool, 'classes': list, 'im_dim': list, 'data': str}
    wrong = [key for key, kind in kinds.items() if not isinstance(config.get(key), kind)]
    wrong += [
        key
        for key in ('content_digest', 'network_source', 'teacher_digest')  # early versions had none
        if not isinstance(config.get(key), (str, type(None)))
    ]
    if not is_temperature(config.get('temperature') or 1):
        wrong.append('temperature')
    if (
        wrong
        or not config['classes']
        or len(config['im_dim']) != 2
        or not all(isinstance(name, str) and name.isprintable() for name in config['classes'])
        or not all(type(n) is int and 1 <= n <= 4096 for n in config['im_dim'])
    ):
        raise models.ModelError(
            f"'{path}' cannot be loaded: its configuration is damaged"
            + (f', it has no proper {", ".join(wrong)}' if wrong else '')
        )
    if not {state['stage'], *(row['stage'] for row in state['history'])} <= {*STAGES, DONE}:
        raise models.ModelError(
            f"'{path}' cannot be loaded: its history has a stage that this version of symfer does not know"
        )
    config['options'] = schema.renamed(config['options'])
    _check_arguments(context, path, config['options'], sum(name.startswith('parameters/') for name in state['arrays']))
    models.check_values(path, state)
    return state, config


def _check_arguments(context, path, saved, n_arrays):
    """Validate the arguments in a model file like those of a caller, and bring them into their plain form.

    Nothing that they name is imported or opened. `n_arrays` is the number of parameter arrays in the file.
    """
    defaults, known_names = context.defaults, schema.names(saved=True)
    neutral = {
        'network': defaults['network'],
        'activation': 'relu',
        'track': None,
        'resume': None,
        'on_epoch': None,
        'verbose': 0,
    }
    try:
        for key in saved:
            if key not in known_names:
                raise ValueError(f'test() has no argument {shortened(key)}' + did_you_mean(key, defaults))
        if 'network' not in saved:
            raise ValueError('its configuration is damaged, it names no network')
        for key in {'network', 'activation', *FUNCTIONS} & set(saved):
            if not (isinstance(saved[key], str) or (key == 'activation' and saved[key] is None)):
                raise ValueError(f'{key} must be a name, got {shortened(saved[key])}')
        for key in NETWORK_OPTIONS:
            if isinstance(saved.get(key), list) and len(saved[key]) > n_arrays:
                raise ValueError(
                    f'{key} has {len(saved[key])} values, more than the file has arrays of parameters ({n_arrays})'
                )
        for key, known in FUNCTIONS.items():
            if saved.get(key) not in known:  # defined in a script
                neutral |= {key: defaults[key], f'{key}_args': None}
        if not saved.get('momentum'):  # older models may have nesterov=True, which did nothing then
            neutral['nesterov'] = False
        plain = validate_arguments({**defaults, **saved, **neutral}, context.networks)
        saved |= {key: plain[key] for key in saved if key not in {'augment', *FUNCTIONS, *neutral}}
        if plain['members'] > max(n_arrays, 1):
            raise ValueError(f'it has {n_arrays} arrays of parameters, too few for {plain["members"]} members')
    except (ValueError, TypeError, OverflowError) as error:
        raise models.ModelError(f"'{path}' cannot be loaded: {error}") from None


def class_of(context: Context, model: StrPath, config: dict[str, Any]) -> type:
    """Return the class of a saved model's network; ValueError if it is not one of symfer's."""
    name = config['options']['network']
    if not config['bundled_network']:
        raise ValueError(f"'{model}' was trained with a network class from a script, {name}: pass it as network=")
    if name not in context.networks:
        raise models.ModelError(
            f"'{model}' has a network {shortened(name)}, which this version of symfer does not know"
        )
    return context.networks[name]


def _activation(model, name):
    """Return the activation of a saved model; ValueError if it is not one of symfer's."""
    if name not in rna.ACTIVATIONS:
        raise ValueError(f"'{model}' was trained with an activation from a script, {name}: pass it as activation=")
    return rna.ACTIVATIONS[name]()


def _function(model, what, name, known):
    """Return a saved model's optimiser or schedule; ValueError if it is not one of symfer's."""
    if name not in known:
        raise ValueError(f"'{model}' was trained with a function from a script as {what}, {name}: pass it as {what}=")
    return known[name]


def with_resumed(
    context: Context, options: dict[str, Any], given: Any
) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]:
    """Return the options completed by those of the experiment to resume, its state and its configuration."""
    if options['resume'] is None:
        return options, None, None
    state, config = load_model(context, options['resume'])
    if 'exported' in config:
        raise ValueError(
            f"'{options['resume']}' was exported for inference: it has parameters, but no training state. `evaluate` "
            'and `predict` accept it; to continue training, resume the model that it was exported from'
        )
    saved, now = config['options'], as_json(options)
    changed = [
        f'{key}={saved[key]!r}, not {now[key]!r}'
        for key in schema.names(decides='result')
        if key in given and key in saved and now[key] != saved[key]
    ]
    if changed:
        raise ValueError(
            f"'{options['resume']}' was trained with {'; '.join(changed)}: leave these arguments out "
            'to resume it, or start a new experiment'
        )
    for key in saved:
        if key not in given and key in options:
            options[key] = saved[key]
    for key, stage in (('n_epochs', 'train'), ('anneal_epochs', 'anneal')):
        if key not in given:  # models of early versions may have trained longer than their options say
            options[key] = max(options[key], sum(row['stage'] == stage for row in state['history']))
    if 'network' not in given:
        options['network'] = class_of(context, options['resume'], config)
    if isinstance(options['activation'], str):
        options['activation'] = _activation(options['resume'], options['activation'])
    options['augment'] = make_augment(options['augment'])
    for key, known in FUNCTIONS.items():
        if isinstance(options[key], str):
            options[key] = _function(options['resume'], key, options[key], known)
    if 'savename' not in given:
        options['savename'] = options['resume']
    return options, state, config


def open_model(context: Context, model: StrPath, network: Any = None) -> Sequence[Any]:
    """Open the network of a saved model, with its parameters.

    Parameters
    ----------
    model : path
        Model file, written by `test`.
    network : class, optional
        The network's class, if it is your own.

    Returns
    -------
    network : Layer
    config : dict
        The saved configuration: 'options', 'classes', 'im_dim', ...

    Raises
    ------
    ValueError
        If the file is no model or does not fit the network class.
    """
    state, config = load_model(context, model)
    network = (
        class_of(context, model, config) if network is None else named(network, context.networks, 'network', 'Class')
    )
    change = resuming.network_change(Path(model), config, network, context.bundled(network))
    if change:
        warnings.warn(change, stacklevel=4)
    net, options = network_of(context, model, state, config, network)
    return net, {**config, 'options': options}


def network_of(
    context: Context, model: StrPath, state: dict[str, Any], config: dict[str, Any], network: Any, group: str = 'arrays'
) -> tuple[Any, dict[str, Any]]:
    """Return the network of a loaded model, with its parameters, and its complete arguments.

    Parameters
    ----------
    model : path
        Name of the file in messages.
    state, config : dict
        What `load_model` returns.
    network : class
        The network's class.
    group : {'arrays', 'kept'}
        Parameters of the last epoch or of the best epoch.

    Raises
    ------
    ValueError
        If the parameters do not fit the class.
    """
    options = context.defaults | config['options']
    options['network_args'] = options['network_args'] or {}
    used = {**options, 'network': network}
    if used['activation'] is not None:
        used['activation'] = _activation(model, used['activation'])
    kwargs = arguments_of_file(model, with_class_defaults(used))
    make = functools.partial(
        make_network,
        network,
        config['im_dim'],
        config['classes'],
        make_augment(options['augment']),
        saved=(model, state),
        **kwargs,
    )
    net = of_members(options, lambda rng: make(rng=rng))(np.random.default_rng(0))
    targets = parameters(net)
    saved = {
        path.removeprefix('parameters/'): value
        for path, value in state[group].items()
        if path.startswith('parameters/')
    }
    saved = without_aliases(saved, {key: p.type.shape for key, p in targets.items()}, net)
    check_state(saved, {key: p.type.shape for key, p in targets.items()}, {key: p.dtype for key, p in targets.items()})
    for key, p in targets.items():
        p.set_value(saved[key])
    return net, options


def read_config(context: Context, path: str) -> Any:
    """Read arguments of `test` from the config.yaml of a run or a handwritten one: ``test(**read_config(path))``.

    Parameters
    ----------
    path : path
        YAML file with a line ``argument: value`` for each argument. For a network ``file.py:Class``, the file is looked
        for beside it and run. Older runs saved every network option: those at their defaults that the class does not
        take are left out.

    Returns
    -------
    dict
        Arguments by name.

    Raises
    ------
    ValueError
        If the file is missing, is no table of arguments, or has an argument that `test` does not take.
    """
    return configured(context, {'config': path})


def configured(context: Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the command line, completed by those of the file given as --config."""
    path = options.pop('config', None)
    if path is None:
        return options
    saved = schema.renamed(reading.read_config(path))
    for key in saved:
        if key not in schema.ARGUMENTS:
            raise ValueError(f"'{path}': test() has no argument {key!r}" + did_you_mean(key, schema.ARGUMENTS))
    return without_idle({**saved, **options}, context.networks, set(saved) - set(options))
