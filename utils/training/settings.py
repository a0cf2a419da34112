"""What training is done with, as one thing that is handed to `Trainer` and `Functions`."""

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
    """Arguments of `launch.test` that training takes as they are; optimiser and schedule with their own bound.

    Attributes
    ----------
    batch_size : int
        Images per minibatch; fixed in the graph.
    learning_rate : float
    L1_reg, L2_reg : float
        Factors of the sums of absolute values and of squares of the weights in the cost.
    optimiser : callable
        ``optimiser(gradients, parameters, rate) -> (updates, state)``, see `utils.training.optimisers`.
    schedule : callable
        ``schedule(epoch, n_epochs, figures) -> factor`` on the learning rate, see `utils.training.schedules`. Stage
        retrain has the rates that stage train had, epoch by epoch.
    augment : Augment, optional
        Random changes of the training images.
    precision : {'float32', 'tf32', 'bf16'}
        Of convolutions and products, see `utils.backend.mode`.
    devices : int, optional
        That compute each minibatch together, see `utils.backend.n_devices`.
    loss : {'nll', 'l2svm'}
        See `utils.training.losses`. Rows of the history have its means as their cross-entropies.
    soft_labels : bool
        The cost goes by the distribution of the annotators' votes, `Subset.soft_labels`; validation by the labels.
    distillation : Distillation, optional
        How the outputs of a teacher count in the cost, see `utils.training.targets`.
    label_smoothing : float in [0, 1)
        See `utils.training.losses.smoothed`; of the cost, while the cross-entropy is that of the labels as they are.
    balance : {'none', 'weights', 'sampling'}
        See `utils.training.balance`; of the cost, while the cross-entropy is that of the images as they are.
    portion : float in (0, 1]
        Part of the training images that each of several networks is given, see `utils.training.members`.
    replacement : bool
        Whether it is drawn with replacement.
    ema_decay : float in [0, 1)
        Decay of the moving average of the trained parameters that the network is, see
        `utils.training.optimisers.averaged`; 0: the network is what is trained.
    seed : int
        Of weights, order of images, dropout and noise, 0 to 2**32 - 1.
    val : bool
        Train without the validation images and validate after each epoch.
    rule : {'entropy', 'error'}
        Which epoch is kept, see `utils.training.rules`.
    trainShared : bool
        Keep the training images on the device, or read minibatches from the file as they are needed.
    progressive_sizes : sequence of int
        Heights of the images in stage train, in turn, see `utils.training.resizing`; none: their own.
    statistics_images : int
        Sample size of `utils.training.inference.measure_statistics`.
    show_test : bool
        Also write down the test error of each epoch (it chooses nothing).
    pretrain_epochs : int
        Epochs of stage pretrain for each layer; 0 leaves it out.
    pretrain_args : dict
        Its settings, the arguments of `utils.training.autoencoders.Denoising`.

    Raises
    ------
    ValueError
        Another rule, loss or way to balance; smoothed or soft labels of a loss that has none; wrong settings of stage
        pretrain.
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
                raise ValueError(f"{name} is of loss 'nll', got {self.loss!r}: leave it out")
        if self.balance not in METHODS:
            raise ValueError(f'balance must be one of {", ".join(map(repr, METHODS))}, got {self.balance!r}')
        self.denoising  # noqa: B018  (refuses wrong ones)

    @property
    def soft_targets(self) -> tuple[str, ...]:
        """Kinds of distributions over the classes that images have as targets: 'votes', 'teacher'."""
        taught = self.distillation and not self.distillation.augmented
        return (('votes',) if self.soft_labels else ()) + (('teacher',) if taught else ())

    @cached_property
    def denoising(self) -> Denoising:
        """The settings of stage pretrain."""
        return Denoising(**self.pretrain_args)
