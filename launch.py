"""The experiment launcher: ``from launch import test`` in a script, ``python launch.py`` in a shell.

`test` runs one experiment: load a data set, build a network, train to the entropy point, retrain with the
validation images, anneal, test, save, plot. `predict` applies a saved model to images and `evaluate` tests it on a
data set. `sweep` and `search` run many experiments. `rate_range` looks for a learning rate.
"""

# ruff: noqa: E402, I001
from __future__ import annotations

if __name__ == '__main__':  # before the slow imports below: help and error messages do not need them
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

for _name in ('cnn', 'loaders', 'mlp', 'utils'):  # a file of the same name may precede ours in sys.path
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
           'rate_range', 'read_config', 'recognise', 'run_trial', 'sample_set', 'search', 'summary', 'sweep',
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

    Network arguments that are not given take the defaults of the network's class.

    Parameters
    ----------
    learning_rate : float
        Step of the gradient descent.
    L1_reg, L2_reg : float
        Factors in the cost of the sum of the weights' absolute values and of the sum of their squares.
    n_epochs : int
        Number of epochs of stage train.
    dataset : path, optional
        HDF5 set made by ``python -m loaders``. By default a small set of drawn faces, made on first use.
    batch_size : int
        Images per minibatch.
    n_hidden : list of int, optional
        Units of each hidden layer of the fully connected part. Default: that of the network's class, [1024] for A.
    activation : Activation, optional
        `rna.relu()`, `rna.tanh()`, `rna.maxout(2)` or another activation of `utils.rna`. It also determines the
        initialisation. Default: that of the network's class, relu for A.
    batch_norm : bool, optional
        Use batch norm instead of biases. Default: that of the network's class, True for A.
    p_drop : float, optional
        Probability of dropping a unit of a hidden layer. Default: that of the network's class, 0.5 for A.
    p_dropConv : list of float, optional
        Probabilities of dropping an output, one for each convolution. Default: those of the network's class.
    gaussian_std : float, optional
        Standard deviation of the noise on linear outputs in training. Default: that of the network's class, 0 for A.
    p_dropConnect : float, optional
        Probability of dropping a weight of a hidden or convolutional layer. Default: that of the class, 0 for A.
    dropConnect_moments : bool, optional
        Outside training, use the mean and variance of the linear outputs, see `utils.layers.DropConnect`.
    val : bool
        Hold out the validation images, keep the epoch that is best on them, then retrain with them. False
        trains `n_epochs` epochs on all training images and anneals.
    trainShared : bool
        Keep the training images on the device. False reads each minibatch from the file; the results are the same.
    im_dim : (int, int), optional
        Height and width that the images must have, in pixels.
    savename : path, optional
        Model file, .h5 or .pkl. The record of the run goes into ``run-001``, ``run-002``, ... in a folder of the
        same name. An existing file is renamed, not overwritten. Default: trained_models/<network>_<set>.h5.
    network : class
        A class of `cnn.__all__`, such as `cnn.A` or `cnn.ResNet18`, `mlp.MLP`, or your own class with the same
        interface. A name or ``script.py:Class`` is also accepted.
    network_args : dict, optional
        Further arguments of the network's class, for example ``{'last_pool': False}`` for `cnn.B`.
    seed : int
        Seed of the weights, the order of images, dropout and noise; 0 to 2**32 - 1.
    rule : {'entropy', 'error'}
        Keep the epoch with the smallest validation cross-entropy or with the smallest validation error.
    patience : int
        Number of epochs without a new minimum of the rule's figure after which stage train ends; 0: never.
    progressive_sizes : list of int, optional
        Heights of the images in stage train, each for an equal part of its epochs; see `utils.training.resizing`.
    retrain : bool
        Retrain with the validation images. False continues from the parameters of the best epoch instead.
    anneal_epochs : int
        Number of final epochs at a tenth of the learning rate; with a schedule, of the rate of the best epoch.
    optimiser : {'sgd', 'rmsprop', 'adam', 'adamw', 'muon'} or callable
        Optimiser, see `utils.training.optimisers`; or your own function, ``optimiser(gradients, parameters, rate)``,
        or its name, ``script.py:function``.
    optimiser_args : dict, optional
        Further arguments of the optimiser, for example ``{'beta2': 0.99}`` for 'adam'.
    momentum : float
        Momentum of 'sgd', in [0, 1).
    nesterov : bool
        Use Nesterov momentum.
    weight_decay : float
        Multiple of the weights that is added to their gradients; with 'adamw' and 'muon' it is decoupled from them.
        Biases, gamma and beta do not decay. (`L2_reg` is the factor of the squares in the cost: with 'sgd', half the
        number has the same effect.)
    clip_norm : float
        Largest norm of all gradients together; longer gradients are scaled down to it. 0 turns clipping off.
    schedule : {'constant', 'step', 'cosine', 'one_cycle', 'plateau'} or callable
        Learning rate of each epoch of stage train, see `utils.training.schedules`; or your own function,
        ``schedule(epoch, n_epochs, figures)``, or its name, ``script.py:function``. Stage retrain uses the same
        rates, epoch by epoch.
    schedule_args : dict, optional
        Further arguments of the schedule, for example ``{'warmup': 5}`` for 'cosine'.
    ema_decay : float
        Decay per minibatch of a moving average of the parameters, in [0, 1). The average is validated, tested and
        saved. 0 turns averaging off.
    loss : {'nll', 'l2svm'}
        The negative log-likelihood, or the squared hinge loss of Tang's L2-SVM. With the latter, its validation loss
        decides the entropy point, and probabilities come from the temperature.
    label_smoothing : float
        Part of each training label that is spread evenly over all classes, in [0, 1).
    soft_labels : bool
        Train on the distribution of the annotators' votes, which the set must have. Validation and test use labels.
    teacher : path or list of paths, optional
        Saved models, runs or an ensemble whose mean outputs for the unaugmented training images are learned. While
        validation images are held out, the outputs are those of the teachers' best epochs.
    teacher_args : dict, optional
        ``{'weight': 0.9, 'temperature': 4.0, 'augmented': False}``: weight of the teacher's outputs in the cost, their
        temperature, and whether the teacher is given the augmented images.
    balance : {'none', 'weights', 'sampling'}
        Give every class the same influence: by weights in the cost, or by sampling the images of an epoch.
    members : int
        Number of networks trained side by side, with seeds `seed`, `seed` + 1, ..., and combined by summed logits.
    portion : float
        Fraction of the training images that each of the `members` trains on, in (0, 1].
    replacement : bool
        Draw the images of each member with replacement, as in bagging.
    augment : Augment, dict or True, optional
        Random changes of the training images in every minibatch, see `utils.training.augmentation.Augment`. A dict
        holds its arguments, for example ``{'mirror': 0.5, 'rotation': 10, 'crop': 40}``. True uses its defaults.
    fold : (int, int), optional
        Fold i of k, such as 3/10. The people of the fold (images, if the set does not identify people) are the test
        set and all others train, whatever their subset; see `loaders.Fold`. `cross_validate` runs all folds.
    statistics_images : int
        Number of training images from which the population statistics of batch norm are measured.
    precision : {'float32', 'tf32', 'bf16'}
        Precision of the operands of convolutions and matrix products; sums, parameters and all else are float32. The
        last two are for GPUs.
    devices : int, optional
        Number of GPUs that compute each minibatch together (docs/parallel.md). Default: as many as there are and as
        divide `batch_size`; one on a CPU. The result does not depend on it.
    hosts, host_index, n_hosts : str, int, int, optional
        Several hosts that run this experiment together: host:port of host 0, the index of this host from 0, and the
        number of hosts; or ``hosts='auto'`` under SLURM, Kubernetes and Open MPI. Host 0 writes and calls `on_epoch`.
    special_test : bool
        Also test on the summed logits over all views of each test image, if the set has views or `augment`
        makes them.
    show_test : bool
        Print the test error after every epoch. It never decides anything.
    resume : path, optional
        Model file to resume. An interrupted experiment continues where it was saved; a finished one continues if
        `n_epochs` or `anneal_epochs` is larger than before. Arguments that are left out are taken from the file.
        Arguments that decide the result cannot be changed.
    accept_changed_network : bool
        Resume the model although its network's class has been edited since.
    save_every : int
        Number of epochs between writes of the model file. It is also written at the end of a stage, on Ctrl-C and on
        errors.
    name : str, optional
        Name of the result in the competition's table.
    on_epoch : callable, optional
        Function called with the entry of each epoch (a dict, see `Result.history`).
    verbose : {1, 0, 2}
        0 prints nothing; 1 prints a line per epoch and, on a terminal, shows a progress bar; 2 also prints what
        happens between epochs.
    report : bool
        Draw the figures and write the HTML report of the run.
    track : list of {'tensorboard', 'mlflow'}, optional
        Trackers that follow the run in addition to its record; each needs its library.
    pretrain_epochs : int
        Number of epochs of unsupervised pre-training of each layer before stage train; 0 skips this stage.
    pretrain_args : dict, optional
        Settings of pre-training, see `utils.training.autoencoders.Denoising`, for example ``{'corruption': 0.5}``.

    Returns
    -------
    Result

    Raises
    ------
    ValueError, TypeError, OSError
        If an argument, the data set or the model file is not usable. Nothing has been trained or written then.
    FloatingPointError
        If a cost or a parameter became infinite or NaN. The last good epoch is in the model file.
    MemoryError
        If the memory of the device or of the machine is used up. The message says how to need less.
    BlockingIOError, ConnectionError
        If another run is writing this model; if another host has stopped or the hosts did not all connect.
    KeyboardInterrupt, utils.experiment.signals.Terminated
        After Ctrl-C, and after SIGTERM or SIGHUP, which end the process with status 143 or 129. The last completed
        epoch is in the model file.
    """
    with Experiment(CONTEXT, locals(), given) as experiment:
        experiment.load()
        trainer, options = experiment.build(), experiment.options
        with experiment.guarded():
            trainer.pretrain()
            trainer.train(options['n_epochs'], options['patience'])
            experiment.print_best_epoch()
            trainer.retrain(options['retrain'])
            trainer.anneal(options['anneal_epochs'], retrained=options['retrain'])
            errors = trainer.test(options['special_test'])
            return experiment.finish(errors)


test.__test__ = False  # type: ignore[attr-defined]  # pytest would run it wherever it is imported


sample_set = functools.partial(sample.sample_set, loaders)
CONTEXT = Context(test, NETWORKS, loaders, sample_set)  # passes down what utils may not import
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
run_trial = CONTEXT.bind(sweeps.run_trial)
run_point, run_trial_of_input = CONTEXT.bind(sweeps.run_point), CONTEXT.bind(sweeps.run_trial_of_input)
search = CONTEXT.bind(searches.search)
summary = CONTEXT.bind(summarising.summary)
sweep = CONTEXT.bind(sweeps.sweep)


def main(arguments: Sequence[str] | None = None) -> int:  # type: ignore[no-redef]
    """Run the command line, see `utils.cli`, and return the exit status."""
    from utils.cli import main

    return main(arguments)
