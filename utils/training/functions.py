"""The compiled functions of a network: train, validate, test, test_view and statistics."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from utils import backend, ops
from utils.layer import Phase, parameters
from utils.training import graph_checks, losses, optimisers, resizing
from utils.training.mixing import partner
from utils.training.settings import Settings
from utils.training.targets import SoftTargets
from utils.training.warping import warp

if TYPE_CHECKING:
    from utils.annotations import Shared, Subset, Tensor
    from utils.training.batches import DeviceData
    from utils.training.targets import Onlooker


MOST_STEPS = 256  # in one call of `train_many`


def pixels(x: Tensor) -> Tensor:
    """Convert images to the input of networks: (n, h, w) uint8 -> (n, h, w, 1) float32 in [0, 1]."""
    return (x.astype('float32') * np.float32(1 / 255)).dimshuffle(0, 1, 2, 'x')


class Functions:
    """Compiled functions of one network; each is compiled on first use.

    Parameters
    ----------
    network : Layer
        ``network(x, phase)`` gives logits (n, n_classes) for images x (n, h, w, 1) in [0, 1].
    im_dim : (int, int)
        Height and width of the images.
    settings : Settings, optional
        Settings of training; those of the optimiser are only used for a training step.
    resident : DeviceData, optional
        A stored subset on the device, from `to_device`. Then `train`, `validate` and `statistics` take rows
        of it, otherwise the images (and labels) themselves.
    n_classes : int, optional
        Number of logits that the network must have for each image; by default any number.
    class_weights : array (n_classes,), optional
        Factors on the costs of the images, by class.
    onlooker : Onlooker, optional
        A teacher that is given the same minibatches as the network, for `Distillation.augmented`.

    Attributes
    ----------
    rate, seed, counter, epoch : shared scalars
        Learning rate (float32); seed, draw counter, number of previous epochs (uint32).
    size : (int, int) or None
        Height and width to which `train` resizes its images; None leaves them.
    devices : int
        Number of devices that compute a minibatch together, each a part of its images.
    parameters, state : dict of str to shared variable
        Parameters of the network and state of the optimiser.
    soft : SoftTargets
        Distributions over the classes that `train` takes in addition to the labels; none by default.

    Raises
    ------
    ValueError
        When a graph is built, by `check` or on first use of a function: if the outputs have another shape or type, a
        shared variable is no parameter of the network, or training does not use a trainable parameter.
    """

    def __init__(
        self,
        network: Any,
        im_dim: tuple[int, int],
        settings: Settings | None = None,
        *,
        resident: DeviceData | None = None,
        n_classes: int | None = None,
        class_weights: np.ndarray | None = None,
        onlooker: Onlooker | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.network, self.im_dim, self.batch_size = network, tuple(im_dim), self.settings.batch_size
        self.resident, self.n_classes, self.class_weights = resident, n_classes, class_weights
        self.onlooker = onlooker
        self.soft = SoftTargets(self.settings.soft_targets, n_classes, self.batch_size, resident)
        backend.mode(self.settings.precision)  # refuses others
        self.devices = backend.n_devices(self.settings.devices, self.batch_size)
        self.rate = pytensor.shared(np.float32(self.settings.learning_rate), name='learning_rate')
        self.seed = pytensor.shared(np.uint32(self.settings.seed), name='seed')
        self.counter = pytensor.shared(np.uint32(0), name='counter')
        self.epoch = pytensor.shared(np.uint32(0), name='epoch')
        self.size = None
        self.parameters = parameters(network)
        for name, p in self.parameters.items():
            p.name = name  # for PyTensor's error messages
        backend.assign(self._placed(), self.devices)
        for p in self.parameters.values():
            backend.to_device(p, p.get_value(borrow=True))  # otherwise every call would transfer it

    def _placed(self):
        """Shared variables that are stored on every device, except those of the optimiser."""
        taught = self.onlooker.shared if self.onlooker else []
        return [*self.parameters.values(), *(self.soft.shared or {}).values(), *taught]

    @property
    def identified(self) -> bool:
        """Whether `train` takes row numbers in addition to images that are not on the device."""
        return bool(self.settings.augment and self.settings.augment.alternate and not self.resident)

    def _minibatch(self, identified=False):
        """Inputs of a function on labelled images, and the symbolic images, labels and rows that follow from them."""
        rows = pt.tensor('rows', dtype='int32', shape=(self.batch_size,))
        if self.resident:
            return [rows], *map(ops.Barrier(), (self.resident.x[rows], self.resident.y[rows])), rows
        x = pt.tensor('x', dtype='uint8', shape=(self.batch_size, *self.im_dim))
        y = pt.tensor('y', dtype='uint8', shape=(self.batch_size,))
        return ([x, y, rows] if identified else [x, y]), *map(ops.Barrier(), (x, y)), rows

    @property
    def outputs(self) -> tuple[int, int | None]:
        """The shape that the logits of a minibatch must have; None matches any size."""
        return self.batch_size, self.n_classes

    def check(self) -> None:
        """Build the graphs of training and testing; nothing is compiled."""
        self._training, self._testing  # noqa: B018
        full = resizing.full_size(self.settings, self.im_dim)
        resizing.check_network(self.network, self.settings.progressive_sizes, full, self._build)

    def _build(self, size):
        x = pt.tensor('x', dtype='float32', shape=(self.batch_size, *size, 1))
        self._logits(x, Phase(train=True, seed=self.seed, counter=self.counter))

    def resize(self, height: int | None) -> None:
        """Resize training images to this height from now on, None for their full size; release the old functions.

        Parameters and the optimiser's state are kept.
        """
        full = resizing.full_size(self.settings, self.im_dim)
        size = None if height in (None, full[0]) else resizing.at_height(height, full)
        if size == self.size:
            return
        before = dict(self.state)
        self.size = size
        for name in ('train', 'train_many', '_training'):
            self.__dict__.pop(name, None)
        for name, p in self.state.items():
            backend.to_device(p, np.array(before[name].get_value(borrow=True)))
            backend.release(before[name])

    def _logits(self, x, phase):
        """The network's logits for images x (batch_size, h, w, 1) in [0, 1]."""
        known = {*self.parameters.values(), self.rate, self.seed, self.counter, self.epoch}
        return graph_checks.logits(self.network, x, phase, known, self.outputs)

    @cached_property
    def _training(self):
        """Inputs, outputs and updates of a training step, and the optimiser's state; not built for testing only."""
        inputs, x, y, rows = self._minibatch(self.identified)
        beside, soft = self.soft.symbols(rows)
        weights = pt.tensor('weights', dtype='float32', shape=(self.batch_size,))
        phase, augment = Phase(train=True, seed=self.seed, counter=self.counter), self.settings.augment
        x, weight = augment.mixed(pixels(x), phase, rows, self.epoch) if augment else (pixels(x), None)
        x = resizing.area_resized(x, self.size) if self.size else x
        logits = self._logits(x, phase)
        own = losses.Labels(y, **soft)
        labels, settings = [own] if weight is None else own.mixed(partner, weight), self.settings
        if self.onlooker and settings.distillation:
            taught = self.onlooker.probabilities(x, settings.distillation.temperature)
            labels = [one._replace(teacher=taught) for one in labels]  # the images are already mixed
        further = settings.label_smoothing, self.class_weights, settings.loss, settings.distillation
        nll, costs = losses.image_costs(logits, labels, *further)
        entropy = losses.weighted_mean(nll, weights)
        cost = entropy if costs is nll else losses.weighted_mean(costs, weights)
        if self.settings.L1_reg:
            cost = cost + np.float32(self.settings.L1_reg) * losses.l1(self.network)
        if self.settings.L2_reg:
            cost = cost + np.float32(self.settings.L2_reg) * losses.l2(self.network)
        for more, share in phase.auxiliary:
            graph_checks.check_outputs(self.network, self.outputs, 'further logits', more.type.shape, more.dtype)
            cost = cost + np.float32(share) * losses.weighted_mean(
                losses.image_costs(more, labels, *further)[1], weights
            )
        trainable, gradients = graph_checks.gradients(
            self.network, cost, [logits, *(more for more, _ in phase.auxiliary)]
        )
        changes, state = optimisers.applied(self.settings.optimiser, gradients, trainable, self.rate)
        outputs, changes = [cost, entropy], {**phase.updates, **changes}
        if self.settings.ema_decay:
            outputs, changes, more = optimisers.averaged(outputs, changes, trainable, self.settings.ema_decay)
            state = {**state, **more}
        backend.assign(state.values(), self.devices)
        return [*inputs, *beside, weights], outputs, changes, state

    @property
    def state(self) -> dict[str, Shared]:
        return self._training[3]

    def takes_rows_of(self, subset: Subset) -> bool:
        """Whether `train`, `validate` and `statistics` take rows of the subset's base instead of images.

        Raises
        ------
        ValueError
            If this subset is no part of the one on the device.
        """
        if self.resident and self.resident.subset is not subset.base:
            raise ValueError(
                f'these functions take rows of the {self.resident.subset.name} set, which is on the '
                f'device; the {subset.name} set is not part of it'
            )
        return self.resident is not None

    def release(self) -> None:
        """Release the memory on the device: resident images, parameters, optimiser state, compiled functions."""
        shared = [*self.parameters.values(), self.rate, self.seed, self.counter, self.epoch]
        shared += (self.resident or ())[:2]
        if '_training' in self.__dict__:
            shared += self.state.values()
        for variable in shared:
            backend.release(variable)
        self.soft.release()
        if self.onlooker:
            self.onlooker.release()
        self.resident = None
        for name in [n for n in self.__dict__ if isinstance(getattr(type(self), n, None), cached_property)]:
            del self.__dict__[name]

    def _function(self, inputs, outputs, **kwargs):
        return backend.function(inputs, outputs, self.settings.precision, self.devices, stored=True, **kwargs)

    @cached_property
    def train(self) -> Any:
        """One step of the optimiser: (rows or (images, labels, soft targets), weights) -> cost, cross-entropy.

        With `identified`, rows follow the labels.
        """
        inputs, outputs, changes, _ = self._training
        return self._function(inputs, outputs, updates=changes, name='train')

    @cached_property
    def train_many(self) -> Any:
        """Many steps per call: (rows (k, batch_size), weights (k, batch_size)) -> costs (k,), cross-entropies (k,)."""
        return backend.StepsPerExecution(self.train, MOST_STEPS)

    @cached_property
    def validate(self) -> Any:
        """(rows or (images, labels), weights) -> sum of losses, number of errors."""
        inputs, x, y, _ = self._minibatch()
        weights = pt.tensor('weights', dtype='float32', shape=(self.batch_size,))
        logits = self._logits(pixels(x), Phase())
        sums = [
            losses.total(losses.LOSSES[self.settings.loss](logits, y), weights),
            losses.total(losses.errors(logits, y), weights),
        ]
        return self._function([*inputs, weights], sums, name='validate')

    @cached_property
    def _testing(self):
        x = pt.tensor('x', dtype='uint8', shape=(self.batch_size, *self.im_dim))
        return x, self._logits(pixels(x), Phase())

    @cached_property
    def test(self) -> Any:
        """Images (batch_size, h, w) uint8 -> logits (batch_size, n_classes)."""
        x, logits = self._testing
        return self._function([x], logits, name='test')

    @cached_property
    def test_view(self) -> Any:
        """Logits for a view: (images, mirror, down, right, angle, zoom) -> logits, see `warp`.

        Shifts are fractions of the height and the width.
        """
        x = pt.tensor('x', dtype='uint8', shape=(self.batch_size, *self.im_dim))
        mirror, down, right, angle, zoom = view = pt.fscalars('mirror', 'down', 'right', 'angle', 'zoom')
        height, width = self.im_dim
        moved = warp(pixels(x), mirror, down * np.float32(height), right * np.float32(width), angle, zoom)
        return self._function([x, *view], self._logits(moved, Phase()), name='test_view')

    @cached_property
    def statistics(self) -> Any:
        """One minibatch of batch norm's population pass: (rows or images, 1 / number of the minibatch, from 1).

        None if the network has no statistics to measure.
        """
        inputs, x, *_ = self._minibatch()
        weight = pt.scalar('weight', dtype='float32')
        phase = Phase(weight=weight)
        self._logits(pixels(x), phase)
        if not phase.updates:
            return None
        return self._function([inputs[0], weight], [], updates=phase.updates, name='statistics')
