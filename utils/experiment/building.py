"""Builds the parts of an experiment from its arguments: network, optimiser, schedule."""

from __future__ import annotations

import functools
import inspect
import json
import re
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import rna
from utils.experiment import schema
from utils.experiment.arguments import NETWORK_OPTIONS, class_name, named, network_option
from utils.experiment.suggestions import did_you_mean
from utils.experiment.values import shortened
from utils.files.bounded import BoundedGenerator
from utils.files.checksums import ModelError
from utils.layers import LayerOptions
from utils.training import optimisers
from utils.training.members import Members, member_seed
from utils.training.settings import Settings
from utils.training.targets import Distillation
from utils.training.warping import Cropped

if TYPE_CHECKING:
    from utils.annotations import Dataset, StrPath
    from utils.training.augmentation import Augment


SHARED = tuple(LayerOptions.__annotations__)  # arguments of `test` for a network that passes LayerOptions on
# Values of options that a class requires and the caller does not give. Older configurations contain them for every
# network, even one that does not accept them.
FALLBACK = {
    'n_hidden': [1024],
    'activation': rna.relu(),
    'batch_norm': True,
    'p_drop': 0.5,
    'p_dropConv': None,
    'gaussian_std': 0.0,
    'p_dropConnect': 0.0,
    'dropConnect_moments': False,
}


def make_network(
    network: type,
    im_dim: tuple[int, int],
    classes: Sequence[str],
    augment: Augment | None,
    *,
    rng: np.random.Generator,
    saved: tuple[StrPath, dict[str, Any]] | None = None,
    **kwargs: Any,
) -> Any:
    """Make a network for images of `im_dim`, or for the crops that augmentation makes of them.

    Parameters
    ----------
    network : class
    im_dim : (int, int)
        Height and width of the images, in pixels.
    classes : list of str
    augment : Augment or None
    rng : numpy.random.Generator
        Generator of the initial parameters.
    saved : (path, dict), optional
        Model file and state that the arguments come from: a network much larger than the file is refused.
    **kwargs
        Further arguments of the class.

    Raises
    ------
    ModelError
        If the arguments of the file do not fit the class.
    """
    size = augment.output_size(im_dim) if augment else tuple(im_dim)
    if saved is None:
        made = network(size, len(classes), rng=rng, **kwargs)
    else:
        path, state = saved
        rng = BoundedGenerator(
            rng.bit_generator, sum(value.size for value in state['arrays'].values()), 4 * len(state['arrays']) + 100
        )
        try:
            made = network(size, len(classes), rng=rng, **kwargs)
        except ModelError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ModelError(f"'{path}' cannot be loaded: its arguments do not fit it ({str(error)[:300]})") from error
    return made if size == tuple(im_dim) else Cropped(made, size)


def network_maker(options: dict[str, Any], data: Dataset, state: dict[str, Any] | None = None) -> Callable[..., Any]:
    """Return a function that makes the network from a generator.

    A resumed network cannot be larger than its model file.

    Parameters
    ----------
    options : dict
        Arguments of an experiment, completed by `with_class_defaults`.
    data : loaders.Dataset
    state : dict, optional
        State of the model to resume.
    """
    kwargs = arguments_of_file(options['resume'], options) if state else network_arguments(options)
    saved = (options['resume'], state) if state else None
    return of_members(
        options,
        lambda rng: make_network(
            options['network'], data.shape, data.classes, options['augment'], rng=rng, saved=saved, **kwargs
        ),
    )


def of_members(options: dict[str, Any], make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes the network of an experiment, or all its members; `make` makes one."""
    k, seed = options['members'], options['seed']
    if k == 1:
        return make
    return lambda rng: Members([make(np.random.default_rng(member_seed(seed, m))) for m in range(k)])


def _accepted(network):
    """Arguments of a network's class except images, classes and generator, by name; whether it accepts any name."""
    accepted = inspect.signature(network).parameters.values()
    named_ones = {p.name: p for p in accepted if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    first = [p.name for p in named_ones.values() if p.kind is not p.KEYWORD_ONLY][:2]
    out, takes_all = {name: p for name, p in named_ones.items() if name not in (*first, 'rng')}, False
    for rest in (p for p in accepted if p.kind is p.VAR_KEYWORD):
        if _hands_on_layer_options(rest):
            out = {
                name: rest.replace(name=name, kind=rest.KEYWORD_ONLY, annotation=LayerOptions) for name in SHARED
            } | out
        else:
            takes_all = True
    return out, takes_all


def _hands_on_layer_options(p):
    """Whether ``**options`` is annotated as ``Unpack[LayerOptions]``, possibly as a string."""
    if isinstance(p.annotation, str):
        return re.fullmatch(r'(\w+\.)*Unpack\[(\w+\.)*LayerOptions\]', p.annotation) is not None
    return typing.get_args(p.annotation) == (LayerOptions,)


def _own_default(name, p):
    """The default of a class for one of `NETWORK_OPTIONS`, in its plain form; None if it has no such form."""
    if p.default is p.empty:
        return FALLBACK[name]
    if p.default is None or isinstance(p.default, str):
        return None
    try:
        value = network_option(name, p.default)
    except ValueError:
        return None
    return value if name != 'activation' or value in [make() for make in rna.ACTIVATIONS.values()] else None


def with_class_defaults(options: dict[str, Any], given: Any = ()) -> dict[str, Any]:
    """Complete the options of the network by the defaults of its class.

    Options that the class does not accept become None. None also leaves the decision to a class whose defaults have
    another form or that has ``**kwargs``.

    Raises
    ------
    ValueError
        If the class does not accept an argument that was `given`.
    """
    network = options['network']
    accepted, takes_all = _accepted(network)
    out = dict(options)
    for key in NETWORK_OPTIONS:
        if key in accepted:
            if options[key] is None:
                out[key] = _own_default(key, accepted[key])
        elif not takes_all:
            if options[key] is not None and key in given:
                raise ValueError(
                    f'network {class_name(network)} does not take {key}; it takes ' + (', '.join(accepted) or 'nothing')
                )
            out[key] = None
    return out


def without_idle(options: dict[str, Any], networks: Mapping[str, Any], keys: Collection[str] = NETWORK_OPTIONS) -> Any:
    """Remove from the arguments of a configuration file those of `keys` that the network does not accept.

    Older files contain all network options, whether the class accepts them or not. Only values that were the default
    of `test` at the time are removed.
    """
    network = options.get('network')
    if network is None:
        return options
    try:
        accepted, takes_all = _accepted(named(network, networks, 'network', 'Class'))
    except ValueError:  # the caller gives the class itself, or `test` raises the error
        return options
    former = FALLBACK | {'activation': 'relu'}
    idle = [
        key
        for key in NETWORK_OPTIONS
        if key in keys and key not in accepted and not takes_all and key in options and options[key] == former[key]
    ]
    return {key: value for key, value in options.items() if key not in idle}


def network_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments for the network's class, from options completed by `with_class_defaults`.

    Arguments that equal the default of the class are left out.
    """
    network, further = options['network'], options['network_args']
    accepted, takes_all = _accepted(network)
    kwargs = {
        key: options[key]
        for key in NETWORK_OPTIONS
        if options[key] is not None
        and not (
            key in accepted
            and accepted[key].default is not inspect.Parameter.empty
            and _own_default(key, accepted[key]) == options[key]
        )
    }
    for key in further:
        if key in NETWORK_OPTIONS:
            raise ValueError(f'{key} is an argument of test(): give {key}=..., not network_args')
        if key in ('im_dim', 'n_classes', 'rng') or not (takes_all or key in accepted):
            known = [k for k in accepted if k not in NETWORK_OPTIONS]
            raise ValueError(
                f'network {class_name(network)} does not take network_args {shortened(key)}; it takes '
                + (', '.join(known) or 'nothing')
                + did_you_mean(key, known)
            )
    missing = [
        key
        for key, p in accepted.items()
        if p.default is p.empty and p.annotation is not LayerOptions and key not in kwargs and key not in further
    ]
    if missing:
        raise ValueError(
            f'network {class_name(network)} needs {missing[0]}: give it '
            + (f'as {missing[0]}=...' if missing[0] in NETWORK_OPTIONS else 'in network_args')
        )
    return kwargs | further


def arguments_used(options: dict[str, Any]) -> dict[str, Any]:
    """All arguments that the network is made with, including the defaults of its class."""
    used = {name: p.default for name, p in _accepted(options['network'])[0].items() if p.default is not p.empty}
    return json.loads(
        json.dumps(used | network_arguments(options), default=lambda value: getattr(value, 'name', None) or repr(value))
    )


def arguments_of_file(path: StrPath, options: dict[str, Any]) -> dict[str, Any]:
    """`network_arguments` of options from a model file; `ModelError` if they do not fit the class."""
    try:
        return network_arguments(options)
    except ValueError as error:
        raise ModelError(f"'{path}' cannot be loaded: its arguments do not fit it ({error})") from error


def make_optimiser(options: dict[str, Any]) -> Any:
    """The optimiser of an experiment with its arguments bound, including momentum, decay and clipping."""
    further, decay = options['optimiser_args'], options['weight_decay']
    optimiser = options['optimiser']
    if options['momentum']:
        optimiser, further = optimisers.momentum, {'mu': options['momentum'], 'nesterov': options['nesterov']}
    if optimiser in (optimisers.adamw, optimisers.muon):
        further, decay = {'decay': decay, **further}, 0
    optimiser = functools.partial(optimiser, **further)
    if decay:
        optimiser = optimisers.decayed(optimiser, decay)
    return optimisers.clipped(optimiser, options['clip_norm']) if options['clip_norm'] else optimiser


def make_schedule(options: dict[str, Any]) -> Any:
    """The schedule of an experiment with its arguments bound."""
    return functools.partial(options['schedule'], **options['schedule_args'])


def training_settings(options: dict[str, Any]) -> Settings:
    """Make the `Settings` of training from the arguments of an experiment."""
    return Settings(
        optimiser=make_optimiser(options),
        schedule=make_schedule(options),
        distillation=Distillation(**options['teacher_args']) if options['teacher'] else None,
        **schema.select(options, part='trainer'),
    )
