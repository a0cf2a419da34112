"""The experiment launcher: ``from launch import test`` in a script, ``python launch.py`` in a shell.

`test` is one experiment: load a data set, build a network, train to the entropy point, retrain with the
validation images, anneal, test, save, plot. `predict` applies a saved model to images.
"""
# ruff: noqa: E402, I001
from utils.process import keep_compiled, tune_malloc

tune_malloc()       # both before JAX is loaded
keep_compiled()

import argparse
import difflib
import functools
import importlib.util
import inspect
import json
import re
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

import cnn
import loaders
import mlp
from loaders.sample import write_csv
from utils import jax_backend, reporting, rna, saving, updates
from utils.augmentation import Augment
from utils.functions import Functions
from utils.layer import parameters
from utils.methodology import RULES, Trainer, fitting

NETWORKS = {name: getattr(package, name) for package in (cnn, mlp) for name in package.__all__}

# Arguments of `test` that a network takes, where its class has them.
NETWORK_OPTIONS = ('n_hidden', 'activation', 'batch_norm', 'p_drop', 'p_dropConv', 'gaussian_std')
# Arguments that decide what comes out; a resumed experiment keeps them. The others may be changed.
FIXED = (*NETWORK_OPTIONS, 'learning_rate', 'L1_reg', 'L2_reg', 'batch_size', 'val', 'im_dim', 'network',
         'network_args', 'seed', 'rule', 'retrain', 'momentum', 'nesterov', 'augment', 'statistics_images',
         'precision')

# What `python launch.py` takes when it is given no data set: a short run on the sample faces.
SAMPLE_RUN = {'network_args': {'width': .25}, 'p_dropConv': [0., .1, .1, .2], 'n_hidden': [256], 'batch_size': 50,
              'n_epochs': 12, 'anneal_epochs': 5, 'statistics_images': 1000}


@dataclass
class Result:
    """What came out of an experiment. Errors are in %.

    Attributes
    ----------
    name : str
        Under which it stands in the table of the competition.
    epoch : int or None
        The kept epoch (entropy point); None without validation.
    validation_error, validation_cross_entropy : float or None
        At that epoch.
    test_error, special_test_error : float or None
        On the whole test set, from the images as they are and from all views of each (None if the set has none).
    errors : dict
        'plain' and 'special': by half, with and without training twins, see `utils.methodology.test_errors`.
    rank : int
        Place in the 2013 competition of the better founded of the two errors: special if there is one.
    history : list of dict
        One entry per epoch, see `utils.methodology.Trainer`.
    n_parameters : int
        Trained parameters of the network.
    seconds : float
        Time of this call.
    savename, figure : Path or None
        Model file and curves.
    config : dict
        All arguments, as saved in the model.
    """
    name: str
    epoch: int | None
    validation_error: float | None
    validation_cross_entropy: float | None
    test_error: float
    special_test_error: float | None
    errors: dict
    rank: int
    history: list
    n_parameters: int
    seconds: float
    savename: Path | None
    figure: Path | None
    config: dict


def _knows_what_was_given(function):
    """Pass `function` the names of the arguments that its caller gave, as `given`; refuse unknown names."""
    full = inspect.signature(function)
    public = full.replace(parameters=[p for name, p in full.parameters.items() if name != 'given'])

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        for name in kwargs:
            if name not in public.parameters:
                near = difflib.get_close_matches(name, public.parameters, 1, cutoff=.4)
                raise TypeError(f'{function.__name__}() has no argument {name!r}'
                                + (f'; did you mean {near[0]!r}?' if near else ''))
        return function(*args, **kwargs, given=frozenset(public.bind(*args, **kwargs).arguments))

    wrapper.__signature__ = public
    return wrapper


@_knows_what_was_given
def test(learning_rate=.1, L1_reg=0., L2_reg=0., n_epochs=10, dataset=None, batch_size=100, n_hidden=(1024,),
         activation=rna.relu(), batch_norm=True, p_drop=.5, p_dropConv=None, gaussian_std=0., val=True,
         trainShared=True, im_dim=None, savename=None, *, network=cnn.A, network_args=None, seed=0,
         rule='entropy', retrain=True, anneal_epochs=10, momentum=0., nesterov=False, augment=None,
         statistics_images=5000, precision='float32', special_test=True, show_test=False, resume=None, save_every=1,
         name=None, on_epoch=None, verbose=1, given=frozenset()):
    """Run one experiment: load, build, train to the entropy point, retrain, anneal, test, save, plot.

    Parameters
    ----------
    learning_rate : float
        Step of the gradient descent.
    L1_reg, L2_reg : float
        Factors of the sum of the weights' absolute values and of the sum of their squares in the cost.
    n_epochs : int
        Epochs of stage train.
    dataset : path, optional
        HDF5 set made by ``python -m loaders``; without one a small set of drawn faces is made and used.
    batch_size : int
        Images per minibatch.
    n_hidden : list of int
        Units of each hidden layer of the fully connected part.
    activation : Activation
        `rna.relu()`, `rna.sigmoid()` or `rna.tanh()`; also decides the initialisation.
    batch_norm : bool
        Batch norm in place of biases.
    p_drop : float
        Probability of dropping a unit of a hidden layer.
    p_dropConv : list of float, optional
        The same for each convolution of the network; by default what the network's class has.
    gaussian_std : float
        Standard deviation of the noise on linear outputs in training.
    val : bool
        Hold out the validation images, keep the epoch that is best on them, then retrain with them. False
        trains `n_epochs` epochs on everything and anneals.
    trainShared : bool
        Keep the training images on the device. False reads each minibatch from the file; the results are the same.
    im_dim : (int, int), optional
        Height and width that the images must have.
    savename : path, optional
        Model file, .h5 or .pkl; curves and history go into a folder of the same name. A file that is there
        already is renamed, not overwritten. By default trained_models/<network>_<set>.h5.
    network : class
        `cnn.A`, `cnn.B`, `cnn.C`, `cnn.D`, `cnn.LeNet5`, `mlp.MLP` or a class of your own that is called and
        used as they are. A name, or ``script.py:Class``, will do.
    network_args : dict, optional
        Further arguments of the network's class, for example ``{'last_pool': False}`` of `cnn.B`.
    seed : int
        Of weights, order of images, dropout and noise; 0 to 2**32 - 1.
    rule : {'entropy', 'error'}
        Keep the epoch of smallest validation cross-entropy or of smallest validation error.
    retrain : bool
        False goes on from the kept epoch's parameters instead of retraining with the validation images.
    anneal_epochs : int
        Epochs at a tenth of the learning rate, at the end.
    momentum : float
        In [0, 1).
    nesterov : bool
        Nesterov's form of the momentum.
    augment : Augment, dict or True, optional
        Change the training images anew in every minibatch, see `utils.augmentation.Augment`; a dict holds its
        arguments, for example ``{'mirror': 0.5, 'rotation': 10, 'mixup': 0.2}``, True takes its defaults.
    statistics_images : int
        Training images from which batch norm's population statistics are measured.
    precision : {'float32', 'tf32', 'bf16'}
        Of the operands of convolutions and matrix products; sums, parameters and all else are float32. The other
        two are for GPUs.
    special_test : bool
        Also test on the summed linear outputs over all views of each test image, if the set has views or `augment`
        makes them.
    show_test : bool
        Print the test error after every epoch. It is never used for a choice.
    resume : path, optional
        A model file with which to go on: an interrupted experiment goes on where it was saved, and one that
        was given fewer `n_epochs` or `anneal_epochs` is continued. Arguments that are left out are taken from
        it; those that decide the result cannot be changed.
    save_every : int
        Epochs between writings of the model file. It is written at the end of a stage, on Ctrl-C and on errors too.
    name : str, optional
        Under which the result stands in the table of the competition.
    on_epoch : callable, optional
        Called with the entry of each epoch (a dict, see `Result.history`).
    verbose : {1, 0}
        0 prints nothing.

    Returns
    -------
    Result

    Raises
    ------
    ValueError, TypeError, OSError
        An argument, the data set or the model file is not usable; nothing has been trained or written then.
    FloatingPointError
        The training cost became infinite or NaN; the last good epoch is in the model file.
    """
    start = time.perf_counter()
    options = {key: value for key, value in locals().items() if key not in ('given', 'start')}
    console = reporting.Console(verbose, on_epoch)
    options, state = _with_resumed(_checked(options), given)
    with _open_data(options, console) as data:
        make_network = _network_maker(options, data, given)
        path = _target(options, data)
        config = _config(options, data, path)
        _announce(console, options, data, path)
        checkpoint = _Checkpoint(path, config, save_every, replaces=resume, say=console.say)
        trainer = Trainer(
            make_network, data, report=console, checkpoint=checkpoint, optimiser=_optimiser(options),
            **{key: options[key] for key in ('batch_size', 'learning_rate', 'L1_reg', 'L2_reg', 'seed', 'val',
                                             'rule', 'trainShared', 'statistics_images', 'show_test', 'augment',
                                             'precision')})
        if state:
            trainer.restore(state)
        with checkpoint.kept_safe(trainer):
            trainer.train(options['n_epochs'])
            console.say(_kept_line(trainer, options))
            trainer.retrain(options['retrain'])
            trainer.anneal(options['anneal_epochs'], retrained=options['retrain'])
            errors = trainer.test(options['special_test'])
        return _report(console, options, data, trainer, errors, path, config, time.perf_counter() - start)


test.__test__ = False       # pytest would run it wherever it is imported


# ------------------------------------------------------------------------------ before training

def _checked(options):
    """The options in their plain form, each in its range."""
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
    for name in ('L1_reg', 'L2_reg', 'gaussian_std'):
        demand(number(name) and options[name] >= 0, name, 'a number >= 0')
    demand(number('momentum') and 0 <= options['momentum'] < 1, 'momentum', 'a number in [0, 1)')
    for name, least in (('n_epochs', 1), ('batch_size', 1), ('anneal_epochs', 0), ('statistics_images', 1),
                        ('save_every', 1), ('seed', 0)):
        whole(name, least)
    demand(options['seed'] < 2 ** 32, 'seed', 'a whole number below 2**32')
    for name in ('batch_norm', 'val', 'trainShared', 'retrain', 'nesterov', 'special_test', 'show_test'):
        demand(isinstance(options[name], (bool, np.bool_)) or options[name] in (0, 1), name, 'True or False')
        options[name] = bool(options[name])
    demand(options['rule'] in RULES, 'rule', ' or '.join(map(repr, RULES)))
    demand(options['precision'] in jax_backend.PRECISIONS, 'precision',
           'one of ' + ', '.join(jax_backend.PRECISIONS))
    demand(options['verbose'] in (0, 1), 'verbose', '0 or 1')
    if isinstance(options['activation'], str):
        demand(options['activation'] in rna.ACTIVATIONS, 'activation', 'one of ' + ', '.join(rna.ACTIVATIONS))
        options['activation'] = rna.ACTIVATIONS[options['activation']]()
    demand(callable(options['activation']), 'activation', 'rna.relu(), rna.sigmoid(), rna.tanh() or a function')
    options['n_hidden'] = np.atleast_1d(options['n_hidden']).tolist()
    demand(all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in options['n_hidden']), 'n_hidden',
           'a list of whole numbers >= 1')
    for name in ('p_drop', 'p_dropConv'):
        if options[name] is not None and np.ndim(options[name]):
            options[name] = np.asarray(options[name]).tolist()
        values = [] if options[name] is None else np.atleast_1d(np.asarray(options[name], dtype=object))
        demand(all(isinstance(p, (int, float)) and 0 <= p < 1 for p in values), name,
               'probabilities of dropping in [0, 1)')
    if options['im_dim'] is not None:
        options['im_dim'] = np.ravel(options['im_dim']).tolist()
        demand(len(options['im_dim']) == 2, 'im_dim', 'height and width')
    demand(options['network_args'] is None or isinstance(options['network_args'], dict), 'network_args', 'a dict')
    options['network_args'] = options['network_args'] or {}
    options['network'] = _network_class(options['network'])
    options['augment'] = _augment(options['augment'])
    return options


def _augment(settings):
    """An `Augment`, or None, from what `test` takes."""
    if settings is None or settings is False or isinstance(settings, Augment):
        return settings or None
    if settings is True:
        return Augment()
    names = inspect.signature(Augment).parameters
    if not isinstance(settings, dict) or set(settings) - set(names):
        raise ValueError(f"augment must be an Augment, True or a dict of {', '.join(names)}, got {settings!r}")
    return Augment(**settings)


def _network_class(network):
    """A class of networks from a class, a name or ``script.py:Class``."""
    if not isinstance(network, str):
        if not callable(network):
            raise ValueError(f'network must be a class, got {network!r}')
        return network
    if network in NETWORKS:
        return NETWORKS[network]
    file, colon, cls = network.rpartition(':')
    if not colon or not Path(file).is_file():
        near = difflib.get_close_matches(network, NETWORKS, 1)
        raise ValueError(f"network must be one of {', '.join(NETWORKS)} or script.py:Class, got {network!r}"
                         + (f'; did you mean {near[0]}?' if near else ''))
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, cls):
        raise ValueError(f"'{file}' has no class {cls}")
    return getattr(module, cls)


def _plain(options):
    """The options as JSON knows them."""
    out = {key: value for key, value in options.items() if key not in ('resume', 'on_epoch', 'verbose')}
    out['network'] = _class_name(options['network'])
    out['augment'] = options['augment'] and options['augment'].settings
    out['activation'] = getattr(options['activation'], 'name', None) or repr(options['activation'])
    for key in ('dataset', 'savename'):
        out[key] = None if options[key] is None else str(options[key])
    try:
        json.dumps(out)
    except TypeError as error:
        raise ValueError(f'network_args must hold numbers, texts, booleans and lists of them ({error}), '
                         f"got {options['network_args']!r}") from None
    return json.loads(json.dumps(out))


def _class_name(network):
    return getattr(network, '__name__', type(network).__name__)


def _with_resumed(options, given):
    """Options completed by those of the experiment to resume, and its state."""
    if options['resume'] is None:
        return options, None
    state, config = saving.load(options['resume'])
    saved, now = config['options'], _plain(options)
    changed = [f'{key}={saved[key]!r}, not {now[key]!r}' for key in FIXED if key in given and now[key] != saved[key]]
    if changed:
        raise ValueError(f"'{options['resume']}' was trained with {'; '.join(changed)}: leave these arguments out "
                         'to go on with it, or start a new experiment')
    for key in saved:
        if key not in given and key in options:
            options[key] = saved[key]
    if 'network' not in given:
        if not config['bundled_network']:
            raise ValueError(f"'{options['resume']}' was trained with a network class of a script, "
                             f"{saved['network']}: pass it as network=")
        options['network'] = NETWORKS[saved['network']]
    if isinstance(options['activation'], str):
        if options['activation'] not in rna.ACTIVATIONS:
            raise ValueError(f"'{options['resume']}' was trained with an activation of a script, "
                             f"{options['activation']}: pass it as activation=")
        options['activation'] = rna.ACTIVATIONS[options['activation']]()
    options['augment'] = _augment(options['augment'])
    if 'savename' not in given:
        options['savename'] = options['resume']
    options['fingerprint'] = config['fingerprint']
    return options, state


def _open_data(options, console):
    if options['dataset'] is None:
        options['dataset'] = sample_set(say=console.say)
    try:
        data = loaders.load(options['dataset'])
    except loaders.DataError as error:
        if not Path(options['dataset']).is_file():
            raise
        raise ValueError(f"dataset must be an HDF5 set: {error}. One is made of FER2013 in any layout by: python -m "
                         f"loaders '{options['dataset']}'") from None
    try:
        if options['im_dim'] is not None and tuple(options['im_dim']) != tuple(data.shape):
            raise ValueError(f"im_dim must be the size of the images of '{data.path}', {list(data.shape)}, got "
                             f"{options['im_dim']}")
        if options.get('fingerprint', data.fingerprint) != data.fingerprint:
            raise ValueError(f"'{options['resume']}' was trained on another data set than '{data.path}'")
    except ValueError:
        data.close()
        raise
    return data


def sample_set(folder='datasets', say=print):
    """The path of the sample set: drawn faces with mirror images; made if it is not there yet.

    FER2013 may not be redistributed. These faces are drawn from the facial action units of each emotion, see
    `loaders.sample`; figures on them say nothing about photographs.
    """
    path = Path(folder) / 'sample_set2.h5'
    if not path.exists():
        say('Drawing sample faces; README.md tells how to get FER2013 in.')
        path.parent.mkdir(parents=True, exist_ok=True)
        csv = write_csv(path.with_name('sample.csv'))
        loaders.build(csv, sets=(2,), out=folder, prefix='sample_', log=lambda *line: None)
    return path


def _network_maker(options, data, given):
    """A function that builds the network from a generator, with those options that its class takes."""
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
            raise ValueError(f'network {_class_name(network)} does not take {key}; it takes '
                             + ', '.join(k for k in accepted if k not in ('im_dim', 'n_classes', 'rng')))
    for key in options['network_args']:
        if key in kwargs or not (takes_all or key in accepted):
            raise ValueError(f'network {_class_name(network)} does not take network_args {key!r}; it takes '
                             + ', '.join(k for k in accepted if k not in (*kwargs, 'im_dim', 'n_classes', 'rng')))
    kwargs |= options['network_args']
    return lambda rng: network(tuple(data.shape), len(data.classes), rng=rng, **kwargs)


def _optimiser(options):
    if not options['momentum']:
        return updates.sgd
    return functools.partial(updates.momentum, mu=options['momentum'], nesterov=options['nesterov'])


def _target(options, data):
    path = options['savename']
    if path is None:
        path = Path('trained_models') / f"{_class_name(options['network'])}_{Path(data.path).stem}.h5"
    return saving.check_target(path)


def _config(options, data, path):
    """What is saved with the parameters: every argument, and where the data come from."""
    plain = _plain({key: value for key, value in options.items() if key != 'fingerprint'})
    return {'options': {**plain, 'savename': str(path)}, 'fingerprint': data.fingerprint,
            'bundled_network': options['network'] in NETWORKS.values(), 'classes': list(data.classes),
            'im_dim': list(data.shape), 'data': data.name}


class _Checkpoint:
    """Writes the model file as the trainer goes on, and once more if something ends it."""

    def __init__(self, path, config, save_every, replaces, say):
        self.path, self.config, self.save_every, self.say = path, config, save_every, say
        self.replaces = replaces is not None and Path(replaces).resolve() == path.resolve()
        self.written = None

    def __call__(self, trainer):
        if trainer.epoch % self.save_every == 0:
            self.write(trainer.last)

    def write(self, state):
        if not self.replaces:
            other = saving.make_way(self.path)
            if other:
                self.say(f"'{self.path}' was there already; it is now '{other}'")
            self.replaces = True
        saving.save(self.path, state, self.config)
        self.written = state

    def kept_safe(self, trainer):
        checkpoint = self

        class Guard:
            def __enter__(self):
                return self

            def __exit__(self, kind, error, traceback):
                if kind is None:
                    if checkpoint.written is None and not checkpoint.replaces:    # a finished one, under a new name
                        checkpoint.write(trainer.last)
                    return
                trainer.report.close()
                if checkpoint.written is not trainer.last:
                    checkpoint.write(trainer.last)
                what = 'interrupted' if issubclass(kind, KeyboardInterrupt) else f'ended by {kind.__name__}'
                checkpoint.say(f"{what} in stage {trainer.stage} after {trainer.epoch} epochs of it; go on with "
                               f"test(resume='{checkpoint.path}') or: python launch.py --resume {checkpoint.path}")
        return Guard()


# --------------------------------------------------------------------------------- what is told

def _label(options, data):
    """'A BN-drop (set 2)', in the manner of the thesis's tables."""
    takes = inspect.signature(options['network']).parameters
    dropped = [p for key in ('p_drop', 'p_dropConv') if key in takes
               for p in np.ravel(takes[key].default if options[key] is None else options[key])]
    techniques = (('BN', 'batch_norm' in takes and options['batch_norm']), ('drop', any(dropped)))
    parts = '-'.join(word for word, there in techniques if there)
    return options['name'] or ' '.join(filter(None, [_class_name(options['network']), parts, f'({data.name})']))


def _announce(console, options, data, path):
    args = ''.join(f', {key}={value}' for key, value in options['network_args'].items())
    narrowed = ' (narrowed)' if options['network_args'].get('width', 1) < 1 else ''
    counts = [f'{len(subset)} {name}' for name, subset in (
        ('training', data.training), ('of them held out for validation', data.validation if options['val'] else None),
        ('test', data.test)) if subset is not None]
    console.say(f"network {_class_name(options['network'])}{args}{narrowed}, hidden layers {options['n_hidden']}, "
                f'on {jax_backend.device_name()}')
    console.say(f"data '{data.path}' ({data.name}): {', '.join(counts)} images of "
                f'{data.shape[0]}x{data.shape[1]} pixels, {len(data.classes)} classes')
    console.say(f"model goes to '{path}'")
    if options['resume']:
        console.say(f"going on with '{options['resume']}'")


def _kept_line(trainer, options):
    best = trainer.best
    if best is None:
        return 'trained on all training images, without validation'
    point = 'entropy point' if options['rule'] == 'entropy' else 'smallest validation error'
    then = (f"retraining with the validation images for {best['epoch']} epochs" if options['retrain']
            else 'going on with the parameters of that epoch')
    return (f"{point}: epoch {best['epoch']}, validation cross-entropy {best['validation_cross_entropy']:.4f}, "
            f"validation error {best['validation_error']:.2f} %; {then}")


def _report(console, options, data, trainer, errors, path, config, seconds):
    """Print errors, files, time and the table; write figure and history; make the Result."""
    folder = path.with_suffix('')
    folder.mkdir(exist_ok=True)
    label, best = _label(options, data), trainer.best
    figure = folder / 'curves.png'
    reporting.plot_curves(trainer.history, figure, best, label)
    reporting.write_history(trainer.history, folder / 'history.csv')
    for kind, title in (('plain', 'test error'), ('special', 'special test error')):
        for half, e in (errors[kind] or {}).items():
            twins = ('' if e['images_without_twins'] in (0, e['images'])
                     else f", {e['error_without_twins']:.2f} % without the {e['images'] - e['images_without_twins']} "
                          'images that have a twin in the training set')
            console.say(f"{title}, {half}: {e['error']:.2f} % of {e['images']}{twins}")
    plain = errors['plain']['whole']['error']
    special = errors['special'] and errors['special']['whole']['error']
    final = plain if special is None else special
    console.say('\n' + reporting.ranking({label: final}))
    if not data.is_fer2013:
        console.say('These images are not FER2013: the place in the table is for show.')
    elif 'private' in errors['plain']:
        private = (errors['special'] or errors['plain'])['private']['error']
        place = reporting.rank(private, 'private')
        known = len(reporting.COMPETITION)
        console.say(f'on the private half alone, which decided the competition: {private:.2f} %, '
                    + (f'place {place}' if place <= known else f'below place {known}') + f' of {reporting.TEAMS}')
    console.say(f"\nmodel '{path}', curves '{figure}', history '{folder / 'history.csv'}'")
    console.say(f'total time {timedelta(seconds=round(seconds))}')
    return Result(
        name=label, epoch=best and best['epoch'], validation_error=best and best['validation_error'],
        validation_cross_entropy=best and best['validation_cross_entropy'], test_error=plain,
        special_test_error=special, errors=errors, rank=reporting.rank(final), history=trainer.history,
        n_parameters=sum(int(np.prod(p.type.shape))
                         for p in parameters(trainer.functions.network, trainable=True).values()),
        seconds=seconds, savename=path, figure=figure, config=config)


# ------------------------------------------------------------------------------------ prediction

def predict(model, images, *, network=None, batch_size=100):
    """Probabilities of the classes for images, from a saved model.

    Parameters
    ----------
    model : path
        Written by `test`.
    images : array (n, height, width) uint8
        Grey images of the size that the model was trained on.
    network : class, optional
        The network's class, where it is one of your own.
    batch_size : int
        Images per call of the device.

    Returns
    -------
    float64 array (n, n_classes)
        Rows sum to 1.

    Raises
    ------
    ValueError
        A file that is no model, images of another size or type, a network class that does not fit.
    """
    state, config = saving.load(model)
    images = np.asarray(images)
    height, width = config['im_dim']
    if images.ndim != 3 or images.shape[1:] != (height, width) or images.dtype != np.uint8 or not len(images):
        raise ValueError(f'images must be uint8 of shape (n, {height}, {width}), got {images.dtype} '
                         f'{images.shape}')
    options = config['options']
    if network is None and not config['bundled_network']:
        raise ValueError(f"'{model}' was trained with a network class of a script, {options['network']}: pass it "
                         'as network=')
    network = NETWORKS[options['network']] if network is None else network
    accepted = inspect.signature(network).parameters
    kwargs = {key: options[key] for key in NETWORK_OPTIONS if key in accepted and options[key] is not None}
    if 'activation' in kwargs:
        kwargs['activation'] = rna.ACTIVATIONS[kwargs['activation']]()
    net = network((height, width), len(config['classes']), rng=np.random.default_rng(0), **kwargs,
                  **options['network_args'])
    targets = parameters(net)
    saved = {path.removeprefix('parameters/'): value for path, value in state['arrays'].items()
             if path.startswith('parameters/')}
    fitting(saved, {key: p.type.shape for key, p in targets.items()})
    for key, p in targets.items():
        p.set_value(saved[key])
    batch_size = min(batch_size, len(images))
    f = Functions(net, (height, width), batch_size, precision=options['precision'])
    padded = np.resize(images, (-(-len(images) // batch_size) * batch_size, height, width))
    logits = np.concatenate([np.asarray(f.test(part), dtype=float) for part in
                             padded.reshape(-1, batch_size, height, width)])[:len(images)]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------------------------- command line

def _help_texts():
    """Help of each argument of `test`, from its docstring."""
    section = inspect.getdoc(test).split('----------\n', 1)[1].split('\n\nReturns')[0]
    texts = {}
    for names, text in re.findall(r'^(\S[^:\n]*) :[^\n]*\n((?:    [^\n]*\n?)+)', section, re.M):
        for key in names.split(', '):
            texts[key] = ' '.join(text.split()).replace('`', '').replace('%', '%%')
    return texts


def _parser():
    parser = argparse.ArgumentParser(
        prog='python launch.py', allow_abbrev=False,
        description='Run one experiment: load, build, train to the entropy point, retrain, anneal, test, save, '
                    'plot. Without --dataset a set of drawn faces is made and network A, narrowed, learns it.')
    texts = _help_texts()
    lists = {'n_hidden': int, 'p_dropConv': float, 'im_dim': int}
    for key, p in inspect.signature(test).parameters.items():
        if key == 'on_epoch':
            continue
        flags = [f'--{key}'] + ([f"--{key.replace('_', '-')}"] if '_' in key else [])
        kwargs = {'help': texts[key], 'default': argparse.SUPPRESS}
        if isinstance(p.default, bool):
            kwargs['action'] = argparse.BooleanOptionalAction
        elif key in lists:
            kwargs |= {'type': lists[key], 'nargs': '*', 'metavar': key.upper()}
        elif key == 'activation':
            kwargs['choices'] = list(rna.ACTIVATIONS)
        elif key in ('network_args', 'augment'):
            kwargs |= {'type': json.loads, 'metavar': 'JSON'}
        elif isinstance(p.default, (int, float)):
            kwargs['type'] = type(p.default)
        if p.default is not None:
            default = p.default.__name__ if key == 'network' else getattr(p.default, 'name', p.default)
            kwargs['help'] += f' (default: {default})'
        parser.add_argument(*flags, **kwargs)
    return parser


def main(arguments=None):
    """The command line. Returns the exit status: 0, 2 after an error of the user's, 130 after Ctrl-C."""
    options = vars(_parser().parse_args(arguments))
    if not {'dataset', 'resume'} & set(options):
        sample = dict(SAMPLE_RUN)
        if 'network' in options:        # these two are about network A
            del sample['network_args'], sample['p_dropConv']
        print('A short run on drawn faces, with ' + ', '.join(f'{k}={v}' for k, v in sample.items() if k not in options)
              + '. For a whole experiment name a data set: --dataset.')
        options = {**sample, **options}
    try:
        test(**options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
