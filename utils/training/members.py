"""Several networks trained side by side and combined: what the thesis calls "real dropout" (3.4.1, 6.2).

===================  ==============================================================
`Members`            the networks as one layer: the mean of their logits
`MemberFunctions`    its compiled functions; a training step trains all networks
`functions_of`       the compiled functions of one or several networks
`errors_of_members`  test errors of each network alone
`portions`           the rows of the training images for each network
===================  ==============================================================

Each network has its own initial weights, order of images, dropout, noise and augmentation. Member m, counted from 0,
is the network that an experiment with ``seed + m`` would train on the same portion of the images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import backend
from utils.layer import Layer
from utils.training.functions import MOST_STEPS, Functions
from utils.training.inference import test_errors, test_outputs
from utils.training.settings import Settings

if TYPE_CHECKING:
    from utils.annotations import Dataset, Shared, Subset, Tensor
    from utils.layer import Phase


class Members(Layer):
    """Networks of one class, combined by the mean of their logits (n, n_classes).

    The predicted class has the largest sum of logits, as in the special test. In training, each network has its own
    pass, see `MemberFunctions`.

    Parameters
    ----------
    networks : list of Layer
        At least two networks; each ``network(x, phase)`` gives logits (n, n_classes).
    """

    def __init__(self, networks: Sequence[Any]) -> None:
        self.member = list(networks)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        logits = [network(x, phase) for network in self.member]
        return sum(logits[1:], logits[0]) * np.asarray(1 / len(logits), logits[0].dtype)


def member_seed(seed: int, member: int) -> int:
    """The seed of a member, counted from 0."""
    return (seed + member) % 2**32


class MemberFunctions(Functions):
    """`Functions` of `Members`.

    `train` takes the minibatches of all k networks, with a first axis (k,), and returns the means of their costs and
    cross-entropies; one compiled function trains all networks. The other functions are those of the combined networks.

    Attributes
    ----------
    members : list of Functions
        Functions of each network alone, compiled on first use.
    """

    def __init__(
        self, network: Members, im_dim: tuple[int, int], settings: Settings | None = None, **others: Any
    ) -> None:
        settings = settings or Settings()
        self.members = [
            Functions(one, im_dim, replace(settings, seed=member_seed(settings.seed, m)), **others)
            for m, one in enumerate(network.member)
        ]
        super().__init__(network, im_dim, settings, **others)
        for one in self.members:
            one.rate, one.counter, one.epoch, one.soft = self.rate, self.counter, self.epoch, self.soft

    def resize(self, height: int | None) -> None:
        for one in self.members:
            one.resize(height)
        if self.size != self.members[0].size:
            self.size = self.members[0].size
            for name in ('train', 'train_many', '_steps', 'state'):
                self.__dict__.pop(name, None)

    def check(self) -> None:
        self.members[0].check()
        self._testing  # noqa: B018

    @cached_property
    def state(self) -> dict[str, Shared]:  # type: ignore[override]
        return {f'member{m}.{name}': p for m, one in enumerate(self.members) for name, p in one.state.items()}

    @cached_property
    def _steps(self) -> Callable[[int], Any]:
        first = self.members[0]
        own = {
            getattr(first, group)[name]: [getattr(one, group)[name] for one in self.members]
            for group in ('parameters', 'state')
            for name in getattr(first, group)
        } | {first.seed: [one.seed for one in self.members]}
        return lambda most: backend.StepsPerExecution(first.train, most, own)

    @cached_property
    def train(self) -> Any:
        """(rows (k, batch_size) or (images, labels), weights) -> mean cost, mean cross-entropy."""
        once = self._steps(1)
        return lambda *given: [v[0].mean() for v in once(*(v[None] for v in given))]

    @cached_property
    def train_many(self) -> Any:
        """(rows (steps, k, batch_size), weights) -> mean costs (steps,), mean cross-entropies (steps,)."""
        many = self._steps(MOST_STEPS)
        return lambda *given: [v.mean(axis=1) for v in many(*given)]

    def release(self) -> None:
        super().release()
        for one in self.members:
            one.release()


def functions_of(network: Any, im_dim: tuple[int, int], settings: Settings | None = None, **others: Any) -> Functions:
    """Make the `Functions` of a network or the `MemberFunctions` of `Members`; arguments as of `Functions`."""
    return (MemberFunctions if isinstance(network, Members) else Functions)(network, im_dim, settings, **others)


def errors_of_members(functions: Functions, data: Dataset, special_test: bool = True) -> list[dict[str, Any]]:
    """Errors of each member, from `test_errors` for 'plain' and 'special'; empty for a single network."""
    return [
        {kind: test_errors(logits, data.test) for kind, logits in test_outputs(one, data, special_test).items()}
        for one in getattr(functions, 'members', ())
    ]


def portions(subset: Subset, training: Subset, settings: Settings, n_members: int) -> list[np.ndarray]:
    """Draw the rows of a subset that each member is trained on, the same number for each.

    All views of an image stay together.

    Parameters
    ----------
    subset : loaders.Subset
        The training images or a part of them.
    training : loaders.Subset
        All training images. A member gets mostly the same images from different parts of them.
    settings : Settings
        Its `portion` and `replacement` are used. With `replacement`, an image may be drawn several times, as in
        bagging [1]_.

    Returns
    -------
    list of int arrays (n,)
        Rows of each member, ascending.

    References
    ----------
    .. [1] Breiman (1996), Bagging Predictors, Machine Learning 24, 123-140.
    """
    if settings.portion == 1 and not settings.replacement:
        return [np.arange(len(subset))] * n_members
    originals, place, views = np.unique(subset.source, return_inverse=True, return_counts=True)
    n = max(1, round(settings.portion * len(originals)))
    by_image = np.split(np.argsort(place, kind='stable'), np.cumsum(views)[:-1])
    out = []
    for m in range(n_members):
        rng = np.random.default_rng([member_seed(settings.seed, m), 0xB466])
        if settings.replacement:
            chosen = rng.integers(len(originals), size=n)
        else:
            everything = np.unique(training.source)
            chosen = np.argsort(rng.random(len(everything))[np.searchsorted(everything, originals)])[:n]
        out.append(np.sort(np.concatenate([by_image[k] for k in chosen])))
    shortest = min(map(len, out))  # lengths differ if images have different numbers of views
    return [rows[:shortest] for rows in out]
