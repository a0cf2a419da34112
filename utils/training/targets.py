"""Soft targets: distributions over the classes from annotators' votes or a teacher, in addition to the labels.

==================  ===========================================================================
`Distillation`      the weight of a teacher's outputs, and their temperature
`SoftTargets`       the distributions of a pass, on the device or with the minibatches
`Onlooker`          a teacher that is given the same minibatches as the student
`Targets`           gets soft targets from a data set or a teacher, and passes them to the functions
`distributions`     the distributions of a subset
==================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from utils import backend
from utils.layer import Phase, parameters

if TYPE_CHECKING:
    from utils.annotations import Dataset, Shared, Subset, Tensor
    from utils.training.batches import DeviceData
    from utils.training.functions import Functions
    from utils.training.settings import Settings


@dataclass(frozen=True)
class Distillation:
    """Settings of learning from the outputs of a teacher [1]_.

    Attributes
    ----------
    weight : float in [0, 1]
        Weight of the teacher's outputs in the cost; the labels have 1 minus it.
    temperature : float in [0.01, 1000]
        Divisor of the logits of teacher and student before the softmax.
    augmented : bool
        Whether the teacher is given the same augmented images as the student, see `Onlooker`; otherwise it is given the
        unaugmented ones.

    Raises
    ------
    ValueError
        If a value is out of its range.

    References
    ----------
    .. [1] Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Neural Network, arXiv 1503.02531, section 2.
    """

    weight: float = 0.9
    temperature: float = 4.0
    augmented: bool = False

    def __post_init__(self):
        if not isinstance(self.augmented, bool):
            raise ValueError(f'teacher_args: augmented must be True or False, got {self.augmented!r}')
        for name, wanted, good in (
            ('weight', 'a number from 0 to 1', lambda value: 0 <= value <= 1),
            ('temperature', 'a number from 0.01 to 1000', lambda value: 0.01 <= value <= 1000),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not good(value):
                raise ValueError(f'teacher_args: {name} must be {wanted}, got {value!r}')


class SoftTargets:
    """The distributions that a training step takes, by kind: 'votes', 'teacher'.

    Parameters
    ----------
    kinds : sequence of str
    n_classes : int
    batch_size : int
    resident : DeviceData, optional
        The subset on the device. The distributions are then on the device too; otherwise they come with each minibatch.
    """

    def __init__(
        self, kinds: Sequence[str], n_classes: int | None, batch_size: int, resident: DeviceData | None = None
    ) -> None:
        self.kinds, self.shape = tuple(kinds), (batch_size, n_classes)
        self.shared: dict[str, Shared] | None = None
        self.streamed: list[np.ndarray] = []
        if resident:
            unknown = np.full((resident.y.type.shape[0], n_classes or 0), np.nan, np.float32)
            self.shared = {kind: pytensor.shared(unknown, name=kind, shape=unknown.shape) for kind in self.kinds}

    def symbols(self, rows: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Inputs of a step, and the distributions (batch_size, n_classes) of its minibatch by kind.

        Parameters
        ----------
        rows : tensor (batch_size,)
            Rows of the subset on the device, if there is one.
        """
        if self.shared is not None:
            return [], {kind: shared[rows] for kind, shared in self.shared.items()}
        inputs = {kind: pt.tensor(kind, dtype='float32', shape=self.shape) for kind in self.kinds}
        return list(inputs.values()), inputs

    def put(self, arrays: dict[str, np.ndarray]) -> None:
        """Set the distributions, float32 (rows of the stored subset, n_classes), of the following steps."""
        if self.shared is None:
            self.streamed = [arrays[kind] for kind in self.kinds]
            return
        for kind, shared in self.shared.items():
            backend.to_device(shared, arrays[kind])

    def release(self) -> None:
        """Give back the device's memory."""
        for shared in (self.shared or {}).values():
            backend.release(shared)


class Onlooker:
    """A teacher in the graph of the training step, which is given the same minibatches as the student [1]_.

    Parameters
    ----------
    members : sequence of (Layer, dict of str to array, dict of str to array, float)
        Networks, their parameters of the last and of the best epoch, and the divisors of their logits.

    References
    ----------
    .. [1] Beyer, Zhai, Royer, Markeeva, Anil and Kolesnikov (2022), Knowledge distillation: A good teacher is patient
       and consistent, CVPR, section 3.
    """

    def __init__(self, members: Sequence[tuple[Any, dict[str, np.ndarray], dict[str, np.ndarray], float]]) -> None:
        self.members = members

    def probabilities(self, x: Tensor, temperature: float) -> Tensor:
        """Softmax (n, n_classes) of the mean logits for images (n, h, w, 1), divided by the temperature."""
        n = len(self.members)
        logits = [net(x, Phase()) * np.float32(1 / (n * temperature * scale)) for net, _, _, scale in self.members]
        return pt.special.softmax(sum(logits[1:], logits[0]), axis=1)

    @property
    def shared(self) -> list[Shared]:
        """The parameters of all networks."""
        return [p for net, *_ in self.members for p in parameters(net).values()]

    def put(self, best: bool) -> None:
        """Use the parameters of the best epoch, or the last ones, in the following steps."""
        for net, last, at_best, _ in self.members:
            for name, p in parameters(net).items():
                backend.to_device(p, (at_best if best else last)[name])

    def release(self) -> None:
        """Give back the device's memory."""
        for p in self.shared:
            backend.release(p)


class Targets:
    """Passes soft targets of a data set to a trainer's functions.

    Parameters
    ----------
    data : loaders.Dataset
    settings : Settings
    teacher : callable, optional
        See `utils.training.trainer.Trainer`.

    Raises
    ------
    ValueError
        If the set has no votes or the teacher is missing, though the settings need them.
    """

    def __init__(self, data: Dataset, settings: Settings, teacher: Any = None) -> None:
        self.data, self.settings, self.teacher = data, settings, teacher
        self.subset: Subset | None = None  # whose targets the functions have
        if settings.soft_labels and data.training.soft_labels is None:
            raise ValueError(
                f'soft_labels=True needs the votes of annotators, but {data.path} has none: make the set from a source '
                'that has them (FER+), or leave soft_labels out'
            )
        if settings.distillation and not teacher:
            raise ValueError('distillation needs a teacher')

    def onlooker(self) -> Onlooker | None:
        """The teacher in the graph; None unless it is given the augmented minibatches."""
        augment, distillation = self.settings.augment, self.settings.distillation
        if not (distillation and distillation.augmented):
            return None
        return self.teacher.onlooker(augment.output_size(self.data.shape) if augment else tuple(self.data.shape))

    def put(self, functions: Functions, subset: Subset) -> None:
        """Pass the targets of a subset to the functions, unless they have them already.

        As long as validation images are held out, a teacher uses the parameters of its best epoch.
        """
        if self.subset is subset:
            return
        best, temperature = subset is not self.data.training, getattr(self.settings.distillation, 'temperature', 1.0)
        soft, onlooker = functions.soft, functions.onlooker
        soft.put(distributions(subset, soft.kinds, lambda images: self.teacher(images, best), temperature))
        if onlooker:
            onlooker.put(best)
        self.subset = subset


def distributions(
    subset: Subset, kinds: Sequence[str], teach: Callable[[Subset], np.ndarray] | None, temperature: float
) -> dict[str, Any]:
    """Compute the distributions of a subset by kind, float32 (rows of its base, n_classes).

    Rows outside the subset are NaN, so a step that took one by mistake would end the run.

    Parameters
    ----------
    subset : loaders.Subset
    kinds : sequence of str
    teach : callable
        ``teach(subset)`` returns the teacher's logits (n, n_classes).
    temperature : float
    """
    out = {}
    for kind in kinds:
        values = subset.soft_labels if kind == 'votes' else softmax(teach(subset) / temperature)
        out[kind] = np.full((len(subset.base), values.shape[1]), np.nan, np.float32)
        out[kind][subset.rows] = values
    return out


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax (n, n_classes) of logits, in float64."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True).astype(float))
    return powers / powers.sum(axis=1, keepdims=True)
