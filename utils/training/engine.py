"""Trains a network for single epochs on subsets of a data set; saves and restores its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from utils import backend
from utils.layer import fit, parameters
from utils.training import resizing, schedules, stages, steps
from utils.training.balance import balanced_rows, class_weights
from utils.training.batches import to_device
from utils.training.graph_checks import check_outputs, is_ours
from utils.training.inference import compute_logits, measure_statistics, test_errors
from utils.training.members import MemberFunctions, functions_of, member_seed, portions
from utils.training.reporter import NullReporter
from utils.training.rules import RULES, best_epoch
from utils.training.settings import Settings
from utils.training.stages import STAGES
from utils.training.state import Resumable
from utils.training.targets import Targets

if TYPE_CHECKING:
    from utils.annotations import Dataset


FITTED = 2000  # most images that layers are fitted to


class Engine(Resumable):
    """Single epochs of a network on a data set, and everything needed to resume. `Trainer` adds the stages."""

    ROW = (
        'stage',
        'epoch',
        'rate',
        'train_cost',
        'train_cross_entropy',
        'validation_error',
        'validation_cross_entropy',
        'test_error',
        'images',
        'seconds',
    )

    def __init__(
        self,
        make_network: Callable[..., Any],
        data: Dataset,
        settings: Settings | None = None,
        *,
        reporter: Any = None,
        checkpoint: Any = None,
        teacher: Any = None,
    ) -> None:
        self.data, self.settings = data, settings or Settings()
        self.reporter, self.checkpoint = reporter or NullReporter(), checkpoint
        self._check_data()
        self.targets = Targets(data, self.settings, teacher)
        self.make_network = lambda: self._fitted(make_network(np.random.default_rng(self.settings.seed)))
        self.functions = functions_of(
            self.make_network(),
            data.shape,
            self.settings,
            n_classes=len(data.classes),
            resident=(
                to_device(data.training, backend.n_devices(self.settings.devices, self.settings.batch_size))
                if self.settings.trainShared
                else None
            ),
            class_weights=(
                class_weights(data.training.y, len(data.classes)) if self.settings.balance == 'weights' else None
            ),
            onlooker=self.targets.onlooker(),
        )
        self.functions.check()
        self.stage, self.epoch, self.history = stages.names(self.settings)[0], 0, []
        self.best_arrays = self.trained = None
        # On a GPU, a step takes less time than its call in Python; on a CPU it does not.
        self.many_steps = self.settings.trainShared and backend.device_name() != 'cpu'
        self._measured, self._compiled = False, None
        self._fresh = {f'optimiser/{name}': np.array(p.get_value()) for name, p in self.functions.state.items()}
        self.last = self.state()

    def _fitted(self, network):
        """Fit to training images those layers of the network that need it for their initialisation."""
        subset = self.data.reduced_training if self.settings.val else self.data.training

        def images():
            rows = np.random.default_rng(0xF17).permutation(len(subset))[:FITTED]
            return subset.images(np.sort(rows))[..., None].astype(np.float32) / 255

        fit(network, images)
        return network

    def _check_data(self):
        data, val, batch_size = self.data, self.settings.val, self.settings.batch_size
        if val and data.validation is None:
            raise ValueError(
                f'val=True needs validation images, but {data.path} has none: make the set with some '
                '(python -m loaders ... --validation N) or pass val=False'
            )
        smallest = data.reduced_training if val else data.training
        n = len(portions(smallest, data.training, self.settings, 1)[0])
        if not 1 <= batch_size <= n:
            part = f'{self.settings.portion:g} of ' if n < len(smallest) else ''
            raise ValueError(
                f'batch_size must lie between 1 and the {n} images of {part}the {smallest.name} set, got {batch_size}'
            )

    def release(self) -> None:
        """Release the memory on the device: images, parameters, compiled functions. The engine is unusable then."""
        self.functions.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        self.release()

    # ------------------------------------------------------------------------------------- epochs

    def _end_stage(self):
        self.stage, self.epoch = stages.after(self.stage, self.settings), 0
        self._checkpoint()

    def _checkpoint(self):
        self.last = self.state()
        if self.checkpoint:
            self.checkpoint(self)

    def _start_again(self):
        """Reset the parameters to their initial values, the optimiser, and the draw counter to zero."""
        fresh = self._initial()
        averaged = {  # with a moving average, the trained parameters start as those of the network
            path: fresh[f'parameters/{path.removeprefix("optimiser/trained.")}']
            for path in self._fresh
            if self.settings.ema_decay and path.startswith('optimiser/trained.')
        }
        self.set_arrays({**fresh, **self._fresh, **averaged, 'counter': np.zeros(())})

    def _initial(self):
        """The parameters of a freshly made network, by path."""
        return {f'parameters/{name}': p.get_value() for name, p in parameters(self.make_network()).items()}

    def _trained_rows(self):
        return self._rows('train')

    def _rows(self, stage):
        return [row for row in self.history if row['stage'] == stage]

    def _rate(self, epoch, n_epochs):
        """Learning rate of stage train after `epoch` of its epochs."""
        settings, rows = self.settings, self._trained_rows()[:epoch]
        figures = [row[RULES[settings.rule].key] for row in rows] if settings.val else []
        return float(settings.learning_rate * schedules.factor(settings.schedule, epoch, n_epochs, figures))

    def _height(self, epoch, n_epochs):
        """Height of the images in an epoch of stage train, counted from 0; None without progressive sizes."""
        return resizing.height_of_epoch(self.settings.progressive_sizes, epoch, n_epochs)

    def _epochs_before(self):
        """Epochs that the parameters have been trained for; in stage anneal with those of the stage it continues."""
        if not STAGES[self.stage].follows:
            return self.epoch
        retrained = sum(row['stage'] == 'retrain' for row in self.history)
        best = best_epoch(self.history, self.settings.rule)['epoch'] if self.settings.val else len(self._trained_rows())
        return (retrained or best) + self.epoch

    def _measure(self, subset):
        if not self._measured:
            measure_statistics(self.functions, subset, self.settings.statistics_images, self.settings.seed)
            self._measured = True
            for name, p in self.functions.parameters.items():
                if not p.tag.trainable and not np.isfinite(p.get_value(borrow=True)).all():
                    self._diverged(f'{name} is not finite')

    def _epoch(self, subset, rate, n_epochs, height=None):
        """Train for one pass over a subset, in a random order derived from seed, stage and epoch."""
        f = self.functions
        self.targets.put(f, subset)
        f.rate.set_value(np.float32(rate))
        f.epoch.set_value(np.uint32(self._epochs_before()))
        f.resize(height)
        full = resizing.full_size(self.settings, f.im_dim)
        order = self._order(subset)
        self.reporter.epoch_begins(self.stage, self.epoch + 1, n_epochs, order.size)
        if not self.history:
            self._look_at_outputs(subset.images(np.atleast_2d(order)[0, : f.batch_size]))
        start = time.perf_counter()
        if self._compiled != (f.size or full):
            small = f' for images of {f.size[0]}x{f.size[1]} pixels' if f.size else ''
            self.reporter.compiling('training step' + small)
            self._compiled = f.size or full
        if self.many_steps and f.takes_rows_of(subset):
            values, counts = steps.train_many(f, subset, order, self.reporter)
        else:
            values, counts = self._train_each(subset, order)
        self._measured = False
        self._check_costs(values)
        self._check_arrays(len(values))
        cost, entropy = np.average(values, axis=0, weights=counts)
        return {
            'stage': self.stage,
            'epoch': self.epoch + 1,
            'rate': rate,
            'train_cost': float(cost),
            'train_cross_entropy': float(entropy),
            'validation_error': None,
            'validation_cross_entropy': None,
            'test_error': None,
            'images': order.size,
            'seconds': time.perf_counter() - start,
            **({'size': height or full[0]} if self.settings.progressive_sizes else {}),
        }

    def _order(self, subset):
        """Rows of a subset in the order of an epoch, (n,); with k members (k, n), one order for each."""

        def drawn(seed, rows):
            rng = np.random.default_rng([seed, STAGES[self.stage].order_seed, self.epoch])
            return rows[balanced_rows(rng, subset.y[rows])] if balanced else rng.permutation(rows)

        balanced, seed = self.settings.balance == 'sampling', self.settings.seed
        if not isinstance(self.functions, MemberFunctions):
            return drawn(seed, np.arange(len(subset)))
        rows = portions(subset, self.data.training, self.settings, len(self.functions.members))
        return np.stack([drawn(member_seed(seed, m), own) for m, own in enumerate(rows)])

    def _look_at_outputs(self, images):
        """Refuse outputs of another shape than the graph declares, and warn if they look like probabilities.

        Networks of symfer's own layers skip this check, which would compile the test function before the first step.
        """
        f = self.functions
        if is_ours(f.network):
            return
        outputs = np.asarray(f.test(images))
        check_outputs(f.network, f.outputs, 'an array', outputs.shape, outputs.dtype)
        if ((outputs >= 0) & (outputs <= 1)).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
            self.reporter.warn(
                "the network's outputs look like probabilities: return logits, the cost applies the softmax"
            )

    def _train_each(self, subset, order):
        return steps.train_each(self.functions, subset, order, self.reporter)

    def _check_costs(self, values):
        """Raise FloatingPointError if a training cost or cross-entropy (minibatches, 2) is infinite or NaN."""
        if not np.isfinite(values).all():
            self._diverged(
                'the training cost is not finite', int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0]) + 1
            )

    def _check_arrays(self, batch):
        """Raise FloatingPointError if a parameter is infinite or NaN after minibatch number `batch`."""
        bad = [path for path, p in self._targets().items() if not np.isfinite(p.get_value(borrow=True)).all()]
        if bad:
            self._diverged(f'{bad[0].partition("/")[2]} is not finite', batch)

    def _diverged(self, what, batch=None):
        where = f'minibatch {batch} of epoch {self.epoch + 1}' if batch else f'epoch {self.epoch + 1}'
        name = 'learning_rate of pretrain_args' if self.stage == 'pretrain' else 'learning_rate'
        raise FloatingPointError(
            f'{what} since {where} of stage {self.stage}: try a {name} below '
            f'{float(self.functions.rate.get_value()):g}, or batch_norm=True'
        )

    def _end_epoch(self, row, subset):
        if self.settings.show_test:
            self._measure(subset)
            outputs = compute_logits(self.functions, self.data.test)
            row['test_error'] = test_errors(outputs, self.data.test)['whole']['error']
        self._enter(row)

    def _enter(self, row):
        self.epoch += 1
        self.history.append(row)
        self._checkpoint()
        self.reporter.epoch_ends(row)
