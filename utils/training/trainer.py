"""The methodology of thesis 5.5: train to the entropy point, retrain with the validation images, anneal, test.

An optional stage pretrain comes first. The test images decide nothing: no epoch, no learning rate, no network.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from utils.training import resizing
from utils.training.inference import compute_logits, sum_over_views, test_errors, test_outputs, validate
from utils.training.members import errors_of_members
from utils.training.pretrained import Pretrained
from utils.training.rules import best_epoch
from utils.training.stages import DONE, STAGES, stage

__all__ = ['DONE', 'STAGES', 'Trainer']


class Trainer(Pretrained):
    """Takes a network and a data set through the stages of the methodology.

    Each stage is a method with the decorator `stage`. A completed stage does nothing when it is called again, even if
    it was completed before the trainer was saved; an interrupted stage continues. Everything random is derived from the
    seed.

    Parameters
    ----------
    make_network : callable
        ``make_network(rng) -> network``; called again with an equal generator for each fresh start.
    data : loaders.Dataset
    settings : Settings, optional
    reporter : object, optional
        Called at every epoch and minibatch, see `NullReporter`.
    checkpoint : callable, optional
        Called with the trainer after every epoch and stage.
    teacher : callable, optional
        Teacher for `Settings.distillation`. ``teacher(subset, best)`` returns logits (n, n_classes) for the images of a
        subset, with the parameters of the best epoch or the last ones; ``teacher.onlooker(im_dim)`` is an `Onlooker`.
    unlabelled : Subset, optional
        Images of stage pretrain, with their digest; by default those of stage train.

    Attributes
    ----------
    stage, epoch : str, int
        Current stage, a name in `utils.training.stages.STAGES` or 'done', and number of its completed epochs.
    history : list of dict
        One row per epoch: stage, epoch, rate, train_cost (with regularisation), train_cross_entropy,
        validation_error (%), validation_cross_entropy, test_error (%), images, seconds. Rows with progressive sizes
        also have size, the height of the images. Rows of stage pretrain also have layer, and the reconstruction cost
        as train_cost.
    many_steps : bool
        Train many minibatches per call; by default True on a GPU that holds the training images.

    Raises
    ------
    ValueError
        If `val` is True and the set has no validation images, the batch is larger than the set, or the network does
        not fit.
    """

    @stage(0, 'training')
    def train(self, n_epochs: int, patience: int = 0) -> None:
        """Stage train: train for `n_epochs` epochs; with `val`, on the reduced training set with validation.

        If the trainer is past this stage and `n_epochs` is larger than before, it returns to the end of the stage and
        continues; the later stages are undone.

        Parameters
        ----------
        n_epochs : int
        patience : int
            Number of epochs without a new minimum of the rule's figure after which the stage ends [1]_; 0: never.

        References
        ----------
        .. [1] Goodfellow, Bengio and Courville (2016), Deep Learning, Algorithm 7.1.
        """
        self.check_epochs(n_epochs, patience=patience)
        self.pretrain()
        if self.stage != 'train':
            done = len(self._trained_rows())
            if n_epochs == done or self.out_of_patience(patience):
                return
            self.set_arrays(self.trained)
            self.history = [row for row in self.history if row['stage'] in ('pretrain', 'train')]
            self.stage, self.epoch, self.trained = 'train', done, None
        subset = self.data.reduced_training if self.settings.val else self.data.training
        while self.epoch < n_epochs and not self.out_of_patience(patience):
            rate, height = self._rate(self.epoch, n_epochs), self._height(self.epoch, n_epochs)
            row = self._epoch(subset, rate, n_epochs, height)
            if self.settings.val:
                self._measure(subset)
                row['validation_error'], row['validation_cross_entropy'] = validate(
                    self.functions, self.data.validation
                )
                if not math.isfinite(row['validation_cross_entropy']):
                    self._diverged('the validation cross-entropy is not finite')
                if best_epoch([*self.history, row], self.settings.rule) is row:
                    self.best_arrays = self.arrays()
            self._end_epoch(row, subset)
        self.trained = self.arrays()
        self._end_stage()

    def out_of_patience(self, patience: int) -> bool:
        """Whether the rule's figure has had no new minimum for `patience` epochs of stage train; 0: never."""
        if not patience:
            return False
        if not self.settings.val:
            raise ValueError('patience needs the validation images: val must be True, got False')
        done = len(self._trained_rows())
        return done > 0 and done - self.best['epoch'] >= patience

    def check_epochs(self, n_epochs: int, anneal_epochs: float = math.inf, patience: int = 0) -> None:
        """Refuse fewer epochs than are completed, and a number with which schedule or sizes would have differed.

        Raises
        ------
        ValueError
            If the numbers of epochs do not fit the completed ones.
        """
        rows, annealed = self._trained_rows(), sum(row['stage'] == 'anneal' for row in self.history)
        done = {'n_epochs': (len(rows), n_epochs)}
        ended = n_epochs <= len(rows) or self.out_of_patience(patience)
        if ended:  # otherwise stage train continues, and annealing starts afresh after it
            done['anneal_epochs'] = annealed, anneal_epochs
        for name, (least, asked) in done.items():
            if asked < least:
                raise ValueError(f'{name} must be at least {least}, the number of completed epochs, got {asked}')
        if self.stage != 'train' and ended:
            return
        resizing.check_epochs(self.settings.progressive_sizes, n_epochs)
        if any(row['rate'] != self._rate(epoch, n_epochs) for epoch, row in enumerate(rows)):
            raise ValueError(
                f'with n_epochs={n_epochs} the schedule would have had other learning rates '
                'in the completed epochs: leave n_epochs unchanged, or start a new experiment'
            )
        if any(row.get('size') != self._height(epoch, n_epochs) for epoch, row in enumerate(rows)):
            raise ValueError(
                f'with n_epochs={n_epochs} and these progressive_sizes the images would have had other sizes in the '
                'completed epochs: leave both unchanged, or start a new experiment'
            )

    @property
    def best(self) -> dict[str, Any]:
        """Row of the best epoch in the history; None without validation."""
        return best_epoch(self.history, self.settings.rule) if self.settings.val else None

    @stage(1, 'training, with validation images')
    def retrain(self, retrain: bool = True) -> None:
        """Stage retrain: train on all training images up to the number of the best epoch, from the same initialisation.

        After stage pretrain, the initialisation is the pre-trained one. Without validation, the stage does nothing.
        With ``retrain=False``, it restores the parameters of the best epoch instead.
        """
        if self.stage != 'retrain':
            return
        if self.settings.val and self.epoch == 0:
            if retrain:
                self._start_again()
            else:
                self.set_arrays(self.best_arrays)
        if self.settings.val and retrain:
            rows, subset = self._trained_rows()[: self.best['epoch']], self.data.training
            while self.epoch < len(rows):
                as_then = rows[self.epoch]
                self._end_epoch(self._epoch(subset, as_then['rate'], len(rows), as_then.get('size')), subset)
        self._end_stage()

    @stage(2, 'annealing', follows=True)
    def anneal(self, n_epochs: int = 10, factor: float = 0.1, retrained: bool = True) -> None:
        """Stage anneal: train a few epochs at `factor` times the learning rate of the best epoch (thesis 5.5).

        Without validation, that of the last epoch is used.

        Parameters
        ----------
        n_epochs : int
        factor : float
        retrained : bool
            False if `retrain` restored the parameters of the best epoch: the validation images are then still held out.
        """
        if self.stage not in ('anneal', DONE):
            return
        self.check_epochs(len(self._trained_rows()), n_epochs)
        done = sum(row['stage'] == 'anneal' for row in self.history)
        if self.stage == DONE and n_epochs == done:
            return
        self.stage, self.epoch = 'anneal', done
        subset = self.data.training if retrained or not self.settings.val else self.data.reduced_training
        rate = (self.best or self._trained_rows()[-1])['rate'] * factor
        while self.epoch < n_epochs:
            self._end_epoch(self._epoch(subset, rate, n_epochs), subset)
        self._measure(subset)
        self._end_stage()

    def test(self, special_test: bool = True) -> dict[str, dict[str, dict[str, float]]]:
        """Compute the errors on the test images and, over all views of each, those of the special test.

        The views are those of the set; if it has none and training images are augmented, those of
        `utils.training.augmentation.Augment.views`.

        Returns
        -------
        dict
            Results of `test_errors` for 'plain' and 'special' (None without views or with ``special_test=False``).
            The attribute `test_outputs` then has the logits, and `errors_of_members` the errors of each member.
        """
        self.test_outputs = test_outputs(self.functions, self.data, special_test)
        self.errors_of_members = errors_of_members(self.functions, self.data, special_test)
        return {
            'special': None,
            **{kind: test_errors(logits, self.data.test) for kind, logits in self.test_outputs.items()},
        }

    def best_outputs(self) -> tuple[np.ndarray, ...] | None:
        """Logits for the validation images, with the parameters of the best epoch, which was not trained on them.

        Returns
        -------
        tuple (source int array (n,), y int array (n,), array (n, n_classes)) or None
            Numbers and labels of the original images, and means of the logits over their views; None without
            validation.
        """
        if self.best_arrays is None:
            return None
        now, subset = self.arrays(), self.data.validation
        self.set_arrays(self.best_arrays)
        try:
            logits = compute_logits(self.functions, subset)
        finally:
            self.set_arrays(now)
        images, first, views = np.unique(subset.source, return_index=True, return_counts=True)
        return images, subset.y[first], sum_over_views(logits, subset.source, images) / views[:, None]
