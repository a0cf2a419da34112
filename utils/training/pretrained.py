"""The part of a `Trainer` that runs stage pretrain, the first of all stages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.training.engine import Engine
from utils.training.pretraining import Pretraining
from utils.training.stages import STAGES, stage
from utils.training.state import without_aliases

if TYPE_CHECKING:
    from utils.annotations import Row, Subset


class Pretrained(Engine):
    """An engine that can pre-train its network first; arguments as of `Trainer`.

    Attributes
    ----------
    pretraining : Pretraining or None
        None if the settings have no pre-training.
    pretrained : dict of str to array, or None
        The network's parameters after stage pretrain, by path. Stages train and retrain start from them.
    """

    pretraining: Pretraining | None = None
    pretrained: dict[str, np.ndarray] | None = None

    def __init__(self, *arguments: Any, unlabelled: Any = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.settings.pretrain_epochs:
            self.pretraining = Pretraining(
                self.functions, self.settings.denoising, self.settings.pretrain_epochs, unlabelled
            )
            self.last = self.state()

    def state(self) -> dict[str, Any]:
        """The state of the engine with the decoders and, after stage pretrain, the pre-trained parameters."""
        state = super().state()
        if self.pretraining:
            state['pretrained'] = {**self.pretraining.arrays(), **(self.pretrained or {})}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`, from this trainer or another one of the same configuration."""
        super().restore(state)
        if self.pretraining:
            shapes = {f'parameters/{name}': p.type.shape for name, p in self.functions.parameters.items()}
            saved = without_aliases(state.get('pretrained') or {}, shapes, self.functions.network)
            if any(row.get('layer') not in self.pretraining.names for row in self._rows('pretrain')):
                raise ValueError('the saved model is damaged: an epoch of stage pretrain names a layer that it lacks')
            self.pretrained = self.pretraining.restore(saved, shapes, over=state['stage'] != 'pretrain')
            self.last = self.state()

    def release(self) -> None:
        """Release the memory on the device: images, parameters, compiled functions. The trainer is unusable then."""
        super().release()
        if self.pretraining:
            self.pretraining.release()

    def _initial(self):
        return self.pretrained or super()._initial()

    @stage(3, 'pre-training', only_with='pretrain_epochs')
    def pretrain(self) -> None:
        """Stage pretrain: train the layers as denoising autoencoders, one by one, see `utils.training.pretraining`.

        The images are unlabelled ones or those of stage train, never the validation images. Stages train and retrain
        start with the pre-trained parameters, a fresh optimiser and a draw counter of zero.
        """
        if self.stage != 'pretrain':
            return
        subset = self.pretraining.source
        if subset is None:
            subset = self.data.reduced_training if self.settings.val else self.data.training
        if not self.history:
            self._look_at_outputs(subset.images(np.arange(self.settings.batch_size)))
        while self.epoch < self.pretraining.total:
            self._enter(self._pretraining_epoch(subset))
        self.pretrained = {path: value for path, value in self.arrays().items() if path.startswith('parameters/')}
        self._start_again()
        self._end_stage()

    def _pretraining_epoch(self, subset: Subset) -> Row:
        """Train a layer for one pass over the images, in a random order derived from seed and epoch."""
        stacked = self.pretraining
        k, done = divmod(self.epoch, stacked.n_epochs)
        name, rate = stacked.names[k], stacked.rate_of(k)
        self.functions.rate.set_value(np.float32(rate))
        self.reporter.epoch_begins(f'pretrain {name}', done + 1, stacked.n_epochs, len(subset))
        seeds = [self.settings.seed, STAGES['pretrain'].order_seed, self.epoch]
        order, start = np.random.default_rng(seeds).permutation(len(subset)), time.perf_counter()
        if not stacked.is_compiled(k):
            self.reporter.compiling(f'pre-training of {name}')
        costs, counts = stacked.epoch(k, subset, order, self.reporter)
        self._check_costs(costs[:, None])
        self._check_arrays(len(costs))
        return {
            **dict.fromkeys(self.ROW),
            'stage': 'pretrain',
            'epoch': done + 1,
            'rate': rate,
            'train_cost': float(np.average(costs, weights=counts)),
            'images': len(subset),
            'seconds': time.perf_counter() - start,
            'layer': name,
        }

    def reconstructions(self) -> dict[str, np.ndarray] | None:
        """Corrupt and reconstruct images with the pre-trained parameters, see `Pretraining.reconstructions`.

        They are validation images or, without validation, training images; None without pre-training.
        """
        if self.pretrained is None:
            return None
        subset = self.data.validation if self.settings.val else self.data.training
        rows = np.resize(np.random.default_rng(self.settings.seed).permutation(len(subset)), self.settings.batch_size)
        now = self.arrays()
        self.set_arrays({**now, **self.pretrained})
        try:
            return self.pretraining.reconstructions(subset.images(rows))
        finally:
            self.set_arrays(now)
