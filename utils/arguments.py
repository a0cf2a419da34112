"""The arguments of `launch.test`: each checked, and what the parts of an experiment are made of.

========================  =====================================================================
`checked`                 all arguments in their plain form, each in its range
`as_json`                 as JSON knows them, for model files and tables
`knows_what_was_given`    decorator: which arguments the caller gave; unknown ones are refused
`named`                   a class or function by its name, or out of a script
`make_augment`            an `Augment`
`make_network`            a network, with `network_arguments` out of all arguments
`make_optimiser`          a function (gradients, parameters, rate) -> (updates, state)
`make_schedule`           a function (epoch, n_epochs, figures) -> factor
========================  =====================================================================
"""
import difflib
import functools
import importlib.util
import inspect
import json
import os
import sys
from pathlib import Path

import numpy as np

from utils import jax_backend, rna, schedules, trackers, updates
from utils.augmentation import Augment, Cropped
from utils.methodology import RULES

FUNCTIONS = {'optimiser': updates.OPTIMISERS, 'schedule': schedules.SCHEDULES}
# Arguments of `test` that a network takes, where its class has them.
NETWORK_OPTIONS = ('n_hidden', 'activation', 'batch_norm', 'p_drop', 'p_dropConv', 'gaussian_std')
# What each argument of `test` decides; for resuming, sweeps and comparisons it is said here alone.
# FIXED decide the result, and a resumed experiment keeps them.
FIXED = (*NETWORK_OPTIONS, 'learning_rate', 'L1_reg', 'L2_reg', 'batch_size', 'val', 'network',
         'network_args', 'seed', 'rule', 'retrain', 'optimiser', 'optimiser_args', 'momentum', 'nesterov',
         'weight_decay', 'clip_norm', 'schedule', 'schedule_args', 'average', 'label_smoothing', 'augment',
         'statistics_images', 'precision')
# These decide it too, and may change on resuming: more epochs, the data set at another place.
CHANGEABLE = ('n_epochs', 'anneal_epochs', 'special_test', 'dataset')
# UNSAVED and INCIDENTAL decide nothing; those are of one call alone and are not saved.
UNSAVED = ('resume', 'on_epoch', 'verbose', 'accept_changed_network')
INCIDENTAL = (*UNSAVED, 'im_dim', 'trainShared', 'savename', 'name', 'show_test', 'save_every', 'report', 'track')
# Arguments that `Trainer` takes as they are.
TRAINING = ('batch_size', 'learning_rate', 'L1_reg', 'L2_reg', 'seed', 'val', 'trainShared', 'augment', 'precision',
            'label_smoothing', 'average')


def nearest(name, known):
    """'; did you mean ...?', where a known name is near."""
    near = difflib.get_close_matches(str(name), list(known), 1, cutoff=.4)
    return f'; did you mean {near[0]!r}?' if near else ''


def knows_what_was_given(function):
    """Pass `function` the names of the arguments that its caller gave, as `given`; refuse unknown names."""
    full = inspect.signature(function)
    public = full.replace(parameters=[p for name, p in full.parameters.items() if name != 'given'])

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        for name in kwargs:
            if name not in public.parameters:
                raise TypeError(f'{function.__name__}() has no argument {name!r}' + nearest(name, public.parameters))
        return function(*args, **kwargs, given=frozenset(public.bind(*args, **kwargs).arguments))

    wrapper.__signature__ = public
    return wrapper


def checked(options, networks):
    """The options in their plain form, each in its range; `networks` are the classes known by name."""
    def demand(good, name, wanted):
        if not good:
            raise ValueError(f'{name} must be {wanted}, got {options[name]!r}')

    def number(name):
        value = options[name]
        return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and np.isfinite(value)

    def whole(name, least):
        demand(number(name) and options[name] == int(options[name]) and options[name] >= least, name,
               f'a whole number >= {least}')
        options[name] = int(options[name])

    demand(number('learning_rate') and options['learning_rate'] > 0, 'learning_rate', 'a number > 0')
    for name in ('L1_reg', 'L2_reg', 'gaussian_std', 'weight_decay', 'clip_norm'):
        demand(number(name) and options[name] >= 0, name, 'a number >= 0')
    for name in ('momentum', 'average', 'label_smoothing'):
        demand(number(name) and 0 <= options[name] < 1, name, 'a number in [0, 1)')
    for name, least in (('n_epochs', 1), ('batch_size', 1), ('anneal_epochs', 0), ('statistics_images', 1),
                        ('save_every', 1), ('seed', 0), ('patience', 0)):
        whole(name, least)
    demand(options['seed'] < 2 ** 32, 'seed', 'a whole number below 2**32')
    for name in ('batch_norm', 'val', 'trainShared', 'retrain', 'nesterov', 'special_test', 'show_test', 'report',
                 'accept_changed_network'):
        demand(isinstance(options[name], (bool, np.bool_)) or options[name] in (0, 1), name, 'True or False')
        options[name] = bool(options[name])
    for name, known, wanted in (('rule', RULES, ' or '.join(map(repr, RULES))),
                                ('precision', jax_backend.PRECISIONS, 'one of ' + ', '.join(jax_backend.PRECISIONS))):
        demand(isinstance(options[name], str) and options[name] in known, name, wanted)
    demand(isinstance(options['verbose'], (int, np.integer)) and options['verbose'] in (0, 1, 2), 'verbose',
           '0, 1 or 2')
    for name in ('dataset', 'savename', 'resume'):
        demand(options[name] is None or (isinstance(options[name], (str, os.PathLike)) and str(options[name])), name,
               'a path')
    demand(options['name'] is None or (isinstance(options['name'], str) and options['name'].isprintable()
                                       and options['name'].strip()), 'name', 'a text of one line')
    demand(options['on_epoch'] is None or callable(options['on_epoch']), 'on_epoch', 'a function')
    if isinstance(options['activation'], str):
        demand(options['activation'] in rna.ACTIVATIONS, 'activation', 'one of ' + ', '.join(rna.ACTIVATIONS))
        options['activation'] = rna.ACTIVATIONS[options['activation']]()
    demand(callable(options['activation']), 'activation', 'rna.relu(), rna.sigmoid(), rna.tanh() or a function')
    flat = all(np.ndim(n) == 0 for n in options['n_hidden']) if isinstance(options['n_hidden'], (list, tuple)) else True
    demand(flat, 'n_hidden', 'a list of whole numbers >= 1')
    options['n_hidden'] = np.atleast_1d(options['n_hidden']).tolist()
    demand(all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in options['n_hidden']), 'n_hidden',
           'a list of whole numbers >= 1')
    for name in ('p_drop', 'p_dropConv'):
        if isinstance(options[name], (tuple, np.ndarray, np.generic)):
            options[name] = np.asarray(options[name], dtype=object).tolist()
        values = options[name] if isinstance(options[name], list) else [options[name]]
        demand((options[name] is None and name == 'p_dropConv') or all(
            isinstance(p, (int, float, np.number)) and not isinstance(p, bool) and 0 <= p < 1 for p in values), name,
            'probabilities of dropping in [0, 1)')
        if isinstance(options[name], list):
            options[name] = [getattr(p, 'item', lambda p=p: p)() for p in options[name]]
    if options['im_dim'] is not None:
        sides = options['im_dim'] = np.ravel(np.asarray(options['im_dim'], dtype=object)).tolist()
        demand(len(sides) == 2 and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0
                                       for n in sides), 'im_dim', 'height and width')
        options['im_dim'] = [int(n) for n in sides]
    for name in ('learning_rate', 'L1_reg', 'L2_reg', 'gaussian_std', 'momentum'):
        if isinstance(options[name], np.number):
            options[name] = options[name].item()
    demand(options['network_args'] is None or isinstance(options['network_args'], dict), 'network_args', 'a dict')
    options['network_args'] = options['network_args'] or {}
    demand(options['track'] is None or isinstance(options['track'], (str, list, tuple)), 'track', 'a list of trackers')
    options['track'] = trackers.check(options['track'] or ())
    options['network'] = named(options['network'], networks, 'network', 'Class')
    options['augment'] = make_augment(options['augment'])
    options['schedule'] = options['schedule'] or 'constant'
    for name, known in FUNCTIONS.items():
        options[name] = named(options[name], known, name, 'function')
        _check_further(options, name)
    if options['optimiser'] is not updates.sgd and (options['momentum'] or options['nesterov']):
        raise ValueError(f"momentum and nesterov are of optimiser 'sgd', got {class_name(options['optimiser'])!r}: "
                         'leave them out')
    if options['schedule'] is schedules.plateau and not options['val']:
        raise ValueError("schedule 'plateau' goes by the validation images: val must be True, got False")
    if options['patience'] and not options['val']:
        raise ValueError('patience goes by the validation images: val must be True, got False')
    return options


def _check_further(options, name):
    """Check ``<name>_args``, further arguments of a function: those after the first three."""
    further, key = options[f'{name}_args'], f'{name}_args'
    if further is not None and not isinstance(further, dict):
        raise ValueError(f'{key} must be a dict, got {further!r}')
    options[key] = further or {}
    accepted = inspect.signature(options[name]).parameters.values()
    names = [p.name for p in list(accepted)[3:]]
    unknown = [k for k in options[key] if k not in names and not any(p.kind is p.VAR_KEYWORD for p in accepted)]
    if unknown:
        raise ValueError(f"{name} {class_name(options[name])!r} does not take {unknown[0]!r} of {key}; it takes "
                         + (', '.join(names) or 'nothing'))


def make_augment(settings):
    """An `Augment`, or None, from what `test` takes."""
    if settings is None or settings is False or isinstance(settings, Augment):
        return settings or None
    if settings is True:
        return Augment()
    names = inspect.signature(Augment).parameters
    if not isinstance(settings, dict) or set(settings) - set(names):
        unknown = [name for name in settings if name not in names] if isinstance(settings, dict) else ()
        raise ValueError(f"augment must be an Augment, True or a dict of {', '.join(names)}, got {settings!r}"
                         + (nearest(unknown[0], names) if unknown else ''))
    return Augment(**settings)


def named(value, known, what, kind):
    """A class or function as it is, or by its name: one of `known`, or in a script, ``script.py:name``."""
    if not isinstance(value, str):
        if not callable(value):
            raise ValueError(f"{what} must be a {kind.lower()} or one of {', '.join(known)}, got {value!r}")
        return value
    if value in known:
        return known[value]
    file, colon, cls = value.rpartition(':')
    if not colon or not Path(file).is_file():
        near = difflib.get_close_matches(value, known, 1)
        raise ValueError(f"{what} must be one of {', '.join(known)} or script.py:{kind}, got {value!r}"
                         + (f'; did you mean {near[0]}?' if near else ''))
    spec = importlib.util.spec_from_file_location(f'{Path(file).stem} of {Path(file).resolve()}', file)
    # Where `inspect` looks for the source of a class.
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, cls):
        raise ValueError(f"'{file}' has no {kind.lower()} {cls}")
    return getattr(module, cls)


def as_json(options):
    """The options as JSON knows them."""
    out = {key: value for key, value in options.items() if key not in UNSAVED}
    for key in ('network', 'optimiser', 'schedule'):
        out[key] = class_name(options[key])
    out['augment'] = options['augment'] and options['augment'].settings
    out['activation'] = getattr(options['activation'], 'name', None) or repr(options['activation'])
    for key in ('dataset', 'savename'):
        out[key] = None if options[key] is None else str(options[key])
    try:
        json.dumps(out)
    except TypeError as error:
        further = {key: options[key] for key in ('network_args', 'optimiser_args', 'schedule_args') if options[key]}
        raise ValueError(f"{', '.join(further)} must hold numbers, texts, booleans and lists of them ({error}), "
                         f'got {further!r}') from None
    return json.loads(json.dumps(out))


def class_name(network):
    return getattr(network, '__name__', type(network).__name__)


def make_network(network, im_dim, classes, augment, **kwargs):
    """A network for images of `im_dim`, of which augmentation may show it a part only."""
    seen = augment.seen(im_dim) if augment else tuple(im_dim)
    made = network(seen, len(classes), **kwargs)
    return made if seen == tuple(im_dim) else Cropped(made, seen)


def network_arguments(options, given=()):
    """Those options that the network's class takes, as keyword arguments for it."""
    network = options['network']
    accepted = inspect.signature(network).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    kwargs = {}
    for key in NETWORK_OPTIONS:
        if key == 'p_dropConv' and options[key] is None:
            continue
        if takes_all or key in accepted:
            kwargs[key] = options[key]
        elif key in given:
            raise ValueError(f'network {class_name(network)} does not take {key}; it takes '
                             + ', '.join(k for k in accepted if k not in ('im_dim', 'n_classes', 'rng')))
    for key in options['network_args']:
        if key in kwargs or key in ('im_dim', 'n_classes', 'rng') or not (takes_all or key in accepted):
            known = [k for k in accepted if k not in (*kwargs, 'im_dim', 'n_classes', 'rng')]
            raise ValueError(f'network {class_name(network)} does not take network_args {key!r}; it takes '
                             + ', '.join(known) + nearest(key, known))
    return kwargs | options['network_args']


def arguments_used(options):
    """Every argument with which the network is made, those that its class has by default among them."""
    accepted = inspect.signature(options['network']).parameters.values()
    used = {p.name: p.default for p in accepted if p.default is not p.empty} | network_arguments(options)
    return json.loads(json.dumps(used, default=lambda value: getattr(value, 'name', None) or repr(value)))


def make_optimiser(options):
    further, decay = options['optimiser_args'], options['weight_decay']
    optimiser = options['optimiser']
    if options['momentum']:
        optimiser, further = updates.momentum, {'mu': options['momentum'], 'nesterov': options['nesterov']}
    if optimiser is updates.adamw:
        further, decay = {'decay': decay, **further}, 0
    optimiser = functools.partial(optimiser, **further)
    if decay:
        optimiser = updates.decayed(optimiser, decay)
    return updates.clipped(optimiser, options['clip_norm']) if options['clip_norm'] else optimiser


def make_schedule(options):
    return functools.partial(options['schedule'], **options['schedule_args'])
