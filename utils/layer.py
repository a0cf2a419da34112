"""Layers: parameters, sub-layers and one call, ``layer(x, phase)``.

================  =============================================================================
`Layer`           base class: a container of parameters and sub-layers
`Phase`           one pass through a network: its mode, random draws and updates
`parameter`       makes a shared variable with tags
`parameters`      all parameters of a layer by name; names come from attributes
`sublayers`       all layers inside a layer by name
`fit`             initialises parameters that depend on the data
`other_names`     further names of parameters and layers that are reachable in several ways
`attributes`      the attributes of a layer; `entries`: the entries of lists, tuples and dicts
`output_shape`    output shape of a part of a network, read from its graph
`n_features`      number of outputs of a part of a network
================  =============================================================================
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from utils import ops

if TYPE_CHECKING:
    from utils.annotations import Shared, Tensor


def parameter(value: Any, *, trainable: bool = True, regularizable: bool = False, rate: float = 1.0) -> Shared:
    """Make a shared variable of static shape.

    Parameters
    ----------
    value : array_like
        Initial value, converted to `floatX`.
    trainable : bool
        Whether the optimiser updates the parameter; False, for example, for batch norm's statistics.
    regularizable : bool
        Whether L1 and L2 terms include the parameter: True for weights, False for biases.
    rate : float
        Factor of the learning rate of the parameter.

    Returns
    -------
    shared variable
        Parameter, with the tags `trainable`, `regularizable` and `rate`.
    """
    value = np.asarray(value, dtype=pytensor.config.floatX)
    shared = pytensor.shared(value, shape=value.shape)
    shared.tag.trainable, shared.tag.regularizable, shared.tag.rate = trainable, regularizable, float(rate)
    return shared


class Layer:
    """A layer: `__init__` makes parameters and sub-layers as attributes, and `__call__` returns an expression.

    ``layer(x, phase)`` depends only on its arguments and parameters. Whatever changes when the compiled function runs
    is added to ``phase.updates``. A layer whose initial parameters depend on the data has a method ``fit(images)``,
    which is called with training images (n, h, w, 1) in [0, 1] before the first epoch; see `fit`.
    """

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        raise NotImplementedError(f'{type(self).__name__} must define __call__(self, x, phase)')


def attributes(layer: Layer) -> Iterator[Any]:
    """Yield the names and values of a layer's attributes; those in `__slots__` come first."""
    for cls in reversed(type(layer).__mro__):
        slots = vars(cls).get('__slots__', ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name.startswith('__') and not name.endswith('__'):
                name = f'_{cls.__name__.lstrip("_")}{name}'
            if name not in ('__dict__', '__weakref__') and hasattr(layer, name):
                yield name, getattr(layer, name)
    yield from vars(layer).items()


def entries(name: str, value: Any, _within: Sequence[Any] = ()) -> Iterator[Any]:
    """Yield the names and entries of a list, tuple or dict, recursively; any other value is the only entry.

    Entries of a list are numbered: ``conv0``, or ``conv0.1`` in a nested list. Entries of a dict have their key:
    ``conv.first``.
    """
    if not isinstance(value, (list, tuple, dict)):
        yield name, value
    elif not any(value is outer for outer in _within):
        dot = '.' if isinstance(value, dict) or (_within and not isinstance(_within[-1], dict)) else ''
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from entries(f'{name}{dot}{key}', entry, (*_within, value))


def _walk(layer):
    """Return the parameters and layers inside a layer by their first names, and the first names by further names."""
    found, others, first = {}, {}, {id(layer): ''}

    def visit(owner, prefix):
        for attribute, value in attributes(owner):
            for path, item in entries(prefix + attribute, value):
                if not isinstance(item, (Layer, pytensor.compile.SharedVariable)):
                    continue
                if id(item) in first:
                    others[path] = first[id(item)]
                    continue
                if path in found or '/' in path or not path.isprintable():
                    what = 'is the name of two parts' if path in found else 'cannot be saved as a name'
                    raise ValueError(f'{path!r} {what} of layer {type(layer).__name__}: rename an attribute or a key')
                first[id(item)], found[path] = path, item
                if isinstance(item, Layer):
                    visit(item, path + '.')

    visit(layer, '')
    return found, others


def parameters(layer: Any, *, trainable: Any = None, regularizable: Any = None) -> dict[str, Shared]:
    """Return all parameters of a layer and the layers inside it by name.

    A name is a path of attributes, such as ``conv1.norm.gamma``. Entries of a list are numbered, as in ``hidden0.W``,
    and entries of a dict have their key, see `entries`. The order is that of the attributes. A parameter that is
    reachable in several ways is included once, under its first name.

    Parameters
    ----------
    layer : Layer
        Layer or network.
    trainable, regularizable : bool, optional
        Values of these tags to which the parameters are restricted.

    Returns
    -------
    dict of str to shared variable
        Parameters by name.

    Raises
    ------
    ValueError
        A shared variable was not made by `parameter`.
    """
    found = {name: p for name, p in _walk(layer)[0].items() if not isinstance(p, Layer)}
    others = [name for name, p in found.items() if not {'trainable', 'regularizable'} <= set(vars(p.tag))]
    if others:
        raise ValueError(
            f'shared variables of layer {type(layer).__name__} must be made by utils.layer.parameter('
            f'value, trainable=..., regularizable=...), but these are not: {listed(others)}'
        )
    return {
        name: p
        for name, p in found.items()
        if trainable in (None, p.tag.trainable) and regularizable in (None, p.tag.regularizable)
    }


def sublayers(layer: Layer, kind: Any = Layer) -> dict[str, Layer]:
    """Return all layers of a class (or classes) inside a layer by name, each once, in the order of the attributes."""
    return {name: item for name, item in _walk(layer)[0].items() if isinstance(item, Layer) and isinstance(item, kind)}


def fit(network: Layer, images: Callable[[], np.ndarray]) -> None:
    """Call the method ``fit`` of all layers that have one with ``images()``, training images (n, h, w, 1) in [0, 1].

    The images are computed only if there is such a layer.
    """
    layers = [layer for layer in [network, *sublayers(network).values()] if hasattr(layer, 'fit')]
    if layers:
        given = images()
        for layer in layers:
            layer.fit(given)


def other_names(layer: Any) -> dict[Any, Any]:
    """Return the further names of parameters and layers that are reachable in several ways, with their first names."""
    return _walk(layer)[1]


def listed(names: Sequence[str], most: int = 8) -> str:
    """List names for an error message: all of them, or the first `most` and the number of the others."""
    names = list(names)
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')


class Phase:
    """One pass through a network.

    Parameters
    ----------
    train : bool
        Whether this is a training pass, with minibatch statistics, dropout masks and noise. Otherwise it is inference.
    seed, counter : shared uint32 scalars, optional
        Seed and counter of the random draws of a training pass. The counter grows by one whenever the compiled function
        runs, and must be saved to resume the draws.
    weight : float32 scalar expression, optional
        Weight with which a pass that measures batch norm's population statistics enters their running mean: 1 / k in
        the k-th minibatch gives the mean over all minibatches.

    Attributes
    ----------
    updates : dict
        Updates for ``pytensor.function(updates=...)``, to which layers add theirs.
    auxiliary : list of (tensor, float)
        Logits of auxiliary classifiers and the weights of their costs, see `add_logits`.
    """

    def __init__(
        self, train: bool = False, *, seed: int | None = None, counter: Shared | None = None, weight: Any = None
    ) -> None:
        if train and weight is not None:
            raise ValueError('a pass either trains or measures statistics')
        self.train, self.weight, self.streams, self.updates = bool(train), weight, 0, {}
        self.auxiliary: list[tuple[Tensor, float]] = []
        if train:
            self.seed = pytensor.shared(np.uint32(0)) if seed is None else seed
            self.counter = pytensor.shared(np.uint32(0)) if counter is None else counter
            self.updates[self.counter] = self.counter + np.uint32(1)

    @property
    def share(self) -> Any:
        warnings.warn('Phase.share is now Phase.weight', FutureWarning, stacklevel=2)
        return self.weight

    def _draw(self, draw, x):
        if not self.train:
            raise ValueError('only a training pass draws random numbers')
        if None in x.type.shape:
            raise ValueError(f'draws need a static shape, got {x.type}')
        self.streams += 1
        return draw(x.type.shape, self.seed, self.counter, self.streams).astype(x.dtype)

    def add_logits(self, logits: Tensor, weight: float) -> None:
        """Add the cost of further logits (n, n_classes), times a weight, to the cost of a training pass.

        Layers that only these logits depend on are trained, but are not part of the network at inference.
        """
        self.auxiliary.append((logits, float(weight)))

    def uniform(self, x: Tensor) -> Tensor:
        """Draw uniformly from [0, 1), in the shape of `x`; each call has its own stream."""
        return self._draw(ops.uniform, x)

    def normal(self, x: Tensor) -> Tensor:
        """Draw normally with mean 0 and variance 1, in the shape of `x`; each call has its own stream."""
        return self._draw(ops.normal, x)


def output_shape(part: Callable[..., Any], im_dim: tuple[int, int], n_channels: int = 1) -> tuple[int, ...]:
    """Return the output shape of a part of a network for one image, read from the graph of a dummy input.

    Parameters
    ----------
    part : Layer or callable
        Layer, or method of a network such as `features`, that is called as ``part(x, phase)``.
    im_dim : (int, int)
        Height and width of the input images.
    n_channels : int
        Number of channels of the input images; 1 for grey.

    Returns
    -------
    tuple of int
        ``(height, width, channels)``, or ``(n,)`` for a flat output.

    Raises
    ------
    ValueError
        The images are too small. The message names the network and has the error of the layer.
    """
    x = pt.tensor('images', dtype=pytensor.config.floatX, shape=(1, *im_dim, n_channels))
    try:
        return part(x, Phase()).type.shape[1:]
    except ValueError as error:
        if 'pixels' not in str(error):
            raise
        name = type(getattr(part, '__self__', part)).__name__
        raise ValueError(
            f'images of {im_dim[0]}x{im_dim[1]} pixels are too small for network {name}: {error}'
        ) from None


def n_features(part: Callable[..., Any], im_dim: tuple[int, int], n_channels: int = 1) -> int:
    """Return the number of outputs of a part of a network for one image; see `output_shape` for arguments, errors."""
    return int(np.prod(output_shape(part, im_dim, n_channels)))


def flatten(x: Tensor) -> Tensor:
    """Reshape (n, ...) to (n, product of the rest), between the convolutional and the fully connected part."""
    # `x.flatten(2)` would lose the static shape.
    return x.reshape((x.shape[0], int(np.prod(x.type.shape[1:])))) if x.ndim != 2 else x


def mean(x: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    """Return the mean over `axis`, accumulated in the type of `x` (PyTensor's `mean` would use float64)."""
    return pt.mean(x, axis=axis, dtype=x.dtype, acc_dtype=x.dtype)
