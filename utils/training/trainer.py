"""The methodology of thesis 5.5: train to the entropy point, retrain with the validation images, anneal, test.

Before it comes stage pretrain, where it is asked for. The test images choose nothing: no epoch, no rate, no network.
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
    """A network and a data set, taken through the stages of the methodology.

    Each stage is a method with the decorator `stage`; a stage that is done, or was when the trainer was saved, does
    nothing, and one that was interrupted goes on. Everything random follows from the seed.

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
        ``teacher(subset, kept)`` gives linear outputs (n, n_classes) for the images of a subset, with the parameters of
        its kept epoch or its last ones, ``teacher.onlooker(im_dim)`` is an `Onlooker`; with `Settings.distillation`.
    unlabelled : Subset, optional
        Images of stage pretrain, with their digest; by default those of stage train.

    Attributes
    ----------
    stage, epoch : str, int
        Where it is: a name in `utils.training.stages.STAGES` or 'done', epochs done in it.
    history : list of dict
        One row per epoch: stage, epoch, rate, train_cost (regularisation included), train_cross_entropy,
        validation_error (%), validation_cross_entropy, test_error (%), images, seconds; with progressive sizes
        size, the height of the images; those of stage pretrain have the layer as well, and the reconstruction cost as
        train_cost.
    many_steps : bool
        Train many minibatches in one call of the device; by default on a GPU that holds the training images.

    Raises
    ------
    ValueError
        A set without validation images though `val` is True, a batch size beyond the set, a network that does not fit.
    """

    @stage(0, 'training')
    def train(self, n_epochs: int, patience: int = 0) -> None:
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
                    self.kept = self.arrays()
            self._end_epoch(row, subset)
        self.trained = self.arrays()
        self._end_stage()

    def out_of_patience(self, patience: int) -> bool:
        """Whether the rule's figure has had no new minimum for `patience` epochs of stage train; 0: never."""
        if not patience:
            return False
        if not self.settings.val:
            raise ValueError('patience goes by the validation images: val must be True, got False')
        done = len(self._trained_rows())
        return done > 0 and done - self.best['epoch'] >= patience

    def check_epochs(self, n_epochs: int, anneal_epochs: float = math.inf, patience: int = 0) -> None:
        """Refuse to go on for fewer epochs than are done, or where schedule or sizes would then have been others.

        Raises
        ------
        ValueError
        """
        rows, annealed = self._trained_rows(), sum(row['stage'] == 'anneal' for row in self.history)
        done = {'n_epochs': (len(rows), n_epochs)}
        ended = n_epochs <= len(rows) or self.out_of_patience(patience)
        if ended:  # else stage train goes on, and annealing begins anew after it
            done['anneal_epochs'] = annealed, anneal_epochs
        for name, (least, asked) in done.items():
            if asked < least:
                raise ValueError(f'{name} must be at least {least}, as many epochs as are done, got {asked}')
        if self.stage != 'train' and ended:
            return
        resizing.check_epochs(self.settings.progressive_sizes, n_epochs)
        if any(row['rate'] != self._rate(epoch, n_epochs) for epoch, row in enumerate(rows)):
            raise ValueError(
                f'with n_epochs={n_epochs} the schedule of the learning rate would have had other rates '
                'in the epochs that are done: leave n_epochs as it was, or start a new experiment'
            )
        if any(row.get('size') != self._height(epoch, n_epochs) for epoch, row in enumerate(rows)):
            raise ValueError(
                f'with n_epochs={n_epochs} and these progressive_sizes the images would have had other sizes in the '
                'epochs that are done: leave both as they were, or start a new experiment'
            )

    @property
    def best(self) -> dict[str, Any]:
        """Entry of the kept epoch in the history; None without validation."""
        return best_epoch(self.history, self.settings.rule) if self.settings.val else None

    @stage(1, 'training, with validation images')
    def retrain(self, retrain: bool = True) -> None:
        """Stage retrain: from the same initialisation, on all training images, for as many epochs as were best.

        After stage pretrain that is what it left. Without validation there is nothing to do; with ``retrain=False`` the
        parameters of the kept epoch are put back instead.
        """
        if self.stage != 'retrain':
            return
        if self.settings.val and self.epoch == 0:
            if retrain:
                self._start_again()
            else:
                self.set_arrays(self.kept)
        if self.settings.val and retrain:
            rows, subset = self._trained_rows()[: self.best['epoch']], self.data.training
            while self.epoch < len(rows):
                as_then = rows[self.epoch]
                self._end_epoch(self._epoch(subset, as_then['rate'], len(rows), as_then.get('size')), subset)
        self._end_stage()

    @stage(2, 'annealing', follows=True)
    def anneal(self, n_epochs: int = 10, factor: float = 0.1, retrained: bool = True) -> None:
        """Stage anneal: a few epochs at `factor` times the rate of the kept epoch, or of the last (thesis 5.5).

        Parameters
        ----------
        n_epochs : int
        factor : float
        retrained : bool
            False: `retrain` put back the kept parameters; the validation images stay out.
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
        """Errors on the test images and, on all views of each, of the special test.

        The views are those of the set or, where it has none and training images are augmented, those of
        `utils.training.augmentation.Augment.views`.

        Returns
        -------
        dict
            'plain' and 'special' (None where there are no views, or not wanted): what `test_errors` gives.
            The logits themselves are then in the attribute `test_outputs`, the errors of each of several networks in
            `errors_of_members`.
        """
        self.test_outputs = test_outputs(self.functions, self.data, special_test)
        self.errors_of_members = errors_of_members(self.functions, self.data, special_test)
        return {
            'special': None,
            **{kind: test_errors(logits, self.data.test) for kind, logits in self.test_outputs.items()},
        }

    def kept_outputs(self) -> tuple[np.ndarray, ...] | None:
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
            logits = compute_logits(self.functions, subset)
        finally:
            self.set_arrays(now)
        images, first, views = np.unique(subset.source, return_index=True, return_counts=True)
        return images, subset.y[first], sum_over_views(logits, subset.source, images) / views[:, None]
