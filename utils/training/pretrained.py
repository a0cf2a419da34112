"""Stage pretrain, before all others: what a `Trainer` has of it."""

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
    """An engine whose network is pre-trained first, where its settings ask for it; arguments as of `Trainer`.

    Attributes
    ----------
    pretraining : Pretraining or None
        None where the settings do not ask for it.
    pretrained : dict of str to array, or None
        The network's parameters as stage pretrain left them, by path: the initialisation of stages train and retrain.
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
        """That of an engine with the decoders and, after stage pretrain, the parameters that it left."""
        state = super().state()
        if self.pretraining:
            state['pretrained'] = {**self.pretraining.arrays(), **(self.pretrained or {})}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a state that `state` gave, of this trainer or of another of the same configuration."""
        super().restore(state)
        if self.pretraining:
            shapes = {f'parameters/{name}': p.type.shape for name, p in self.functions.parameters.items()}
            saved = without_aliases(state.get('pretrained') or {}, shapes, self.functions.network)
            if any(row.get('layer') not in self.pretraining.names for row in self._rows('pretrain')):
                raise ValueError('the saved model is damaged: an epoch of its stage pretrain is of no layer of it')
            self.pretrained = self.pretraining.restore(saved, shapes, over=state['stage'] != 'pretrain')
            self.last = self.state()

    def release(self) -> None:
        """Give back what is held on the device: images, parameters and compiled functions. This is its end."""
        super().release()
        if self.pretraining:
            self.pretraining.release()

    def _initial(self):
        return self.pretrained or super()._initial()

    @stage(3, 'pre-training', only_with='pretrain_epochs')
    def pretrain(self) -> None:
        """Stage pretrain: the layers as denoising autoencoders, one after another, see `utils.training.pretraining`.

        The images are unlabelled ones or those of stage train, never the validation images. Stages train and retrain
        begin with the parameters that it leaves, a fresh optimiser and the first draws.
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
        """One pass of a layer over the unlabelled images in a random order that follows from seed and epoch."""
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
        """Images, corrupted and reconstructed with the parameters that stage pretrain left, see `Pretraining`.

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
