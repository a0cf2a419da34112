"""The settings of training, in one object for `Trainer` and `Functions`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from utils.training import optimisers, schedules
from utils.training.augmentation import Augment
from utils.training.autoencoders import Denoising
from utils.training.balance import METHODS
from utils.training.rules import COSTS, RULES
from utils.training.targets import Distillation


@dataclass(frozen=True)
class Settings:
    """Arguments of `launch.test` that training takes unchanged; optimiser and schedule have their arguments bound.

    Attributes
    ----------
    batch_size : int
        Images per minibatch; fixed in the graph.
    learning_rate : float
    L1_reg, L2_reg : float
        Factors in the cost of the sums of absolute values and of squares of the weights.
    optimiser : callable
        ``optimiser(gradients, parameters, rate) -> (updates, state)``, see `utils.training.optimisers`.
    schedule : callable
        ``schedule(epoch, n_epochs, figures) -> factor`` on the learning rate, see `utils.training.schedules`. Stage
        retrain uses the rates of stage train, epoch by epoch.
    augment : Augment, optional
        Random changes of the training images.
    precision : {'float32', 'tf32', 'bf16'}
        Precision of convolutions and matrix products, see `utils.backend.mode`.
    devices : int, optional
        Number of devices that compute each minibatch together, see `utils.backend.n_devices`.
    loss : {'nll', 'l2svm'}
        Loss function, see `utils.training.losses`. The history has its means in the cross-entropy columns.
    soft_labels : bool
        The cost uses the distribution of the annotators' votes, `Subset.soft_labels`; validation uses the labels.
    distillation : Distillation, optional
        Weight and temperature of a teacher's outputs, see `utils.training.targets`.
    label_smoothing : float in [0, 1)
        See `utils.training.losses.smoothed`. It changes the cost, not the cross-entropy.
    balance : {'none', 'weights', 'sampling'}
        See `utils.training.balance`. Weights change the cost, not the cross-entropy.
    portion : float in (0, 1]
        Fraction of the training images that each of several networks trains on, see `utils.training.members`.
    replacement : bool
        Whether these images are drawn with replacement.
    ema_decay : float in [0, 1)
        Decay of the moving average of the trained parameters, which the network then has, see
        `utils.training.optimisers.averaged`. 0: the network has the trained parameters themselves.
    seed : int
        Seed of the weights, the order of images, dropout and noise, 0 to 2**32 - 1.
    val : bool
        Train without the validation images and validate after each epoch.
    rule : {'entropy', 'error'}
        Rule for the epoch to keep, see `utils.training.rules`.
    trainShared : bool
        Keep the training images on the device; otherwise read each minibatch from the file.
    progressive_sizes : sequence of int
        Heights of the images in stage train, one after another, see `utils.training.resizing`; empty: full size.
    statistics_images : int
        Sample size of `utils.training.inference.measure_statistics`.
    show_test : bool
        Also compute the test error after each epoch (it decides nothing).
    pretrain_epochs : int
        Epochs of stage pretrain for each layer; 0 skips it.
    pretrain_args : dict
        Arguments of `utils.training.autoencoders.Denoising` for stage pretrain.

    Raises
    ------
    ValueError
        If rule, loss or balance are unknown, the loss does not support smoothed or soft labels, or the settings of
        stage pretrain are wrong.
    """

    batch_size: int = 100
    learning_rate: float = 0.1
    L1_reg: float = 0.0
    L2_reg: float = 0.0
    optimiser: Callable = optimisers.sgd
    schedule: Callable = schedules.constant
    augment: Augment | None = None
    precision: str = 'float32'
    devices: int | None = None
    loss: str = 'nll'
    soft_labels: bool = False
    distillation: Distillation | None = None
    label_smoothing: float = 0.0
    balance: str = 'none'
    portion: float = 1.0
    replacement: bool = False
    ema_decay: float = 0.0
    seed: int = 0
    val: bool = True
    rule: str = 'entropy'
    trainShared: bool = True
    progressive_sizes: Sequence[int] = ()
    statistics_images: int = 5000
    show_test: bool = False
    pretrain_epochs: int = 0
    pretrain_args: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.rule not in RULES:
            raise ValueError(f'rule must be one of {", ".join(map(repr, RULES))}, got {self.rule!r}')
        if self.loss not in COSTS:
            raise ValueError(f'loss must be one of {", ".join(map(repr, COSTS))}, got {self.loss!r}')
        for name in ('label_smoothing', 'soft_labels', 'distillation'):
            if self.loss != 'nll' and getattr(self, name):
                raise ValueError(f"{name} needs loss 'nll', got {self.loss!r}: leave it out")
        if self.balance not in METHODS:
            raise ValueError(f'balance must be one of {", ".join(map(repr, METHODS))}, got {self.balance!r}')
        self.denoising  # noqa: B018  (validates them)

    @property
    def soft_targets(self) -> tuple[str, ...]:
        """Kinds of soft targets that the images have: 'votes', 'teacher'."""
        taught = self.distillation and not self.distillation.augmented
        return (('votes',) if self.soft_labels else ()) + (('teacher',) if taught else ())

    @cached_property
    def denoising(self) -> Denoising:
        """The settings of stage pretrain."""
        return Denoising(**self.pretrain_args)
