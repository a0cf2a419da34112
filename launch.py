"""The experiment launcher: ``from launch import test`` in a script, ``python launch.py`` in a shell.

`test` is one experiment: load a data set, build a network, train to the entropy point, retrain with the
validation images, anneal, test, save, plot. `predict` applies a saved model to images, `evaluate` tests it on a
set; `sweep` and `search` run many experiments, `rate_range` looks for a learning rate.
"""
# ruff: noqa: E402, I001
if __name__ == '__main__':      # before all that is imported below, which help and errors do without
    import sys
    try:
        from utils.cli import main
        status = main()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)

from importlib.util import find_spec
from pathlib import Path

for _name in ('cnn', 'loaders', 'mlp', 'utils'):        # a file of the same name may come first in sys.path
    _spec = find_spec(_name)
    _found = Path(_spec.origin or next(iter(_spec.submodule_search_locations or ()), '')) if _spec else None
    _ours = Path(__file__).resolve().parent / _name
    if _found and _found.resolve() not in (_ours, _ours / '__init__.py'):
        raise ImportError(f"'{_found}' hides symfer's package {_name} ('{_ours}'): rename it, or start from another "
                          'folder')

from utils.process import keep_compiled, tune_malloc

tune_malloc()       # both before JAX is loaded
keep_compiled()

import functools
import inspect
import json
import os
import sys
import time
import warnings
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

import cnn
import loaders
import mlp
from loaders.sample import write_csv
from utils import backend, rna
from utils.experiment import resuming, schema
from utils.experiment.arguments import (
    FUNCTIONS, NETWORK_OPTIONS, as_json, class_name, explicit, make_augment, named, validate_arguments,
)
from utils.experiment.suggestions import did_you_mean
from utils.experiment.building import (
    arguments_of_file, arguments_used, make_network, make_optimiser, make_schedule, network_arguments,
    with_class_defaults, without_idle,
)
from utils.experiment.checkpoint import Checkpoint
from utils.experiment.console import Console
from utils.experiment.kinds import shortened
from utils.experiment.memory import explain_out_of_memory
from utils.experiment.signals import SignalHandler
from utils.files import locks, models
from utils.files.atomic import write_json
from utils.files.folders import new_folder, numbered_folder
from utils.files.locks import lock
from utils.files.terminal import write_line
from utils.layer import parameters
from utils.record import reading
from utils.record.reading import read_run
from utils.record.writing import Record
from utils.results import competition, metrics, plots, report as reports, summary, tables
from utils.results.predictions import write_outputs
from utils.studies import comparison, lr_finder, trials
from utils.studies.grid import points
from utils.studies.workers import in_processes, in_turn, on_ray, worker_command
from utils.studies.search import parse_space, search as optuna_search
from utils.training.batches import minibatches
from utils.training.functions import Functions
from utils.training.inference import test_outputs
from utils.training.rules import RULES
from utils.training.state import check_state, without_aliases
from utils.training.trainer import Trainer

__all__ = ['Result', 'evaluate', 'open_model', 'predict', 'rate_range', 'read_config', 'run_point', 'sample_set',
           'search', 'sweep', 'test']

NETWORKS = {name: getattr(package, name) for package in (cnn, mlp) for name in package.__all__}

# What `python launch.py` takes when it is given no data set: a short run on the sample faces.
SAMPLE_RUN = {'network_args': {'width': .25}, 'p_dropConv': [0., .1, .1, .2], 'n_hidden': [256], 'batch_size': 50,
              'n_epochs': 10, 'anneal_epochs': 3, 'statistics_images': 1000}


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
        'plain' and 'special': by half, with and without training twins, see `utils.training.inference.test_errors`.
    rank : int
        Place in the 2013 competition of the better founded of the two errors: special if there is one.
    history : list of dict
        One entry per epoch, see `utils.training.trainer.Trainer`.
    n_parameters : int
        Trained parameters of the network.
    seconds : float
        Time of this call.
    savename, figure : Path or None
        Model file and curves.
    config : dict
        All arguments, as saved in the model.
    folder : Path
        The run's folder, see `utils.record`.
    evaluation : dict
        Intervals, figures of each class, confusion, calibration, ... see `utils.results.metrics.evaluate`.
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
    folder: Path
    evaluation: dict


@explicit
def test(learning_rate=.1, L1_reg=0., L2_reg=0., n_epochs=10, dataset=None, batch_size=100, n_hidden=None,
         activation=None, batch_norm=None, p_drop=None, p_dropConv=None, gaussian_std=None, val=True,
         trainShared=True, im_dim=None, savename=None, *, network=cnn.A, network_args=None, seed=0,
         rule='entropy', patience=0, retrain=True, anneal_epochs=10, optimiser='sgd', optimiser_args=None,
         momentum=0., nesterov=False, weight_decay=0., clip_norm=0., schedule='constant', schedule_args=None,
         average=0., label_smoothing=0., augment=None, statistics_images=5000, precision='float32',
         special_test=True, show_test=False, resume=None, accept_changed_network=False, save_every=1,
         name=None, on_epoch=None, verbose=1, report=True, track=None, given=frozenset()):
    """Run one experiment: load, build, train to the entropy point, retrain, anneal, test, save, plot.

    Those of `n_hidden`, `activation`, `batch_norm`, `p_drop`, `p_dropConv` and `gaussian_std` that are not given are
    the defaults of the network's class.

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
    n_hidden : list of int, optional
        Units of each hidden layer of the fully connected part; by default those of the network's class, [1024] for A.
    activation : Activation, optional
        `rna.relu()`, `rna.sigmoid()` or `rna.tanh()`; also decides the initialisation. By default that of the
        network's class, relu for A.
    batch_norm : bool, optional
        Batch norm in place of biases; by default as the network's class has it, True for A.
    p_drop : float, optional
        Probability of dropping a unit of a hidden layer; by default that of the network's class, 0.5 for A.
    p_dropConv : list of float, optional
        The same for each convolution of the network; by default what the network's class has.
    gaussian_std : float, optional
        Standard deviation of the noise on linear outputs in training; by default that of the network's class, 0 for A.
    val : bool
        Hold out the validation images, keep the epoch that is best on them, then retrain with them. False
        trains `n_epochs` epochs on everything and anneals.
    trainShared : bool
        Keep the training images on the device. False reads each minibatch from the file; the results are the same.
    im_dim : (int, int), optional
        Height and width that the images must have.
    savename : path, optional
        Model file, .h5 or .pkl; the record of the run goes into ``run-001``, ``run-002``, ... of a folder of the
        same name. A file that is there already is renamed, not overwritten. By default
        trained_models/<network>_<set>.h5.
    network : class
        `cnn.A`, `cnn.B`, `cnn.C`, `cnn.D`, `cnn.VGG`, `cnn.ResNet18`, `cnn.LeNet5`, `mlp.MLP` or a class of your own
        that is called and used as they are. A name, or ``script.py:Class``, will do.
    network_args : dict, optional
        Further arguments of the network's class, for example ``{'last_pool': False}`` of `cnn.B`.
    seed : int
        Of weights, order of images, dropout and noise; 0 to 2**32 - 1.
    rule : {'entropy', 'error'}
        Keep the epoch of smallest validation cross-entropy or of smallest validation error.
    patience : int
        End stage train where that has had no new minimum for so many epochs; 0 trains all `n_epochs`.
    retrain : bool
        False goes on from the kept epoch's parameters instead of retraining with the validation images.
    anneal_epochs : int
        Epochs at a tenth of the learning rate, at the end; with a schedule, of the rate of the kept epoch.
    optimiser : {'sgd', 'rmsprop', 'adam', 'adamw'} or callable
        See `utils.training.optimisers`; also a function of your own, ``optimiser(gradients, parameters, rate)``, or
        its name, ``script.py:function``.
    optimiser_args : dict, optional
        Its further arguments, for example ``{'beta2': 0.99}`` of 'adam'.
    momentum : float
        In [0, 1); of 'sgd'.
    nesterov : bool
        Nesterov's form of the momentum.
    weight_decay : float
        Times the weights, added to their gradients; with 'adamw' decoupled from them. Biases, gamma and beta do
        not decay. (`L2_reg` is the factor of the squares in the cost: with 'sgd' half as large a number does the
        same.)
    clip_norm : float
        Largest norm of all gradients together, longer ones are shortened to it; 0 leaves them.
    schedule : {'constant', 'step', 'cosine', 'one_cycle', 'plateau'} or callable
        Learning rate of each epoch of stage train, see `utils.training.schedules`; also a function of your own,
        ``schedule(epoch, n_epochs, figures)``, or its name, ``script.py:function``. Stage retrain has the same
        rates, epoch by epoch.
    schedule_args : dict, optional
        Its further arguments, for example ``{'warmup': 5}`` of 'cosine'.
    average : float
        In [0, 1): decay, in minibatches, of a moving average of the parameters; it is the average that is validated,
        tested and saved. 0 averages nothing.
    label_smoothing : float
        In [0, 1): part of each training label that is spread evenly over all classes.
    augment : Augment, dict or True, optional
        Change the training images anew in every minibatch, see `utils.training.augmentation.Augment`; a dict holds its
        arguments, for example ``{'mirror': 0.5, 'rotation': 10, 'crop': 40}``, True takes its defaults.
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
    accept_changed_network : bool
        Go on with the model to resume although its network's class was edited since.
    save_every : int
        Epochs between writings of the model file. It is written at the end of a stage, on Ctrl-C and on errors too.
    name : str, optional
        Under which the result stands in the table of the competition.
    on_epoch : callable, optional
        Called with the entry of each epoch (a dict, see `Result.history`).
    verbose : {1, 0, 2}
        0 prints nothing, 1 a line per epoch and on a terminal a display of where the run is, 2 also what is done
        besides.
    report : bool
        Draw the figures and write the HTML report of the run.
    track : list of {'tensorboard', 'mlflow'}, optional
        Trackers that are told of the run besides its own record; each needs its library.

    Returns
    -------
    Result

    Raises
    ------
    ValueError, TypeError, OSError
        An argument, the data set or the model file is not usable; nothing has been trained or written then.
    FloatingPointError
        A cost or a parameter became infinite or NaN; the last good epoch is in the model file.
    MemoryError
        The memory of the device or of the machine is used up; says what needs less.
    BlockingIOError
        Another run is writing this model.
    KeyboardInterrupt, utils.experiment.signals.Terminated
        After Ctrl-C, and after SIGTERM or SIGHUP, which end the process with status 143 or 129; the last epoch that
        was over is in the model file.
    """
    start = time.perf_counter()
    options = {key: value for key, value in locals().items() if key not in ('given', 'start')}
    console = Console(verbose, on_epoch)
    options = validate_arguments(options, NETWORKS)
    resume = options['resume']
    given -= {key for key in NETWORK_OPTIONS if options[key] is None}
    begun = resume and os.path.exists(resume) and os.stat(resume)
    options, state, saved = _with_resumed(options, given)
    options = with_class_defaults(options, given)
    with _open_data(options, console) as data:
        if saved:
            resuming.check_data(resume, saved, state['history'], data)
        make_network = _network_maker(options, data, state)
        path = _target(options, data)
        config = _config(options, data, path)
        _announce(console, options, data, path)
        console.note('arguments: ' + ', '.join(f'{key}={value!r}' for key, value in config['options'].items()))
        console.note('of the network: ' + ', '.join(f'{k}={v!r}' for k, v in config['network_arguments'].items()))
        record = None
        stops = SignalHandler()
        console.check = stops.check
        checkpoint = Checkpoint(path, config, save_every, stops, replaces=resume, say=console.say,
                                recorded=lambda trainer: record.epoch(trainer))
        told = functools.partial(explain_out_of_memory, backend.device_name(), options['batch_size'],
                                 options['trainShared'])
        with locks.model_lock(path), told(), Trainer(
            make_network, data, report=console, checkpoint=checkpoint, optimiser=make_optimiser(options),
            schedule=make_schedule(options), **schema.select(options, part='trainer')) as trainer:
            if state:
                _check_unchanged(resume, begun)
                trainer.restore(state)
                trainer.check_epochs(options['n_epochs'], options['anneal_epochs'], options['patience'])
                resuming.check_network(Path(resume), saved, options['network'], config['bundled_network'],
                                       options['accept_changed_network'], console.say)
            console.follow(options['rule'], trainer.history)
            record = Record(path, config, options['network'], _label(options, data), data, resume,
                            len(trainer.history))
            console.write_to(record.log)
            console.say(f"record goes to '{record.folder}'", level=2)
            if record.caveat:
                console.say(record.caveat)
            with stops, record.kept(), checkpoint.kept_safe(trainer), told():
                trainer.train(options['n_epochs'], options['patience'])
                console.say(_kept_line(trainer, options))
                trainer.retrain(options['retrain'])
                trainer.anneal(options['anneal_epochs'], retrained=options['retrain'])
                errors = trainer.test(options['special_test'])
                return _report(console, options, data, trainer, errors, record, config, start)


test.__test__ = False       # pytest would run it wherever it is imported


# ------------------------------------------------------------------------------ before training

def _defaults():
    """Every argument of `test` with its default."""
    return {name: p.default for name, p in inspect.signature(test).parameters.items()}


def _with_resumed(options, given):
    """Options completed by those of the experiment to resume, its state and its configuration."""
    if options['resume'] is None:
        return options, None, None
    state, config = _load_model(options['resume'])
    saved, now = config['options'], as_json(options)
    changed = [f'{key}={saved[key]!r}, not {now[key]!r}' for key in schema.names(decides='result')
               if key in given and key in saved and now[key] != saved[key]]
    if changed:
        raise ValueError(f"'{options['resume']}' was trained with {'; '.join(changed)}: leave these arguments out "
                         'to go on with it, or start a new experiment')
    for key in saved:
        if key not in given and key in options:
            options[key] = saved[key]
    for key, stage in (('n_epochs', 'train'), ('anneal_epochs', 'anneal')):
        if key not in given:            # models of early versions may have had more epochs than they say
            options[key] = max(options[key], sum(row['stage'] == stage for row in state['history']))
    if 'network' not in given:
        options['network'] = _saved_network(options['resume'], config)
    if isinstance(options['activation'], str):
        options['activation'] = _saved_activation(options['resume'], options['activation'])
    options['augment'] = make_augment(options['augment'])
    for key, known in FUNCTIONS.items():
        if isinstance(options[key], str):
            options[key] = _saved_function(options['resume'], key, options[key], known)
    if 'savename' not in given:
        options['savename'] = options['resume']
    return options, state, config


def _check_unchanged(model, begun):
    """Raise BlockingIOError where another run has written a model since it was read."""
    if not os.path.samestat(begun, os.stat(model)):
        raise BlockingIOError(f"'{model}' was written by another run just now: resume it again")


def _load_model(path):
    """State and configuration of a saved model, which may come from anybody."""
    state, config = models.load(path)
    kinds = {'options': dict, 'fingerprint': str, 'bundled_network': bool, 'classes': list, 'im_dim': list, 'data': str}
    wrong = [key for key, kind in kinds.items() if not isinstance(config.get(key), kind)]
    wrong += [key for key in ('content_digest', 'network_source')      # early versions had none
              if not isinstance(config.get(key), (str, type(None)))]
    if (wrong or not config['classes'] or len(config['im_dim']) != 2
            or not all(isinstance(name, str) and name.isprintable() for name in config['classes'])
            or not all(type(n) is int and 1 <= n <= 4096 for n in config['im_dim'])):
        raise models.ModelError(f"'{path}' cannot be loaded: its configuration is damaged"
                                + (f", it has no proper {', '.join(wrong)}" if wrong else ''))
    _check_saved(path, config['options'], sum(name.startswith('parameters/') for name in state['arrays']))
    models.check_values(path, state)
    return state, config


def _check_saved(path, saved, n_arrays):
    """Check the arguments in a model file with so many arrays of parameters like those of a caller.

    They are brought into their plain form. Nothing that they name is imported or opened.
    """
    defaults, known_names = _defaults(), schema.names(saved=True)
    neutral = {'network': cnn.A, 'activation': 'relu', 'track': None, 'resume': None, 'on_epoch': None, 'verbose': 0}
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
                raise ValueError(f'{key} has {len(saved[key])} values, more than the file has arrays of parameters '
                                 f'({n_arrays})')
        for key, known in FUNCTIONS.items():
            if saved.get(key) not in known:         # a script's
                neutral |= {key: defaults[key], f'{key}_args': None}
        if not saved.get('momentum'):               # older models may have nesterov=True, which did nothing then
            neutral['nesterov'] = False
        plain = validate_arguments({**defaults, **saved, **neutral}, NETWORKS)
        saved |= {key: plain[key] for key in saved if key not in {'augment', *FUNCTIONS, *neutral}}
    except (ValueError, TypeError, OverflowError) as error:
        raise models.ModelError(f"'{path}' cannot be loaded: {error}") from None


def _saved_network(model, config):
    """The class of a saved model's network, where it is one of symfer's."""
    name = config['options']['network']
    if not config['bundled_network']:
        raise ValueError(f"'{model}' was trained with a network class of a script, {name}: pass it as network=")
    if name not in NETWORKS:
        raise models.ModelError(f"'{model}' has a network {shortened(name)}, which this symfer does not know")
    return NETWORKS[name]


def _saved_activation(model, name):
    """The activation of a saved model, where it is one of symfer's."""
    if name not in rna.ACTIVATIONS:
        raise ValueError(f"'{model}' was trained with an activation of a script, {name}: pass it as activation=")
    return rna.ACTIVATIONS[name]()


def _saved_function(model, what, name, known):
    """A saved model's optimiser or schedule, where it is one of symfer's."""
    if name not in known:
        raise ValueError(f"'{model}' was trained with a function of a script as {what}, {name}: pass it as {what}=")
    return known[name]


def _open_data(options, console):
    if options['dataset'] is None:
        options['dataset'] = sample_set(say=console.say)
    data = _load_set(options['dataset'])
    try:
        if options['im_dim'] is not None and tuple(options['im_dim']) != tuple(data.shape):
            raise ValueError(f"im_dim must be the size of the images of '{data.path}', {list(data.shape)}, got "
                             f"{options['im_dim']}")
        data.verify()
    except ValueError:
        data.close()
        raise
    return data


def _load_set(path):
    try:
        return loaders.load(path)
    except loaders.DataError as error:
        if not Path(path).is_file():
            raise
        raise ValueError(f"dataset must be an HDF5 set: {error}. One is made of FER2013 in any layout by: python -m "
                         f"loaders '{path}'") from None


def sample_set(folder='datasets', say=write_line):
    """The path of the sample set: drawn faces with mirror images; made if it is not there yet.

    FER2013 may not be redistributed. These faces are drawn from the facial action units of each emotion, see
    `loaders.sample`; figures on them say nothing about photographs.
    """
    path = Path(folder) / 'sample_set2.h5'
    if not path.exists():
        say('Drawing sample faces; README.md tells how to get FER2013 in.')
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path):                  # another process may be at it
            if not path.exists():
                csv = write_csv(path.with_name('sample.csv'))
                loaders.build(csv, sets=(2,), out=folder, prefix='sample_', log=lambda *line: None)
    return path


def _network_maker(options, data, state=None):
    """A function that builds the network from a generator; a saved one cannot be larger than what was saved."""
    kwargs = arguments_of_file(options['resume'], options) if state else network_arguments(options)
    saved = (options['resume'], state) if state else None
    return lambda rng: make_network(options['network'], data.shape, data.classes, options['augment'], rng=rng,
                                    saved=saved, **kwargs)


def _target(options, data):
    path = options['savename']
    if path is None:
        path = Path('trained_models') / f"{class_name(options['network'])}_{Path(data.path).stem}.h5"
    path = models.check_target(path)
    if path.exists() and path.samefile(data.path):
        raise ValueError(f"savename is the data set itself, '{path}': choose another")
    return path


def _config(options, data, path):
    """What is saved with the parameters: every argument, and where the data come from."""
    saved, bundled = as_json(options), options['network'] in NETWORKS.values()
    return {'options': {**saved, 'savename': str(path)}, 'fingerprint': data.fingerprint,
            'content_digest': data.content_digest, 'bundled_network': bundled, 'classes': list(data.classes),
            'im_dim': list(data.shape), 'data': data.name, 'network_arguments': arguments_used(options),
            'network_source': resuming.network_source(options['network'], saved, bundled)}


# --------------------------------------------------------------------------------- what is told

def _label(options, data):
    """'A BN-drop (set 2)', in the manner of the thesis's tables."""
    dropped = [p for key in ('p_drop', 'p_dropConv') if options[key] is not None for p in np.ravel(options[key])]
    techniques = (('BN', options['batch_norm']), ('drop', any(dropped)))
    parts = '-'.join(word for word, there in techniques if there)
    return options['name'] or ' '.join(filter(None, [class_name(options['network']), parts, f'({data.name})']))


def _announce(console, options, data, path):
    args = ''.join(f', {key}={value}' for key, value in options['network_args'].items())
    width = options['network_args'].get('width')
    narrowed = ' (narrowed)' if isinstance(width, (int, float)) and width < 1 else ''
    counts = [f'{len(subset)} {name}' for name, subset in (
        ('training', data.training), ('of them held out for validation', data.validation if options['val'] else None),
        ('test', data.test)) if subset is not None]
    crop = options['augment'] and options['augment'].crop
    hidden = '' if options['n_hidden'] is None else f", hidden layers {options['n_hidden'] or 'none'}"
    console.say(f"network {class_name(options['network'])}{args}{narrowed}{hidden}, "
                + (f'for crops of {crop[0]}x{crop[1]} pixels, ' if crop else '') + f'on {backend.device_name()}')
    console.say(f"data '{data.path}' ({data.name}): {', '.join(counts)} images of "
                f'{data.shape[0]}x{data.shape[1]} pixels, {len(data.classes)} classes')
    console.say(f"model goes to '{path}'")
    if options['resume']:
        console.say(f"going on with '{options['resume']}'")


def _kept_line(trainer, options):
    best, point = trainer.best, RULES[options['rule']].point
    if best is None:
        return 'trained on all training images, without validation'
    then = (f"retraining with the validation images for {best['epoch']} epochs" if options['retrain']
            else 'going on with the parameters of that epoch')
    if trainer.out_of_patience(options['patience']):
        then = f"no new minimum in {options['patience']} epochs, {then}"
    return (f"{point}: epoch {best['epoch']}, validation cross-entropy {best['validation_cross_entropy']:.4f}, "
            f"validation error {best['validation_error']:.2f} %; {then}")


def _data_note(data):
    return '' if data.is_fer2013 else 'These images are not FER2013: the place in the table is for show.'


def _lead(values, data):
    """The result in a sentence."""
    kind = 'plain' if values['special_test_error'] is None else 'special'
    whole = values['evaluation'][kind]['whole']
    low, high = whole['interval']
    return (f"{'Special test' if kind == 'special' else 'Test'} error {whole['error']:.2f} % of {whole['images']} "
            f"images (95 % interval {low:.2f} to {high:.2f} %); place {values['rank']} in the competition of 2013"
            + (f"; kept epoch {values['epoch']}, validation error {values['validation_error']:.2f} %."
               if values['epoch'] else '.'))


def _report(console, options, data, trainer, errors, record, config, start):
    """Print errors, files, time and the table; complete the record; make the Result."""
    folder, best = record.folder, trainer.best
    label, figure = _label(options, data), folder / 'figures' / 'curves.png'
    console.close()
    record.epoch(trainer)               # a model resumed for nothing had no epoch of its own
    for kind, title in (('plain', 'test error'), ('special', 'special test error')):
        for half, e in (errors[kind] or {}).items():
            twins = ('' if e['images_without_twins'] in (0, e['images'])
                     else f", {e['error_without_twins']:.2f} % without the {e['images'] - e['images_without_twins']} "
                          'images that have a twin in the training set')
            console.say(f"{title}, {half}: {e['error']:.2f} % of {e['images']}{twins}")
    scores = metrics.evaluate(trainer.test_outputs, data.test, data.classes)
    console.say('\n'.join(summary.summary_lines(scores)))
    plain = errors['plain']['whole']['error']
    special = errors['special'] and errors['special']['whole']['error']
    final = plain if special is None else special
    console.say('\n' + competition.ranking({label: final}))
    if not data.is_fer2013:
        console.say(_data_note(data))
    elif 'private' in errors['plain']:
        private = (errors['special'] or errors['plain'])['private']['error']
        place = competition.rank(private, 'private')
        known = len(competition.COMPETITION)
        console.say(f'on the private half alone, which decided the competition: {private:.2f} %, '
                    + (f'place {place}' if place <= known else f'below place {known}') + f' of {competition.TEAMS}')
    write_outputs(folder, data.test, data.classes, trainer.test_outputs, scores, trainer.kept_outputs())
    values = dict(
        name=label, epoch=best and best['epoch'], validation_error=best and best['validation_error'],
        validation_cross_entropy=best and best['validation_cross_entropy'], test_error=plain,
        special_test_error=special, errors=errors, rank=competition.rank(final),
        n_parameters=sum(int(np.prod(p.type.shape))
                         for p in parameters(trainer.functions.network, trainable=True).values()),
        evaluation=scores)
    console.say('drawing the figures', level=2)
    subject = plots.Subject(trainer.functions.network, data.shape, data.test, data.classes, trainer.test_outputs,
                            scores, record.histograms, trainer.history, best, label, options['rule'])
    plots.draw(folder / 'figures', subject, only=() if options['report'] else ('curves',))
    seconds = time.perf_counter() - start
    console.say(f"\nmodel '{record.model}', record '{folder}', curves '{figure}'")
    console.say(f'total time {timedelta(seconds=round(seconds))}')
    if options['report']:
        reports.write_report(folder / 'report.html', label, scores, folder / 'figures', history=trainer.history,
                             texts=reports.texts_of(folder), lead=_lead(values, data), note=_data_note(data),
                             rule=options['rule'])
    record.end('finished', values)
    return Result(**values, history=trainer.history, seconds=seconds, savename=record.model, figure=figure,
                  config=config, folder=folder)


# ------------------------------------------------------------------------------------ prediction

def open_model(model, network=None):
    """The network of a saved model, with its parameters.

    Parameters
    ----------
    model : path
        Written by `test`.
    network : class, optional
        The network's class, where it is one of your own.

    Returns
    -------
    network : Layer
    config : dict
        What was saved with it: 'options', 'classes', 'im_dim', ...

    Raises
    ------
    ValueError
        A file that is no model, a network class that does not fit.
    """
    state, config = _load_model(model)
    options = _defaults() | config['options']
    options['network_args'] = options['network_args'] or {}
    network = _saved_network(model, config) if network is None else named(network, NETWORKS, 'network', 'Class')
    change = resuming.network_change(Path(model), config, network, network in NETWORKS.values())
    if change:
        warnings.warn(change, stacklevel=3)
    used = {**options, 'network': network}
    if used['activation'] is not None:
        used['activation'] = _saved_activation(model, used['activation'])
    kwargs = arguments_of_file(model, with_class_defaults(used))
    net = make_network(network, config['im_dim'], config['classes'], make_augment(options['augment']),
                       rng=np.random.default_rng(0), saved=(model, state), **kwargs)
    targets = parameters(net)
    saved = {path.removeprefix('parameters/'): value for path, value in state['arrays'].items()
             if path.startswith('parameters/')}
    saved = without_aliases(saved, {key: p.type.shape for key, p in targets.items()}, net)
    check_state(saved, {key: p.type.shape for key, p in targets.items()}, {key: p.dtype for key, p in targets.items()})
    for key, p in targets.items():
        p.set_value(saved[key])
    return net, {**config, 'options': options}


def evaluate(model, dataset, *, network=None, folder=None, batch_size=100, special_test=True, report=True,
             say=write_line):
    """Test a saved model on the test images of any set.

    Parameters
    ----------
    model : path
        A model file, or the folder of a run.
    dataset : path
        HDF5 set with the images' size and the classes of the model.
    network : class, optional
        The network's class, where it is one of your own.
    folder : path, optional
        Where to write; by default the next ``evaluation-001`` beside the record of the model's runs.
    batch_size : int
    special_test : bool
        Also on all views of each image.
    report : bool
        Draw the figures and write the HTML report.
    say : callable
        Is given what is to be printed.

    Returns
    -------
    scores : dict
        See `utils.results.metrics.evaluate`.
    folder : Path
        Holds evaluation.json, predictions.csv, confusion.csv, logits.npz, report.html and figures.

    Raises
    ------
    ValueError, OSError
        No model, no data set, images of another size, other classes.
    MemoryError
        Also that of the device; asks for a smaller `batch_size`.
    """
    model = _model_file(model)
    net, config = open_model(model, network)
    with loaders.load(dataset) as data:
        if list(data.shape) != list(config['im_dim']):
            raise ValueError(f"'{model}' was trained on images of {config['im_dim']}, and those of '{data.path}' are "
                             f'of {list(data.shape)}')
        if list(data.classes) != list(config['classes']):
            raise ValueError(f"'{model}' knows the classes {', '.join(config['classes'])}, and '{data.path}' has "
                             f"{', '.join(data.classes)}")
        f = Functions(net, data.shape, min(batch_size, len(data.test)), precision=config['options']['precision'],
                      augment=make_augment(config['options']['augment']), n_classes=len(data.classes))
        with explain_out_of_memory(backend.device_name(), f.batch_size):
            outputs = test_outputs(f, data, special_test)
        scores = metrics.evaluate(outputs, data.test, data.classes)
        folder = _evaluation_folder(folder, model)
        title = f"{config['options'].get('name') or config['options']['network']} on {data.name}"
        known = config['fingerprint'] == data.fingerprint
        _write_evaluation(folder, title, scores, outputs, data, say, {
            'model': str(model), 'data': data.path, 'fingerprint': data.fingerprint, 'same_source_as_training': known})
        if report:
            (folder / 'figures').mkdir(exist_ok=True)
            plots.draw(folder / 'figures', plots.Subject(net, data.shape, data.test, data.classes, outputs, scores))
            reports.write_report(folder / 'report.html', title, scores, folder / 'figures', note=_data_note(data),
                                 texts={'Model': f"{model}\n{json.dumps(config['options'], indent=1)}"})
    return scores, folder


def _model_file(path):
    """A model file, also from the folder of a run."""
    path = Path(path)
    if not path.is_dir():
        return path
    found = [path / f'model{suffix}' for suffix in models.SUFFIXES if (path / f'model{suffix}').is_file()]
    if not found:
        raise ValueError(f"'{path}' is a folder without a model: give a model file or the folder of a run")
    return found[0]


def _evaluation_folder(folder, model):
    if folder is None:
        return numbered_folder(model.parent if model.stem == 'model' else model.with_suffix(''), 'evaluation')
    return new_folder(folder)


def _write_evaluation(folder, title, scores, outputs, data, say, about):
    """Tables of an evaluation into files and onto the terminal."""
    kind = metrics.final_kind(scores)
    write_json(folder / 'evaluation.json', {'name': title, **about, 'evaluation': scores})
    write_outputs(folder, data.test, data.classes, outputs, scores)
    for line in (*summary.error_lines(scores), *summary.summary_lines(scores)):
        say(line)
    say('\n' + summary.class_table(scores[kind]['whole']))
    say('\n' + competition.ranking({title: scores[kind]['whole']['error']}))
    if not data.is_fer2013:
        say(_data_note(data))
    elif 'private' in scores[kind]:
        say('\nprivate half, which decided:\n'
            + competition.ranking({title: scores[kind]['private']['error']}, 'private'))
    say(f"\nevaluation '{folder}'")


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
    MemoryError
        Also that of the device; asks for a smaller `batch_size`.
    """
    net, config = open_model(model, network)
    images = np.asarray(images)
    height, width = config['im_dim']
    if images.ndim != 3 or images.shape[1:] != (height, width) or images.dtype != np.uint8 or not len(images):
        raise ValueError(f'images must be uint8 of shape (n, {height}, {width}), got {images.dtype} '
                         f'{images.shape}')
    batch_size = min(batch_size, len(images))
    f = Functions(net, (height, width), batch_size, precision=config['options']['precision'],
                  n_classes=len(config['classes']))
    padded = np.resize(images, (-(-len(images) // batch_size) * batch_size, height, width))
    with explain_out_of_memory(backend.device_name(), batch_size):
        logits = np.concatenate([np.asarray(f.test(part), dtype=float) for part in
                                 padded.reshape(-1, batch_size, height, width)])[:len(images)]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


# ------------------------------------------------------------------------------------- many runs

def _all_arguments(options):
    """Every argument of `test`, those not given at their defaults, in the form in which a run saves them."""
    defaults = _defaults()
    for name in options:
        if name not in defaults:
            raise ValueError(f'test() has no argument {name!r}' + did_you_mean(name, defaults))
    if options.get('resume') is not None:
        raise ValueError(f"resume is for one run, got {str(options['resume'])!r}: leave it out here; a sweep or search "
                         'goes on by itself when it is called again')
    given = {name for name, value in options.items() if value is not None}
    options = with_class_defaults(validate_arguments({**defaults, **options}, NETWORKS), given)
    network_arguments(options)
    return as_json(options)


def _experiment(options):
    """What a point of a sweep is to be."""
    network = named(options.get('network', cnn.A), NETWORKS, 'network', 'Class')
    arguments, bundled = _all_arguments({**options, 'network': network}), network in NETWORKS.values()
    source = None if options.get('accept_changed_network') else resuming.network_source(network, arguments, bundled)
    with _load_set(options.get('dataset') or sample_set()) as data:
        return trials.Experiment(arguments, _all_arguments({}), data.content_digest, source, bundled)


def run_point(options, **arguments):
    """Run one point of a sweep unless it is done; see `utils.studies.trials.run_point`."""
    return trials.run_point(options, test, _experiment, **{'verbose': 0, **arguments})


def _point_of_input(file):
    try:
        run_point(json.load(file))
    except (ValueError, OSError, FloatingPointError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def sweep(grid=None, seeds=(0,), *, savename='trained_models/sweep.h5', workers=1, address=None, verbose=1,
          **options):
    """Run an experiment for every combination of a grid and every seed; the same call again goes on with it.

    Parameters
    ----------
    grid : dict of str to list, optional
        Values of arguments of `test`.
    seeds : sequence of int
    savename : path
        Of the models, to which the values of each point are added: ``trained_models/sweep_seed=0.h5``.
    workers : int or str
        Processes of this machine; or 'ray', or 'ray:2' for two workers of a cluster that is started here.
    address : str, optional
        Of a Ray cluster whose machines share this folder.
    verbose : {1, 0, 2}
        As of `test`, which tells of itself where there is one worker.
    **options
        Further arguments of `test`, common to all runs.

    Returns
    -------
    list of Path
        Model files of the points that have finished, in the order of the mean over the seeds of the validation
        figure by which epochs are kept (`rule`).

    Raises
    ------
    ValueError
        An argument is wrong, before anything is run; or some points failed, when the others are done.
    """
    say = Console(verbose).say
    if options.get('dataset') is None:
        options['dataset'] = str(sample_set(say=say))
    every = points(grid or {}, list(seeds), Path(savename).with_suffix(''))
    every = [{**options, **point} for point in every]
    wanted = [_experiment(point) for point in every]
    kind, _, count = str(workers).partition(':')
    if not (kind == 'ray' and (not count or count.isdigit())) and not (kind.isdigit() and int(kind) > 0):
        raise ValueError(f"workers must be a number of processes, 'ray' or 'ray:N', got {workers!r}")
    say(f'{len(every)} points')
    if kind != '1':
        for point in every:
            point |= {'dataset': str(point['dataset'])}
            for key, known in (('network', NETWORKS), *FUNCTIONS.items()):
                if callable(point.get(key)):
                    if point[key] not in known.values():
                        raise ValueError(f'several workers need your own {key} as a text, script.py:name')
                    point[key] = class_name(point[key])
            if 'activation' in point:
                point['activation'] = getattr(point['activation'], 'name', point['activation'])
    if kind == 'ray':
        failures = on_ray(every, 'launch:run_point', address, int(count) if count else None, say)
    elif int(kind) > 1:
        failures = in_processes(every, worker_command('launch', '_point_of_input'), int(kind), say)
    else:
        failures = in_turn(every, lambda point: run_point(point, verbose=verbose), say)
    folders = [trials.finished_run(point['savename'], one) for point, one in zip(every, wanted)]
    runs = [read_run(folder) for folder in folders if folder]
    if len(runs) + len(failures) < len(every):
        say(f'{len(every) - len(runs) - len(failures)} points are being run by other processes')
    groups, rule = comparison.by_mean(comparison.grouped(runs))
    if groups:
        say('\n' + tables.as_text(*comparison.summary(groups)))
        say(f'\nchosen on the validation images, smallest {rule.label}: {groups[0].name}')
    if failures:
        raise ValueError(f"{len(failures)} of {len(every)} points failed; the first, '{next(iter(failures))}': "
                         f'{next(iter(failures.values()))}')
    ordered = [run for group in groups for run in group.runs] or runs
    return [Path(run['run']['model']) for run in ordered]


def search(space, n_trials=20, *, savename='trained_models/search.h5', seed=0, verbose=1, **options):
    """Search arguments for the smallest validation figure with Optuna; the same call again goes on with it.

    The figure is that by which epochs are kept (`rule`): the cross-entropy or the error.

    Parameters
    ----------
    space : dict of str to text or list
        Ranges ``'0.2..0.7'``, ``'log:0.01..0.3'`` or lists of choices.
    n_trials : int
        Trials in all.
    savename : path
        Of the models, to which the values of each trial are added; the study is kept beside them.
    seed : int
        Of the search and of the runs.
    **options
        Further arguments of `test`.

    Returns
    -------
    optuna.Study
        `best_params` and `best_value`, the validation figure.
    """
    say = Console(verbose).say
    if not (isinstance(n_trials, int) and n_trials > 0):
        raise ValueError(f'n_trials must be a whole number >= 1, got {n_trials!r}')
    if 'rule' in space:
        raise ValueError('a search goes by one rule: give rule= outside the ranges')
    space = {name: ('choice', list(value)) if not isinstance(value, (str, tuple)) else
             value if isinstance(value, tuple) else parse_space([f'{name}={value}'])[name]
             for name, value in space.items()}
    ends = [{name: value} for name, what in space.items()
            for value in (what[1] if what[0] == 'choice' else what[1:3])]
    if not all(_all_arguments({**options, **end})['val'] for end in ends or [{}]):
        raise ValueError('a search chooses on the validation images: val must be True')
    rule = RULES[options.get('rule', 'entropy')]
    if options.get('dataset') is None:
        options['dataset'] = str(sample_set(say=say))

    def work(point, on_epoch):
        return run_point({**options, 'seed': seed, **point}, verbose=verbose, on_epoch=on_epoch)
    study = optuna_search(space, n_trials, Path(savename).with_suffix(''), work, say, seed, rule=rule.name)
    finished = [trial for trial in study.trials if trial.state.name == 'COMPLETE']
    if finished:
        say(f'\nsmallest {rule.label} {rule.form.format(study.best_value)} (trial {study.best_trial.number}): '
            + ', '.join(f'{key}={value}' for key, value in study.best_params.items()))
    return study


def rate_range(*, lowest=1e-4, highest=10., steps=100, figure='rates.png', verbose=1, **options):
    """Learning-rate range test: train a fresh network while the rate grows, see where the cost falls fastest.

    Parameters
    ----------
    lowest, highest : float
    steps : int
        Minibatches.
    figure : path or None
        Where to draw it.
    **options
        Further arguments of `test`.

    Returns
    -------
    rates, costs, smooth, suggestion
        See `utils.studies.lr_finder.rate_range`.
    """
    if not 0 < lowest < highest or steps < 6:
        raise ValueError(f'expected 0 < lowest < highest and 6 steps at least, got {lowest!r}, {highest!r}, {steps!r}')
    console = Console(verbose)
    _all_arguments(options)
    options = with_class_defaults(validate_arguments({**_defaults(), **options}, NETWORKS))
    with _open_data(options, console) as data:
        trainer = Trainer(_network_maker(options, data), data, optimiser=make_optimiser(options),
                          **schema.select(options, part='trainer'))
        f, subset = trainer.functions, data.reduced_training if options['val'] else data.training
        order = np.random.default_rng(options['seed'])
        rows = np.concatenate([order.permutation(len(subset)) for _ in range(-(-steps * f.batch_size // len(subset)))])
        batches = minibatches(subset, rows, f.batch_size, f.takes_rows_of(subset))
        out = lr_finder.rate_range(lambda batch: f.train(*batch[0], batch[1])[0], batches,
                                lambda rate: f.rate.set_value(np.float32(rate)), lowest, highest, steps)
    rates, costs, smooth, suggestion = out
    if len(rates) < 2:
        raise FloatingPointError(f'the training cost is not finite from the start: try a lowest below {lowest:g}')
    if figure:
        plots.save(plots.rate_range(rates, costs, smooth, suggestion), figure)
    console.say(f'tried rates from {rates[0]:.3g} to {rates[-1]:.3g}; '
                + (f'the cost falls fastest at {suggestion:.3g}' if suggestion else 'the cost never falls')
                + (f"; figure '{figure}'" if figure else ''))
    return out


# ------------------------------------------------------------------------------- configurations

def read_config(path):
    """Arguments of `test` from the config.yaml of a run or one written by hand: ``test(**read_config(path))``.

    Parameters
    ----------
    path : path
        YAML, a line ``argument: value`` for each argument. A network ``file.py:Class`` is looked for beside it and
        run: options that its class does not take are left out where an older run wrote down their defaults.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        The file is missing, is no table of arguments, or has one that `test` does not take.
    """
    return configured({'config': path})


def configured(options):
    """Options of the command line, completed by those of the file that --config names."""
    path = options.pop('config', None)
    if path is None:
        return options
    saved = reading.read_config(path)
    for key in saved:
        if key not in schema.ARGUMENTS:
            raise ValueError(f"'{path}': test() has no argument {key!r}" + did_you_mean(key, schema.ARGUMENTS))
    return without_idle({**saved, **options}, NETWORKS, set(saved) - set(options))


def with_sample(options, chosen=()):
    """Defaults for the sample data set, where none is named: its faces are few, and small work.

    Parameters
    ----------
    options : dict
    chosen : collection of str
        Further arguments that a sweep or a search gives.
    """
    if {'dataset', 'resume'} & set(options):
        return options
    sample = dict(SAMPLE_RUN)
    if 'network' in options or 'network' in chosen:        # these two are about network A
        del sample['network_args'], sample['p_dropConv']
    write_line('A short run on drawn faces, with '
               + ', '.join(f'{k}={v}' for k, v in sample.items() if k not in options)
               + '. For a whole experiment name a data set: --dataset.')
    return {**sample, **options}


def main(arguments=None):
    """The command line, see `utils.cli`; returns the exit status."""
    from utils.cli import main
    return main(arguments)
