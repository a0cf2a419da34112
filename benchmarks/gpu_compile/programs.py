"""The programs to compile: the functions of a network as JAX traces them, with the shapes of their arguments."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytensor.tensor as pt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import cnn
import mlp
from utils import backend
from utils.layer import Phase
from utils.training.augmentation import Augment
from utils.training.batches import to_device
from utils.training.functions import MOST_STEPS, Functions, pixels
from utils.training.members import MemberFunctions, Members
from utils.training.settings import Settings

SIDE, CLASSES, IMAGES, MEMBERS = 48, 7, 1000, 4
NETWORKS = [*cnn.__all__, *mlp.__all__]
# 'members' is only compiled on request.
FUNCTIONS = ('train', 'train_many', 'validate', 'test', 'statistics', 'augment', 'members')
USUAL = FUNCTIONS[:-1]


class Drawn:
    """A subset of noise, for `to_device`."""

    name = 'noise'

    def __init__(self, count: int = IMAGES) -> None:
        rng = np.random.default_rng(0)
        self.x = rng.integers(256, size=(count, SIDE, SIDE), dtype=np.uint8)
        self.y = rng.integers(CLASSES, size=count, dtype=np.uint8)

    def images(self) -> np.ndarray:
        return self.x


class Program(NamedTuple):
    """A jitted function, the arguments of a call, its shared variables, and the axis of the images in the arguments."""

    jitted: Any
    given: list[Any]
    shared: list[Any]
    axis: int | None


def made(network: str, seed: int = 0, **options: Any) -> Any:
    """Make a network by name with the defaults of its class (including dropout), changed by `options`."""
    make = getattr(cnn, network, None) or getattr(mlp, network)
    return make((SIDE, SIDE), CLASSES, rng=np.random.default_rng(seed), **options)


def _of_function(function, axis=0):
    """Program of a PyTensor function."""
    inputs = function.maker.inputs
    given = [np.zeros(i.variable.type.shape, i.variable.type.dtype) for i in inputs if not i.shared]
    return Program(function.vm.jit_fn, given, [place[0] for place in function.vm.inputs[len(given) :]], axis)


def _of_loop(many, function):
    """Program of many steps in one call."""
    runs = (many.most, many.n_members) if many.n_members else (many.most,)
    inputs = [i.variable.type for i in function.maker.inputs if not i.shared]
    given = [np.zeros((*runs, *type_.shape), type_.dtype) for type_ in inputs]
    return Program(many.loop, [np.int32(0), given], list(many.values()), len(runs))


def programs(
    network: str, precision: str = 'float32', batch: int = 100, images: int = IMAGES, **options: Any
) -> dict[str, Callable[[], Program | None]]:
    """Makers of the programs of a network by name; each traces when called and returns None if there is no program."""
    resident = to_device(Drawn(images))
    settings = Settings(batch, precision=precision)
    given = {'resident': resident, 'n_classes': CLASSES}
    f = Functions(made(network, **options), (SIDE, SIDE), settings, **given)

    def augment():
        """All random changes of a minibatch that is selected by rows."""
        layer = Augment(brightness=0.2, contrast=0.2, erase=0.5, mixup=0.2)
        rows = pt.tensor('rows', dtype='int32', shape=(batch,))
        phase = Phase(train=True, seed=f.seed, counter=f.counter)
        outputs = layer.mixed(pixels(resident.x[rows]), phase)
        function = backend.function([rows], list(outputs), precision, updates=phase.updates)
        return _of_function(function)

    def members():
        together = Members([made(network, seed, **options) for seed in range(MEMBERS)])
        several = MemberFunctions(together, (SIDE, SIDE), settings, **given)
        return _of_loop(several._steps(MOST_STEPS), several.members[0].train)

    return {
        'train': lambda: _of_function(f.train),
        'train_many': lambda: _of_loop(f.train_many, f.train),
        'validate': lambda: _of_function(f.validate),
        'test': lambda: _of_function(f.test),
        'statistics': lambda: f.statistics and _of_function(f.statistics),
        'augment': augment,
        'members': members,
    }


def lowered(program: Program, devices: list, batch: int) -> Any:
    """Trace a program for devices; with several, minibatches are divided along their images."""
    mesh = Mesh(np.array(devices), ('images',))

    def described(value, axis=None):
        cut = axis is not None and len(devices) > 1 and np.ndim(value) > axis and np.shape(value)[axis] == batch
        spec = PartitionSpec(*[None] * axis, 'images') if cut else PartitionSpec()
        return jax.ShapeDtypeStruct(np.shape(value), value.dtype, sharding=NamedSharding(mesh, spec))

    given = jax.tree.map(lambda v: described(v, program.axis), program.given)
    return program.jitted.lower(*given, *jax.tree.map(described, program.shared))
