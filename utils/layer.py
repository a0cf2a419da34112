"""What a layer is: parameters, sub-layers and one call, ``layer(x, phase)``.

================  =============================================================================
`Layer`           base class: a bag of parameters and sub-layers
`Phase`           one pass through a network: training or not, its draws, its updates
`parameter`       a shared variable with what symfer needs to know of it
`parameters`      all parameters of a layer by name; names come from attributes
`sublayers`       all layers inside a layer by name
`fit`             parameters that begin with the data
`other_names`     further names of what is reached in several ways
`attributes`      a layer's attributes, `entries` what lists, tuples and dicts hold
`output_shape`    shape of what a part of a network makes of images, read from its graph
`n_features`      how many numbers that is
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
        Its initial value, kept as `floatX`.
    trainable : bool
        Whether training changes it by its gradient; batch norm's statistics are parameters that are not.
    regularizable : bool
        Whether L1 and L2 terms count it: weights yes, biases no.
    rate : float
        Factor on its learning rate.
    """
    value = np.asarray(value, dtype=pytensor.config.floatX)
    shared = pytensor.shared(value, shape=value.shape)
    shared.tag.trainable, shared.tag.regularizable, shared.tag.rate = trainable, regularizable, float(rate)
    return shared


class Layer:
    """A layer: `__init__` makes parameters and sub-layers as attributes, `__call__` an expression.

    ``layer(x, phase)`` depends on its arguments and parameters only; whatever has to change when the
    compiled function runs goes into ``phase.updates``. A layer whose first parameters depend on the data has a method
    ``fit(images)``, which is given training images (n, h, w, 1) in [0, 1] before the first epoch, see `fit`.
    """

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        raise NotImplementedError(f'{type(self).__name__} must define __call__(self, x, phase)')


def attributes(layer: Layer) -> Iterator[Any]:
    """Names and values of a layer's attributes; those in `__slots__` come first."""
    for cls in reversed(type(layer).__mro__):
        slots = vars(cls).get('__slots__', ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name.startswith('__') and not name.endswith('__'):
                name = f'_{cls.__name__.lstrip("_")}{name}'
            if name not in ('__dict__', '__weakref__') and hasattr(layer, name):
                yield name, getattr(layer, name)
    yield from vars(layer).items()


def entries(name: str, value: Any, _within: Sequence[Any] = ()) -> Iterator[Any]:
    """Names and entries of a list, tuple or dict and of those inside it; another value is the only entry.

    Entries of a list are numbered, ``conv0``, and ``conv0.1`` in a list in it; those of a dict have their key,
    ``conv.first``.
    """
    if not isinstance(value, (list, tuple, dict)):
        yield name, value
    elif not any(value is outer for outer in _within):
        dot = '.' if isinstance(value, dict) or (_within and not isinstance(_within[-1], dict)) else ''
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from entries(f'{name}{dot}{key}', entry, (*_within, value))


def _walk(layer):
    """Parameters and layers inside a layer by name, each once, and the first names by the other ones."""
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
                    what = 'names two things' if path in found else 'cannot be saved as a name'
                    raise ValueError(f'{path!r} {what} of layer {type(layer).__name__}: rename an attribute or a key')
                first[id(item)], found[path] = path, item
                if isinstance(item, Layer):
                    visit(item, path + '.')

    visit(layer, '')
    return found, others


def parameters(layer: Any, *, trainable: Any = None, regularizable: Any = None) -> dict[str, Shared]:
    """All parameters of a layer and the layers inside it, by name.

    A name is the path of attributes, ``conv1.norm.gamma``; entries of a list are numbered, ``hidden0.W``, those of a
    dict have their key, see `entries`. The order is that of the attributes. What is reached in several ways is
    there once, under its first name.

    Parameters
    ----------
    layer : Layer
    trainable, regularizable : bool, optional
        Only parameters of which this is true or false.

    Returns
    -------
    dict of str to shared variable

    Raises
    ------
    ValueError
        A shared variable that `parameter` has not made.
    """
    found = {name: p for name, p in _walk(layer)[0].items() if not isinstance(p, Layer)}
    others = [name for name, p in found.items() if not {'trainable', 'regularizable'} <= set(vars(p.tag))]
    if others:
        raise ValueError(
            f'shared variables of layer {type(layer).__name__} must be made by utils.layer.parameter('
            f'value, trainable=..., regularizable=...), got others as {listed(others)}'
        )
    return {
        name: p
        for name, p in found.items()
        if trainable in (None, p.tag.trainable) and regularizable in (None, p.tag.regularizable)
    }


def sublayers(layer: Layer, kind: Any = Layer) -> dict[str, Layer]:
    """All layers of a class (or classes) inside a layer, by name, each once, in the order of the attributes."""
    return {name: item for name, item in _walk(layer)[0].items() if isinstance(item, Layer) and isinstance(item, kind)}


def fit(network: Layer, images: Callable[[], np.ndarray]) -> None:
    """Call the method ``fit`` of all layers that have one with images, which are made where there is one only."""
    layers = [layer for layer in [network, *sublayers(network).values()] if hasattr(layer, 'fit')]
    if layers:
        given = images()
        for layer in layers:
            layer.fit(given)


def other_names(layer: Any) -> dict[Any, Any]:
    """Further names of parameters and layers that are reached in several ways: a dict to their first names."""
    return _walk(layer)[1]


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names for an error: all of a few, the first of many."""
    names = list(names)
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')


class Phase:
    """One pass through a network.

    Parameters
    ----------
    train : bool
        True: minibatch statistics, dropout masks, noise. False: the network as it is used.
    seed, counter : shared uint32 scalars, optional
        Of the draws of a training pass. The counter grows by one whenever the compiled function runs;
        it is what has to be saved for draws to go on where they stopped.
    weight : float32 scalar expression, optional
        Makes this the pass that measures batch norm's population statistics: 1 / k in the k-th
        minibatch, so that the mean over all of them comes out.

    Attributes
    ----------
    updates : dict
        For ``pytensor.function(updates=...)``; layers write into it.
    auxiliary : list of (tensor, float)
        Logits of classifiers on the way and the weights of their costs, see `add_logits`.
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
        """Add the cost of further logits (n, n_classes), times a weight, to that of a training pass.

        What only serves these is trained, and is no part of the network in use.
        """
        self.auxiliary.append((logits, float(weight)))

    def uniform(self, x: Tensor) -> Tensor:
        """Draws from [0, 1) of the shape of `x`, each call its own stream."""
        return self._draw(ops.uniform, x)

    def normal(self, x: Tensor) -> Tensor:
        """Draws of mean 0 and variance 1 of the shape of `x`, each call its own stream."""
        return self._draw(ops.normal, x)


def output_shape(part: Callable[..., Any], im_dim: tuple[int, int], n_channels: int = 1) -> tuple[int, ...]:
    """Shape of what a part of a network makes of one image, read from the graph of a dummy input.

    Parameters
    ----------
    part : Layer or callable
        Called as ``part(x, phase)``; also a method of a network, such as `features`.
    im_dim : (int, int)
        Height and width of the images that enter.
    n_channels : int
        Their channels; 1 is grey.

    Returns
    -------
    tuple of int
        ``(height, width, channels)``, or ``(n,)`` of what is flat.

    Raises
    ------
    ValueError
        The images are too small: says for which network, and what the layer said where they were used up.
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
    """How many numbers a part of a network makes of one image; arguments and errors as of `output_shape`."""
    return int(np.prod(output_shape(part, im_dim, n_channels)))


def flatten(x: Tensor) -> Tensor:
    """Reshape (n, ...) to (n, product of the rest): from the convolutional part to the connected one."""
    # `x.flatten(2)` would lose the static shape.
    return x.reshape((x.shape[0], int(np.prod(x.type.shape[1:])))) if x.ndim != 2 else x


def mean(x: Tensor, axis: int | tuple[int, ...]) -> Tensor:
    """Mean over `axis`, accumulated in the type of `x` (PyTensor's own asks for float64)."""
    return pt.mean(x, axis=axis, dtype=x.dtype, acc_dtype=x.dtype)
