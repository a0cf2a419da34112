"""The methodology of thesis 5.5: train to the entropy point, retrain with the validation images, anneal, test.

The test images choose nothing: no epoch, no rate, no network.
"""
import math
import time

import numpy as np

from utils import backend
from utils.files.models import STAGES
from utils.layer import parameters
from utils.training import schedules
from utils.training.batches import minibatches, to_device
from utils.training.functions import MOST_STEPS, Functions
from utils.training.inference import (
    linear_outputs,
    measure_statistics,
    sum_over_views,
    test_errors,
    test_outputs,
    validate,
)
from utils.training.reporter import NullReporter
from utils.training.rules import RULES, best_epoch
from utils.training.state import check_state, without_aliases

CALL_SECONDS = 1.        # of training in one call, between movements of the progress bar
# Part of the seed of each stage's orders of images. Never renumber: the figures of every run would change.
ORDER_SEEDS = {'train': 0, 'retrain': 1, 'anneal': 2}


class Trainer:
    """A network and a data set, taken through the stages of the methodology.

    Each stage is a method; a stage that is done, or was when the trainer was saved, does nothing, and one that
    was interrupted goes on. Everything random follows from `seed`.

    Parameters
    ----------
    make_network : callable
        ``make_network(rng) -> network``; called again with an equal generator for each fresh start.
    data : loaders.Dataset
    batch_size, learning_rate, L1_reg, L2_reg, optimiser, augment, precision, label_smoothing, average
        As in `utils.training.functions.Functions`.
    schedule : callable, optional
        ``schedule(epoch, n_epochs, figures) -> factor`` on the learning rate, see `utils.training.schedules`. Stage
        retrain has the rates that stage train had, epoch by epoch.
    seed : int
        Of weights, order of images, dropout and noise.
    val : bool
        Train without the validation images and validate after each epoch.
    rule : {'entropy', 'error'}
        Which epoch is kept, see `best_epoch`.
    trainShared : bool
        Keep the training images on the device, or read minibatches from the file as they are needed.
    statistics_images : int
        Sample size of `measure_statistics`.
    show_test : bool
        Also write down the test error of each epoch (it chooses nothing).
    report : object
        Is told what happens, see `NullReporter`.
    checkpoint : callable, optional
        Called with the trainer after every epoch and stage.

    Attributes
    ----------
    stage, epoch : str, int
        Where it is: one of `STAGES`, epochs done in it.
    history : list of dict
        One row per epoch: stage, epoch, rate, train_cost (regularisation included), train_cross_entropy,
        validation_error (%), validation_cross_entropy, test_error (%), images, seconds.
    many_steps : bool
        Train many minibatches in one call of the device; by default on a GPU that holds the training images.
    """

    ROW = ('stage', 'epoch', 'rate', 'train_cost', 'train_cross_entropy', 'validation_error',
           'validation_cross_entropy', 'test_error', 'images', 'seconds')

    def __init__(self, make_network, data, *, batch_size=100, learning_rate=.1, L1_reg=0., L2_reg=0.,
                 optimiser=None, augment=None, seed=0, precision='float32', label_smoothing=0., average=0.,
                 schedule=None, val=True, rule='entropy', trainShared=True, statistics_images=5000, show_test=False,
                 report=None, checkpoint=None):
        self.data, self.seed, self.val, self.rule = data, seed, val, rule
        self.learning_rate, self.statistics_images = learning_rate, statistics_images
        self.show_test, self.schedule = show_test, schedule or schedules.constant
        self.report, self.checkpoint = report or NullReporter(), checkpoint
        if rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(map(repr, RULES))}, got {rule!r}")
        if val and data.validation is None:
            raise ValueError(f'val=True needs a validation part, and {data.path} has none: make the set with one '
                             '(python -m loaders ... --validation N) or pass val=False')
        smallest = data.reduced_training if val else data.training
        if not 1 <= batch_size <= len(smallest):
            raise ValueError(f'batch_size must lie between 1 and the {len(smallest)} images of the '
                             f'{smallest.name} set, got {batch_size}')
        self.make_network = lambda: make_network(np.random.default_rng(seed))
        network = self.make_network()
        self.functions = Functions(
            network, data.shape, batch_size, learning_rate=learning_rate, L1_reg=L1_reg, L2_reg=L2_reg,
            seed=seed, augment=augment, precision=precision, label_smoothing=label_smoothing, average=average,
            resident=to_device(data.training) if trainShared else None, n_classes=len(data.classes),
            **({'optimiser': optimiser} if optimiser else {}))
        self.functions.check()
        self.stage, self.epoch, self.history = 'train', 0, []
        self.kept = self.trained = None
        # On a GPU a step is shorter than Python needs to ask for it; on a CPU it is not.
        self.many_steps = trainShared and backend.device_name() != 'cpu'
        self._measured = self._compiled = False
        self._fresh = {f'optimiser/{name}': np.array(p.get_value()) for name, p in self.functions.state.items()}
        self.last = self.state()

    # ------------------------------------------------------------------ what is saved and restored

    def arrays(self):
        """Parameters, optimiser state and draw counter by path, as NumPy arrays of their own."""
        return {path: np.array(p.get_value(borrow=True)) for path, p in self._targets().items()}

    def _targets(self):
        f = self.functions
        out = {f'parameters/{name}': p for name, p in f.parameters.items()}
        return {**out, **{f'optimiser/{name}': p for name, p in f.state.items()}, 'counter': f.counter}

    def set_arrays(self, arrays):
        """Put back what `arrays` gave."""
        targets = self._targets()
        check_state(arrays, {path: p.type.shape for path, p in targets.items()})
        for path, p in targets.items():
            backend.to_device(p, np.array(arrays[path], dtype=p.dtype))

    def state(self):
        """Everything needed to go on: arrays now, at the kept epoch, at the end of stage train; place; history."""
        return {'arrays': self.arrays(), 'kept': self.kept, 'trained': self.trained, 'stage': self.stage,
                'epoch': self.epoch, 'history': [dict(row) for row in self.history]}

    def restore(self, state):
        """Go to a state that `state` gave, of this trainer or of another of the same configuration."""
        shapes = {path: p.type.shape for path, p in self._targets().items()}
        dtypes = {path: p.dtype for path, p in self._targets().items()}
        state = {**state, **{group: without_aliases(state[group], shapes, self.functions.network)
                             for group in ('arrays', 'kept', 'trained') if state[group] is not None}}
        for group in ('arrays', 'kept', 'trained'):
            if state[group] is not None:
                check_state(state[group], shapes, dtypes)
        done = [row['stage'] for row in state['history']]
        if (state['stage'] not in STAGES or (state['kept'] is None and self.val and 'train' in done)
                or (state['trained'] is None and state['stage'] != 'train')
                or any(set(self.ROW) - set(row) for row in state['history'])):
            raise ValueError('the saved model is incomplete: the parameters or the history of an epoch are missing')
        self.set_arrays(state['arrays'])
        self.kept, self.trained = state['kept'], state['trained']
        self.stage, self.epoch = state['stage'], state['epoch']
        self.history = [dict(row) for row in state['history']]
        self._measured = False
        self.last = self.state()

    def release(self):
        """Give back what is held on the device: images, parameters and compiled functions. This is its end."""
        self.functions.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()

    # ------------------------------------------------------------------------------------- stages

    def train(self, n_epochs, patience=0):
        """Stage train: `n_epochs` epochs, with `val` on the reduced training set and validated.

        Asked of a trainer that is past this stage for more epochs than it has had, it goes back to the end of
        the stage and on from there; the later stages are then undone.

        Parameters
        ----------
        n_epochs : int
        patience : int
            The stage ends earlier where the rule's figure has had no new minimum for so many epochs [1]_; 0: never.

        References
        ----------
        .. [1] Goodfellow, Bengio and Courville (2016), Deep Learning, Algorithm 7.1.
        """
        self.check_epochs(n_epochs, patience=patience)
        if self.stage != 'train':
            done = len(self._trained_rows())
            if n_epochs == done or self.out_of_patience(patience):
                return
            self.set_arrays(self.trained)
            self.history = [row for row in self.history if row['stage'] == 'train']
            self.stage, self.epoch, self.trained = 'train', done, None
        subset = self.data.reduced_training if self.val else self.data.training
        while self.epoch < n_epochs and not self.out_of_patience(patience):
            row = self._epoch(subset, self._rate(self.epoch, n_epochs), n_epochs)
            if self.val:
                self._measure(subset)
                row['validation_error'], row['validation_cross_entropy'] = validate(
                    self.functions, self.data.validation)
                if not math.isfinite(row['validation_cross_entropy']):
                    self._diverged('the validation cross-entropy is not finite')
                if best_epoch([*self.history, row], self.rule) is row:
                    self.kept = self.arrays()
            self._end_epoch(row, subset)
        self.trained = self.arrays()
        self._go_to('retrain')

    def out_of_patience(self, patience):
        """Whether the rule's figure has had no new minimum for `patience` epochs of stage train; 0: never."""
        if not patience:
            return False
        if not self.val:
            raise ValueError('patience goes by the validation images: val must be True, got False')
        done = len(self._trained_rows())
        return done > 0 and done - self.best['epoch'] >= patience

    def check_epochs(self, n_epochs, anneal_epochs=math.inf, patience=0):
        """Refuse to go on for fewer epochs than are done, or where the schedule would then have had other rates.

        Raises
        ------
        ValueError
        """
        rows, annealed = self._trained_rows(), sum(row['stage'] == 'anneal' for row in self.history)
        done = {'n_epochs': (len(rows), n_epochs)}
        ended = n_epochs <= len(rows) or self.out_of_patience(patience)
        if ended:                       # else stage train goes on, and annealing begins anew after it
            done['anneal_epochs'] = annealed, anneal_epochs
        for name, (least, asked) in done.items():
            if asked < least:
                raise ValueError(f'{name} must be at least {least}, as many epochs as are done, got {asked}')
        if self.stage != 'train' and ended:
            return
        if any(row['rate'] != self._rate(epoch, n_epochs) for epoch, row in enumerate(rows)):
            raise ValueError(f'with n_epochs={n_epochs} the schedule of the learning rate would have had other rates '
                             'in the epochs that are done: leave n_epochs as it was, or start a new experiment')

    @property
    def best(self):
        """Entry of the kept epoch in the history; None without validation."""
        return best_epoch(self.history, self.rule) if self.val else None

    def retrain(self, retrain=True):
        """Stage retrain: from the same initialisation, on all training images, for as many epochs as were best.

        Without validation there is nothing to do; with ``retrain=False`` the parameters of the kept epoch are
        put back instead.
        """
        if self.stage != 'retrain':
            return
        if self.val and self.epoch == 0:
            if retrain:
                self._start_again()
            else:
                self.set_arrays(self.kept)
        if self.val and retrain:
            rates = [row['rate'] for row in self._trained_rows()[:self.best['epoch']]]
            while self.epoch < len(rates):
                self._end_epoch(self._epoch(self.data.training, rates[self.epoch], len(rates)), self.data.training)
        self._go_to('anneal')

    def anneal(self, n_epochs=10, factor=.1, retrained=True):
        """Stage anneal: a few epochs at `factor` times the rate of the kept epoch, or of the last (thesis 5.5).

        Parameters
        ----------
        n_epochs : int
        factor : float
        retrained : bool
            False: `retrain` put back the kept parameters; the validation images stay out.
        """
        if self.stage not in ('anneal', 'done'):
            return
        self.check_epochs(len(self._trained_rows()), n_epochs)
        done = sum(row['stage'] == 'anneal' for row in self.history)
        if self.stage == 'done' and n_epochs == done:
            return
        self.stage, self.epoch = 'anneal', done
        subset = self.data.training if retrained or not self.val else self.data.reduced_training
        rate = (self.best or self._trained_rows()[-1])['rate'] * factor
        while self.epoch < n_epochs:
            self._end_epoch(self._epoch(subset, rate, n_epochs), subset)
        self._measure(subset)
        self._go_to('done')

    def test(self, special_test=True):
        """Errors on the test images and, on all views of each, of the special test.

        The views are those of the set or, where it has none and training images are augmented, those of
        `utils.training.augmentation.Augment.views`.

        Returns
        -------
        dict
            'plain' and 'special' (None where there are no views, or not wanted): what `test_errors` gives.
            The linear outputs themselves are then in the attribute `test_outputs`.
        """
        self.test_outputs = test_outputs(self.functions, self.data, special_test)
        return {'special': None, **{kind: test_errors(logits, self.data.test)
                                    for kind, logits in self.test_outputs.items()}}

    def kept_outputs(self):
        """Linear outputs on the validation images with the parameters of the kept epoch, which never saw them.

        Returns
        -------
        tuple (source int array (n,), y int array (n,), array (n, n_classes)) or None
            For each original image the mean over its views; None without validation.
        """
        if self.kept is None:
            return None
        now, subset = self.arrays(), self.data.validation
        self.set_arrays(self.kept)
        try:
            logits = linear_outputs(self.functions, subset)
        finally:
            self.set_arrays(now)
        images, first, views = np.unique(subset.source, return_index=True, return_counts=True)
        return images, subset.y[first], sum_over_views(logits, subset.source, images) / views[:, None]

    # ------------------------------------------------------------------------------------ helpers

    def _go_to(self, stage):
        self.stage, self.epoch = stage, 0
        self._checkpoint()

    def _checkpoint(self):
        self.last = self.state()
        if self.checkpoint:
            self.checkpoint(self)

    def _start_again(self):
        """The parameters of a freshly made network, a fresh optimiser, a draw counter at zero."""
        fresh = {f'parameters/{name}': p.get_value() for name, p in parameters(self.make_network()).items()}
        self.set_arrays({**fresh, **self._fresh, 'counter': np.zeros(())})

    def _trained_rows(self):
        return [row for row in self.history if row['stage'] == 'train']

    def _rate(self, epoch, n_epochs):
        """Learning rate of stage train after `epoch` epochs of it."""
        figures = [row[RULES[self.rule].key] for row in self._trained_rows()[:epoch]] if self.val else []
        factor = self.schedule(epoch, n_epochs, figures)
        if not (np.isfinite(factor) and factor >= 0):
            raise ValueError(f'a schedule must give factors >= 0 on the learning rate, got {factor!r} after {epoch} '
                             f'of {n_epochs} epochs')
        return float(self.learning_rate * factor)

    def _measure(self, subset):
        if not self._measured:
            measure_statistics(self.functions, subset, self.statistics_images, self.seed)
            self._measured = True
            for name, p in self.functions.parameters.items():
                if not p.tag.trainable and not np.isfinite(p.get_value(borrow=True)).all():
                    self._diverged(f'{name} is not finite')

    def _epoch(self, subset, rate, n_epochs):
        """One pass over a subset in a random order that follows from seed, stage and epoch."""
        f = self.functions
        f.rate.set_value(np.float32(rate))
        self.report.epoch_begins(self.stage, self.epoch + 1, n_epochs, len(subset))
        order = np.random.default_rng([self.seed, ORDER_SEEDS[self.stage], self.epoch]).permutation(len(subset))
        if not self.history:
            self._look_at_outputs(subset.images(order[:f.batch_size]))
        start = time.perf_counter()
        if not self._compiled:
            self.report.compiling('training step')
            self._compiled = True
        train = self._train_many if self.many_steps and f.takes_rows_of(subset) else self._train_each
        values, counts = train(subset, order)
        self._measured = False
        self._check_costs(values)
        bad = [path for path, p in self._targets().items() if not np.isfinite(p.get_value(borrow=True)).all()]
        if bad:
            self._diverged(f"{bad[0].partition('/')[2]} is not finite", len(values))
        cost, entropy = np.average(values, axis=0, weights=counts)
        return {'stage': self.stage, 'epoch': self.epoch + 1, 'rate': rate, 'train_cost': float(cost),
                'train_cross_entropy': float(entropy), 'validation_error': None,
                'validation_cross_entropy': None, 'test_error': None, 'images': len(subset),
                'seconds': time.perf_counter() - start}

    def _look_at_outputs(self, images):
        """Refuse outputs of another shape than the graph promised, and warn of what a softmax has made."""
        outputs = np.asarray(self.functions.test(images))       # compiled for the test at the end in any case
        self.functions.check_outputs('an array', outputs.shape, outputs.dtype)
        if ((outputs >= 0) & (outputs <= 1)).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
            self.report.warn("the network's outputs look like probabilities: return linear outputs, the cost applies "
                             'the softmax')

    def _train_each(self, subset, order):
        """Costs and cross-entropies (minibatches, 2) of one epoch, and the images that count in each minibatch."""
        f, values, counts = self.functions, [], []
        for inputs, weights, count in minibatches(subset, order, f.batch_size, f.takes_rows_of(subset)):
            values.append(f.train(*inputs, weights))
            counts.append(count)
            computed = values[max(0, len(values) - 4)][0]       # surely: asking for it does not wait
            self.report.minibatch(count, computed)
            if not math.isfinite(computed):
                break
        return np.array([[float(v) for v in pair] for pair in values]), counts

    def _train_many(self, subset, order):
        """`_train_each` with as many minibatches in one call as take about a second."""
        f, values, n = self.functions, [], 1
        batches = list(minibatches(subset, order, f.batch_size, resident=True))
        counts = [count for _, _, count in batches]
        while len(values) < len(batches):
            part = batches[len(values):len(values) + n]
            start = time.perf_counter()
            cost, entropy = f.train_many(np.stack([rows for (rows,), _, _ in part]),
                                         np.stack([weights for _, weights, _ in part]))
            values += zip(np.asarray(cost, float), np.asarray(entropy, float))
            if not np.isfinite(cost).all():
                break
            self.report.minibatch(sum(count for _, _, count in part), values[-1][0])
            seconds = (time.perf_counter() - start) / len(part)
            n = int(np.clip(CALL_SECONDS / seconds, 1, min(2 * n, MOST_STEPS)))
        return np.array(values), counts

    def _check_costs(self, values):
        """Raise FloatingPointError where a training cost or cross-entropy (minibatches, 2) is infinite or NaN."""
        if not np.isfinite(values).all():
            self._diverged('the training cost is not finite',
                           int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0]) + 1)

    def _diverged(self, what, batch=None):
        where = f'minibatch {batch} of epoch {self.epoch + 1}' if batch else f'epoch {self.epoch + 1}'
        raise FloatingPointError(f'{what} since {where} of stage {self.stage}: try a learning_rate below '
                                 f'{float(self.functions.rate.get_value()):g}, or batch_norm=True')

    def _end_epoch(self, row, subset):
        if self.show_test:
            self._measure(subset)
            outputs = linear_outputs(self.functions, self.data.test)
            row['test_error'] = test_errors(outputs, self.data.test)['whole']['error']
        self.epoch += 1
        self.history.append(row)
        self._checkpoint()
        self.report.epoch_ends(row)
