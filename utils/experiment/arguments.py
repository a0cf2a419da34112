"""The arguments of `launch.test`: each checked, and what the parts of an experiment are made of.

========================  =====================================================================
`validate_arguments`                 all arguments in their plain form, each in its range
`with_class_defaults`     the options of a network as they are used: given, or what its class has by default
`as_json`                 as JSON knows them, for model files and tables
`explicit`    decorator: which arguments the caller gave; unknown ones are refused
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
import math
import os
import re
import sys
from pathlib import Path

import numpy as np

from utils import backend, rna
from utils.layer import Layer
from utils.record import trackers
from utils.training import optimisers, schedules
from utils.training.augmentation import Augment
from utils.training.rules import RULES

FUNCTIONS = {'optimiser': optimisers.OPTIMISERS, 'schedule': schedules.SCHEDULES}
# Arguments of `test` that a network takes, where its class has them; None stands for the default of the class.
NETWORK_OPTIONS = ('n_hidden', 'activation', 'batch_norm', 'p_drop', 'p_dropConv', 'gaussian_std')
MOST_LAYERS = 1000
# What each argument of `test` decides; for resuming, sweeps and comparisons it is said here alone.
# FIXED decide the result, and a resumed experiment keeps them.
FIXED = (*NETWORK_OPTIONS, 'learning_rate', 'L1_reg', 'L2_reg', 'batch_size', 'val', 'network',
         'network_args', 'seed', 'rule', 'retrain', 'optimiser', 'optimiser_args', 'momentum', 'nesterov',
         'weight_decay', 'clip_norm', 'schedule', 'schedule_args', 'average', 'label_smoothing', 'augment',
         'statistics_images', 'precision')
# These decide it too, and may change on resuming: more epochs, the data set at another place.
CHANGEABLE = ('n_epochs', 'patience', 'anneal_epochs', 'special_test', 'dataset')
# UNSAVED and INCIDENTAL decide nothing; those are of one call alone and are not saved.
UNSAVED = ('resume', 'on_epoch', 'verbose', 'accept_changed_network')
INCIDENTAL = (*UNSAVED, 'im_dim', 'trainShared', 'savename', 'name', 'show_test', 'save_every', 'report', 'track')
# Arguments that `Trainer` takes as they are.
TRAINING = ('batch_size', 'learning_rate', 'L1_reg', 'L2_reg', 'seed', 'val', 'trainShared', 'augment', 'precision',
            'label_smoothing', 'average')
# What other libraries call our arguments.
ALIASES = {'lr': 'learning_rate', 'rate': 'learning_rate', 'epoch': 'n_epochs', 'epochs': 'n_epochs',
           'nepoch': 'n_epochs', 'numepochs': 'n_epochs', 'maxepochs': 'n_epochs', 'batch': 'batch_size',
           'minibatch': 'batch_size', 'bs': 'batch_size', 'dropout': 'p_drop', 'drop': 'p_drop',
           'dropoutconv': 'p_dropConv', 'optimizer': 'optimiser', 'optim': 'optimiser', 'solver': 'optimiser',
           'optimizerargs': 'optimiser_args', 'model': 'network', 'net': 'network', 'architecture': 'network',
           'arch': 'network', 'data': 'dataset', 'dataset': 'dataset', 'path': 'dataset', 'hidden': 'n_hidden',
           'hiddenlayers': 'n_hidden', 'units': 'n_hidden', 'layers': 'n_hidden', 'nonlinearity': 'activation',
           'bn': 'batch_norm', 'batchnormalization': 'batch_norm', 'noise': 'gaussian_std', 'std': 'gaussian_std',
           'l1': 'L1_reg', 'l2': 'L2_reg', 'wd': 'weight_decay', 'decay': 'weight_decay', 'ema': 'average',
           'scheduler': 'schedule', 'lrscheduler': 'schedule', 'lrschedule': 'schedule', 'smoothing': 'label_smoothing',
           'augmentation': 'augment', 'randomstate': 'seed', 'randomseed': 'seed', 'validation': 'val',
           'imsize': 'im_dim', 'imagesize': 'im_dim', 'output': 'savename', 'save': 'savename', 'out': 'savename',
           'checkpoint': 'resume', 'callback': 'on_epoch', 'callbacks': 'on_epoch', 'gradclip': 'clip_norm',
           'clip': 'clip_norm', 'dtype': 'precision', 'flip': 'mirror', 'cutout': 'erase', 'scale': 'zoom',
           'width': "network_args={'width': ...}", 'crop': "augment={'crop': ...}", 'mixup': "augment={'mixup': ...}",
           'mirror': "augment={'mirror': ...}", 'rotation': "augment={'rotation': ...}"}


def did_you_mean(name, known):
    """'; did you mean ...?', where a known name is near or the field has another word for it."""
    def plain(text):
        return re.sub('[^a-z0-9]', '', str(text)[:100].lower())

    def likeness(other):
        ours, theirs = plain(other), plain(name)
        if sorted(ours) == sorted(theirs):          # letters exchanged
            return 1
        return difflib.SequenceMatcher(None, theirs, ours).ratio() + .02 * (theirs[:1] == ours[:1])
    known = list(known)
    alias = ALIASES.get(plain(name), '')
    if alias.partition('=')[0] in known:
        return f'; did you mean {alias if "=" in alias else repr(alias)}?'
    near = max(known, key=likeness, default='')
    return f'; did you mean {near!r}?' if near and likeness(near) >= .7 else ''


def shortened(value):
    """The text of a value for a message, which may come from a file and be of any length."""
    try:
        text = repr(value)
    except ValueError:              # Python writes out no more than 4300 digits
        text = f'a number of {value.bit_length()} bits'
    return text if len(text) <= 300 else f'{text[:300]}...'


def explicit(function):
    """Pass `function` the names of the arguments that its caller gave, as `given`; refuse unknown names."""
    full = inspect.signature(function)
    public = full.replace(parameters=[p for name, p in full.parameters.items() if name != 'given'])

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        for name in kwargs:
            if name not in public.parameters:
                raise TypeError(f'{function.__name__}() has no argument {name!r}'
                                + did_you_mean(name, public.parameters))
        return function(*args, **kwargs, given=frozenset(public.bind(*args, **kwargs).arguments))

    wrapper.__signature__ = public
    return wrapper


def validate_arguments(options, networks):
    """The options in their plain form, each in its range; `networks` are the classes known by name."""
    def demand(good, name, wanted):
        _demand(good, name, wanted, options[name])

    def number(name):
        return _is_number(options[name])

    def whole(name, least):
        demand(number(name) and options[name] == int(options[name]) and options[name] >= least, name,
               f'a whole number >= {least}')
        options[name] = int(options[name])

    demand(number('learning_rate') and options['learning_rate'] > 0, 'learning_rate', 'a number > 0')
    for name in ('L1_reg', 'L2_reg', 'weight_decay', 'clip_norm'):
        demand(number(name) and options[name] >= 0, name, 'a number >= 0')
    for name in ('momentum', 'average', 'label_smoothing'):
        demand(number(name) and 0 <= options[name] < 1, name, 'a number in [0, 1)')
    for name, value in options.items():
        if isinstance(value, np.number):
            options[name] = _plain(value)
    for name, least in (('n_epochs', 1), ('batch_size', 1), ('anneal_epochs', 0), ('statistics_images', 1),
                        ('save_every', 1), ('seed', 0), ('patience', 0)):
        whole(name, least)
    demand(options['seed'] < 2 ** 32, 'seed', 'a whole number below 2**32')
    for name in ('val', 'trainShared', 'retrain', 'nesterov', 'special_test', 'show_test', 'report',
                 'accept_changed_network'):
        options[name] = _flag(name, options[name])
    for name, known, wanted in (('rule', RULES, ' or '.join(map(repr, RULES))),
                                ('precision', backend.PRECISIONS, 'one of ' + ', '.join(backend.PRECISIONS))):
        demand(isinstance(options[name], str) and options[name] in known, name, wanted)
    demand(isinstance(options['verbose'], (int, np.integer)) and options['verbose'] in (0, 1, 2), 'verbose',
           '0, 1 or 2')
    for name in ('dataset', 'savename', 'resume'):
        demand(options[name] is None or (isinstance(options[name], (str, os.PathLike)) and str(options[name])), name,
               'a path')
    demand(options['name'] is None or (isinstance(options['name'], str) and options['name'].isprintable()
                                       and options['name'].strip()), 'name', 'a text of one line')
    demand(options['on_epoch'] is None or callable(options['on_epoch']), 'on_epoch', 'a function')
    for name in NETWORK_OPTIONS:
        if options[name] is not None:
            options[name] = network_option(name, options[name])
    if options['im_dim'] is not None:
        sides = options['im_dim'] = np.ravel(np.asarray(options['im_dim'], dtype=object)).tolist()
        demand(len(sides) == 2 and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0
                                       for n in sides), 'im_dim', 'height and width')
        options['im_dim'] = [int(n) for n in sides]
    for name in ('network_args', 'optimiser_args', 'schedule_args'):
        demand(options[name] is None or (isinstance(options[name], dict) and all(
            isinstance(key, str) for key in options[name])), name, 'a dict')
        try:
            options[name] = _plain(options[name] or {})
        except RecursionError:
            raise ValueError(f'{name} holds itself: it must hold numbers, texts, booleans and lists of them') from None
    demand(options['track'] is None or isinstance(options['track'], (str, list, tuple)), 'track', 'a list of trackers')
    options['track'] = trackers.check(options['track'] or ())
    options['network'] = named(options['network'], networks, 'network', 'Class')
    options['augment'] = make_augment(options['augment'])
    options['schedule'] = options['schedule'] or 'constant'
    for name, known in FUNCTIONS.items():
        options[name] = named(options[name], known, name, 'function')
        _check_further(options, name)
    if options['optimiser'] is not optimisers.sgd and (options['momentum'] or options['nesterov']):
        raise ValueError(f"momentum and nesterov are of optimiser 'sgd', got {class_name(options['optimiser'])!r}: "
                         'leave them out')
    if options['nesterov'] and not options['momentum']:
        raise ValueError(f"nesterov=True is a form of the momentum, got momentum={options['momentum']!r}: give a "
                         'momentum, for example 0.9, or leave nesterov out')
    if options['schedule'] is schedules.plateau and not options['val']:
        raise ValueError("schedule 'plateau' goes by the validation images: val must be True, got False")
    if options['patience'] and not options['val']:
        raise ValueError('patience goes by the validation images: val must be True, got False')
    return options


def _demand(good, name, wanted, value):
    if not good:
        raise ValueError(f'{name} must be {wanted}, got {shortened(value)}')


def _is_number(value):
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:           # an integer beyond all floats
        return False


def _plain(value):
    """A value without NumPy's types of numbers, at any depth of lists and dicts."""
    if isinstance(value, np.generic):
        return float(value) if isinstance(value, np.floating) else value.item()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def _flag(name, value):
    good = isinstance(value, (bool, np.bool_)) or (_is_number(value) and value in (0, 1))
    _demand(good, name, 'True or False', value)
    return bool(value)


def network_option(name, value):
    """One of `NETWORK_OPTIONS` in its plain form: a flag, a number, a list of numbers, an activation.

    Raises
    ------
    ValueError
        It is not what `test` takes.
    """
    if name == 'batch_norm':
        return _flag(name, value)
    if name == 'gaussian_std':
        _demand(_is_number(value) and value >= 0, name, 'a number >= 0', value)
        return _plain(value)
    if name == 'activation':
        return _activation(value)
    if name == 'n_hidden':
        flat = all(np.ndim(n) == 0 for n in value) if isinstance(value, (list, tuple)) else True
        out = np.atleast_1d(value).tolist() if flat else []
        _demand(flat and all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in out), name,
                'a list of whole numbers >= 1', value)
    else:
        out = np.asarray(value, dtype=object).tolist() if isinstance(value, (tuple, np.ndarray, np.generic)) else value
        several = isinstance(out, list)
        _demand(all(_is_number(p) and 0 <= p < 1 for p in (out if several else [out])), name,
                'probabilities of dropping in [0, 1)', value)
        out = _plain(out)
    _demand(not isinstance(out, list) or len(out) <= MOST_LAYERS, name, f'a list of at most {MOST_LAYERS}', value)
    return out


def _activation(value):
    wanted = ', '.join(f'rna.{name}()' for name in rna.ACTIVATIONS) + ' or a function of one expression'
    if isinstance(value, str):
        if value not in rna.ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(rna.ACTIVATIONS)}, got {shortened(value)}"
                             + did_you_mean(value, rna.ACTIVATIONS))
        return rna.ACTIVATIONS[value]()
    if any(value is make for make in rna.ACTIVATIONS.values()):
        raise ValueError(f'activation must be {wanted}, got rna.{value.__name__} without its brackets: write '
                         f'rna.{value.__name__}()')
    _demand(callable(value) and not isinstance(value, type) and _takes(value, None, unknown=True), 'activation', wanted,
            value)
    return value


def _takes(function, *arguments, unknown=False, **keywords):
    """Whether a function can be called so, further arguments not counted; `unknown` where it does not tell."""
    try:
        inspect.signature(function).bind_partial(*arguments, **keywords)
    except TypeError:
        return False
    except ValueError:
        return unknown
    return True


def _check_further(options, name):
    """Check ``<name>_args``, further arguments of a function: those after the first three."""
    key = f'{name}_args'
    accepted = list(inspect.signature(options[name]).parameters.values())
    further = [p for p in accepted[3:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    names = [p.name for p in further]
    unknown = [k for k in options[key] if k not in names and not any(p.kind is p.VAR_KEYWORD for p in accepted)]
    if unknown:
        raise ValueError(f"{name} {class_name(options[name])!r} does not take {unknown[0]!r} of {key}; it takes "
                         + (', '.join(names) or 'nothing') + did_you_mean(unknown[0], names))
    missing = [p.name for p in further if p.default is p.empty and p.name not in options[key]]
    if missing:
        raise ValueError(f"{name} {class_name(options[name])!r} needs {missing[0]!r}: give it in {key}")


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
                         + (did_you_mean(unknown[0], names) if unknown else ''))
    return Augment(**settings)


def named(value, known, what, kind):
    """A class or function as it is, or by its name: one of `known`, or in a script, ``script.py:name``.

    A name may bear that of its package: ``cnn.A``.
    """
    if not isinstance(value, str):
        if not callable(value):
            raise ValueError(f"{what} must be a {kind.lower()} or one of {', '.join(known)}, got {shortened(value)}")
        return _fit_for(what, value)
    package, _, last = value.rpartition('.')
    if last in known and (not package or f'.{package}.' in f'.{known[last].__module__}.'):
        return known[last]
    file, colon, cls = value.rpartition(':')
    if not colon or not Path(file).is_file():
        near = did_you_mean(last, known).replace("'", '')
        raise ValueError(f"{what} must be one of {', '.join(known)} or script.py:{kind}, got {shortened(value)}{near}")
    spec = importlib.util.spec_from_file_location(f'{Path(file).stem} of {Path(file).resolve()}', file)
    # Where `inspect` looks for the source of a class.
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, cls):
        raise ValueError(f"'{file}' has no {kind.lower()} {cls}")
    return _fit_for(what, getattr(module, cls))


def _fit_for(what, value):
    """A class or function of the user's own, if it can be called as `what` is."""
    if what == 'network':
        if isinstance(value, Layer):
            name = class_name(value)
            raise ValueError(f'network must be a class, got a network that is made already, of class {name}: give '
                             f'{name} itself, and its arguments as arguments of test() or in network_args')
        if not _takes(value, None, None, rng=None):
            raise ValueError('network must be a class of which networks are made by network(im_dim, n_classes, ..., '
                             f'rng=...), got {shortened(value)}')
    else:
        arguments = {'optimiser': 'gradients, parameters, rate', 'schedule': 'epoch, n_epochs, figures'}[what]
        if isinstance(value, type) or not _takes(value, None, None, None):
            raise ValueError(f'{what} must be a function {what}({arguments}), got {shortened(value)}')
    return value


def as_json(options):
    """The options as JSON knows them."""
    out = {key: value for key, value in options.items() if key not in UNSAVED}
    for key in ('network', 'optimiser', 'schedule'):
        out[key] = class_name(options[key])
    out['augment'] = options['augment'] and options['augment'].settings
    if options['activation'] is not None:
        out['activation'] = getattr(options['activation'], 'name', None) or repr(options['activation'])
    for key in ('dataset', 'savename'):
        out[key] = None if options[key] is None else str(options[key])
    for key, value in out.items():
        try:
            out[key] = json.loads(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f'{key} must hold numbers, texts, booleans and lists of them ({error}), got '
                             f'{shortened(value)}') from None
    return out


def class_name(network):
    return getattr(network, '__name__', type(network).__name__)
