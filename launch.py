"""The experiment launcher: ``from launch import test`` in a script, ``python launch.py`` in a shell.

`test` is one experiment: load a data set, build a network, train to the entropy point, retrain with the
validation images, anneal, test, save, plot. `predict` applies a saved model to images, `evaluate` tests it on a
set; `sweep` and `search` run many experiments, `rate_range` looks for a learning rate.
"""

# ruff: noqa: E402, I001
from __future__ import annotations

if __name__ == '__main__':  # before all that is imported below, which help and errors do without
    import sys

    try:
        from utils.cli import main

        status = main()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)

import functools
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

for _name in ('cnn', 'loaders', 'mlp', 'utils'):  # a file of the same name may come first in sys.path
    _spec = find_spec(_name)
    _found = Path(_spec.origin or next(iter(_spec.submodule_search_locations or ()), '')) if _spec else None
    _ours = Path(__file__).resolve().parent / _name
    if _found and _found.resolve() not in (_ours, _ours / '__init__.py'):
        raise ImportError(
            f"'{_found}' hides symfer's package {_name} ('{_ours}'): rename it, or start from another folder"
        )

from utils import native
from utils.process import keep_compiled, tune_malloc

tune_malloc()  # both before JAX is loaded
keep_compiled()
native.start()

import cnn
import loaders
import mlp
from utils.annotations import StrPath
from utils.experiment import evaluation, prediction, sample, saved, summarising
from utils.experiment.arguments import explicit
from utils.experiment.context import Context
from utils.experiment.experiment import Experiment
from utils.experiment.result import Result
from utils.export import exporting
from utils.recognition import recognise as recognition
from utils.rna import Activation
from utils.studies import folds, lr_finder, matrix, search as searches, sweeps
from utils.training.augmentation import Augment

__all__ = ['Result', 'cross_evaluate', 'cross_validate', 'evaluate', 'export', 'open_model', 'predict',
           'rate_range', 'read_config', 'recognise', 'run_point', 'sample_set', 'search', 'summary', 'sweep',
           'test']  # fmt: skip

NETWORKS = {name: getattr(package, name) for package in (cnn, mlp) for name in package.__all__}


@explicit
def test(learning_rate: float = 0.1, L1_reg: float = 0.0, L2_reg: float = 0.0, n_epochs: int = 10,
         dataset: StrPath | None = None, batch_size: int = 100, n_hidden: Sequence[int] | None = None,
         activation: Activation | None = None, batch_norm: bool | None = None,
         p_drop: float | Sequence[float] | None = None, p_dropConv: Sequence[float] | None = None,
         gaussian_std: float | None = None, val: bool = True, trainShared: bool = True,
         im_dim: tuple[int, int] | None = None, savename: StrPath | None = None, *, network: type | str = cnn.A,
         network_args: dict[str, Any] | None = None, p_dropConnect: float | None = None,
         dropConnect_moments: bool | None = None, seed: int = 0, rule: str = 'entropy', patience: int = 0,
         progressive_sizes: Sequence[int] | None = None, retrain: bool = True, anneal_epochs: int = 10,
         optimiser: str | Callable[..., Any] = 'sgd', optimiser_args: dict[str, Any] | None = None,
         momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0, clip_norm: float = 0.0,
         schedule: str | Callable[..., Any] = 'constant', schedule_args: dict[str, Any] | None = None,
         ema_decay: float = 0.0, loss: str = 'nll', label_smoothing: float = 0.0, balance: str = 'none',
         members: int = 1, portion: float = 1.0, replacement: bool = False,
         augment: Augment | dict[str, Any] | bool | None = None, fold: tuple[int, int] | str | None = None,
         soft_labels: bool = False, teacher: StrPath | Sequence[StrPath] | None = None,
         teacher_args: dict[str, Any] | None = None, pretrain_epochs: int = 0,
         pretrain_args: dict[str, Any] | None = None, statistics_images: int = 5000, precision: str = 'float32',
         devices: int | None = None, hosts: str | None = None, host_index: int | None = None,
         n_hosts: int | None = None, special_test: bool = True, show_test: bool = False, resume: StrPath | None = None,
         accept_changed_network: bool = False, save_every: int = 1, name: str | None = None,
         on_epoch: Callable[[dict[str, Any]], Any] | None = None, verbose: int = 1, report: bool = True,
         track: Sequence[str] | None = None,
         given: frozenset[str] = frozenset()) -> Result:  # fmt: skip
    """Run one experiment: load, build, train to the entropy point, retrain, anneal, test, save, plot.

    Arguments of the network that are not given have the defaults of its class.

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
        `rna.relu()`, `rna.tanh()`, `rna.maxout(2)` or another of `utils.rna`; also decides the initialisation. By
        default that of the network's class, relu for A.
    batch_norm : bool, optional
        Batch norm in place of biases; by default as the network's class has it, True for A.
    p_drop : float, optional
        Probability of dropping a unit of a hidden layer; by default that of the network's class, 0.5 for A.
    p_dropConv : list of float, optional
        The same for each convolution of the network; by default what the network's class has.
    gaussian_std : float, optional
        Standard deviation of the noise on linear outputs in training; by default that of the network's class, 0 for A.
    p_dropConnect : float, optional
        Probability of dropping a weight of hidden and convolutional layers; by default as the class has it, 0 for A.
    dropConnect_moments : bool, optional
        Use such a network by mean and variance of its linear outputs, see `utils.layers.DropConnect`.
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
        One of `cnn.__all__`, as `cnn.A` or `cnn.ResNet18`, `mlp.MLP`, or a class of your own that is called and used as
        they are. A name, or ``script.py:Class``, will do.
    network_args : dict, optional
        Further arguments of the network's class, for example ``{'last_pool': False}`` of `cnn.B`.
    seed : int
        Of weights, order of images, dropout and noise; 0 to 2**32 - 1.
    rule : {'entropy', 'error'}
        Keep the epoch of smallest validation cross-entropy or of smallest validation error.
    patience : int
        End stage train where that has had no new minimum for so many epochs; 0 trains all `n_epochs`.
    progressive_sizes : list of int, optional
        Heights of the images in stage train, in turn for an equal part of its epochs; see `utils.training.resizing`.
    retrain : bool
        False goes on from the kept epoch's parameters instead of retraining with the validation images.
    anneal_epochs : int
        Epochs at a tenth of the learning rate, at the end; with a schedule, of the rate of the kept epoch.
    optimiser : {'sgd', 'rmsprop', 'adam', 'adamw', 'muon'} or callable
        See `utils.training.optimisers`; also a function of your own, ``optimiser(gradients, parameters, rate)``, or
        its name, ``script.py:function``.
    optimiser_args : dict, optional
        Its further arguments, for example ``{'beta2': 0.99}`` of 'adam'.
    momentum : float
        In [0, 1); of 'sgd'.
    nesterov : bool
        Nesterov's form of the momentum.
    weight_decay : float
        Times the weights, added to their gradients; with 'adamw' and 'muon' decoupled from them. Biases, gamma and beta
        do not decay. (`L2_reg` is the factor of the squares in the cost: with 'sgd' half as large a number does the
        same.)
    clip_norm : float
        Largest norm of all gradients together, longer ones are shortened to it; 0 leaves them.
    schedule : {'constant', 'step', 'cosine', 'one_cycle', 'plateau'} or callable
        Learning rate of each epoch of stage train, see `utils.training.schedules`; also a function of your own,
        ``schedule(epoch, n_epochs, figures)``, or its name, ``script.py:function``. Stage retrain has the same
        rates, epoch by epoch.
    schedule_args : dict, optional
        Its further arguments, for example ``{'warmup': 5}`` of 'cosine'.
    ema_decay : float
        In [0, 1): decay, in minibatches, of a moving average of the parameters; it is the average that is validated,
        tested and saved. 0 averages nothing.
    loss : {'nll', 'l2svm'}
        The negative log-likelihood, or the squared hinge loss of Tang's L2-SVM, whose validation figure is then that of
        the entropy point; its probabilities come from the temperature.
    label_smoothing : float
        In [0, 1): part of each training label that is spread evenly over all classes.
    soft_labels : bool
        Train on the distribution of the annotators' votes, which the set must have; validation and test go by labels.
    teacher : path or list of paths, optional
        Learn from the mean outputs of saved models, runs or an ensemble for the training images as they are; while
        validation images are held out, from those of their kept epochs.
    teacher_args : dict, optional
        ``{'weight': 0.9, 'temperature': 4.0, 'augmented': False}``: part of the cost that its outputs have, their
        temperature, and whether it sees each image as augmentation has made it.
    balance : {'none', 'weights', 'sampling'}
        Let every class count as much: by weights in the cost, or by the images that are drawn in an epoch.
    members : int
        Networks trained side by side, with the seeds `seed`, `seed` + 1, ..., and used as one by their summed logits.
    portion : float
        In (0, 1]: part of the training images that each of the `members` is given.
    replacement : bool
        Draw it with replacement, as in bagging.
    augment : Augment, dict or True, optional
        Change the training images anew in every minibatch, see `utils.training.augmentation.Augment`; a dict holds its
        arguments, for example ``{'mirror': 0.5, 'rotation': 10, 'crop': 40}``, True takes its defaults.
    fold : (int, int), optional
        Fold i of k, as 3/10: its people (images, where the set knows no people) are the test images and all others
        train, whatever they are in the set; see `loaders.Fold`. `cross_validate` runs all.
    statistics_images : int
        Training images from which batch norm's population statistics are measured.
    precision : {'float32', 'tf32', 'bf16'}
        Of the operands of convolutions and matrix products; sums, parameters and all else are float32. The other
        two are for GPUs.
    devices : int, optional
        GPUs that compute each minibatch together (docs/parallel.md); by default as many as there are and as divide
        `batch_size`, and one CPU. The result does not depend on it.
    hosts, host_index, n_hosts : str, int, int, optional
        Several hosts that run this same experiment together: host:port of host 0, the number of this one from 0, how
        many there are; or ``hosts='auto'`` under SLURM, Kubernetes and Open MPI. Host 0 writes, and calls `on_epoch`.
    special_test : bool
        Also test on the summed logits over all views of each test image, if the set has views or `augment`
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
        0 prints nothing, 1 a line per epoch and on a terminal a display of where the run is, 2 also what happens
        between epochs.
    report : bool
        Draw the figures and write the HTML report of the run.
    track : list of {'tensorboard', 'mlflow'}, optional
        Trackers that follow the run as well as its own record; each needs its library.
    pretrain_epochs : int
        Epochs for which each layer is pre-trained, without labels, before stage train; 0 leaves that out.
    pretrain_args : dict, optional
        Its settings, see `utils.training.autoencoders.Denoising`, for example ``{'corruption': 0.5}``.

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
    BlockingIOError, ConnectionError
        Another run is writing this model; another host has stopped, or hosts did not meet.
    KeyboardInterrupt, utils.experiment.signals.Terminated
        After Ctrl-C, and after SIGTERM or SIGHUP, which end the process with status 143 or 129; the last epoch that
        was over is in the model file.
    """
    with Experiment(CONTEXT, locals(), given) as experiment:
        experiment.load()
        trainer, options = experiment.build(), experiment.options
        with experiment.guarded():
            trainer.pretrain()
            trainer.train(options['n_epochs'], options['patience'])
            experiment.say_kept()
            trainer.retrain(options['retrain'])
            trainer.anneal(options['anneal_epochs'], retrained=options['retrain'])
            errors = trainer.test(options['special_test'])
            return experiment.finish(errors)


test.__test__ = False  # type: ignore[attr-defined]  # pytest would run it wherever it is imported


sample_set = functools.partial(sample.sample_set, loaders)
CONTEXT = Context(test, NETWORKS, loaders, sample_set)  # what utils may not import is handed down in this
cross_evaluate = CONTEXT.bind(matrix.cross_evaluate)
cross_validate = CONTEXT.bind(folds.cross_validate)
evaluate = CONTEXT.bind(evaluation.evaluate)
export = CONTEXT.bind(exporting.export)
open_model = CONTEXT.bind(saved.open_model)
predict = CONTEXT.bind(prediction.predict)
read_config = CONTEXT.bind(saved.read_config)
configured = CONTEXT.bind(saved.configured)
rate_range = CONTEXT.bind(lr_finder.rate_range)
recognise = CONTEXT.bind(recognition.recognise)
run_point = CONTEXT.bind(sweeps.run_point)
run_point_of_input = CONTEXT.bind(sweeps.run_point_of_input)
search = CONTEXT.bind(searches.search)
summary = CONTEXT.bind(summarising.summary)
sweep = CONTEXT.bind(sweeps.sweep)


def main(arguments: Sequence[str] | None = None) -> int:  # type: ignore[no-redef]
    """The command line, see `utils.cli`; returns the exit status."""
    from utils.cli import main

    return main(arguments)
