"""What a layer is: parameters, sub-layers and one call, ``layer(x, phase)``.

================  =============================================================================
`Layer`           base class: a bag of parameters and sub-layers
`Phase`           one pass through a network: training or not, its draws, its updates
`parameter`       a shared variable with what symfer needs to know of it
`parameters`      all parameters of a layer by name; names come from attributes
`sublayers`       all layers inside a layer by name
================  =============================================================================
"""
import numpy as np
import pytensor
import pytensor.tensor as pt

from utils import ops


def parameter(value, *, trainable=True, penalised=False):
    """Make a shared variable of static shape.

    Parameters
    ----------
    value : array_like
        Its initial value, kept as `floatX`.
    trainable : bool
        Whether training changes it by its gradient; batch norm's statistics are parameters that are not.
    penalised : bool
        Whether L1 and L2 terms count it: weights yes, biases no.
    """
    value = np.asarray(value, dtype=pytensor.config.floatX)
    shared = pytensor.shared(value, shape=value.shape)
    shared.tag.trainable, shared.tag.penalised = trainable, penalised
    return shared


class Layer:
    """A layer: `__init__` makes parameters and sub-layers as attributes, `__call__` an expression.

    ``layer(x, phase)`` depends on its arguments and parameters only; whatever has to change when the
    compiled function runs goes into ``phase.updates``.
    """

    def __call__(self, x, phase):
        raise NotImplementedError(f'{type(self).__name__} must define __call__(self, x, phase)')


def _walk(layer, prefix, wanted):
    for name, value in vars(layer).items():
        several = isinstance(value, (list, tuple))
        for k, item in enumerate(value if several else [value]):
            path = f'{prefix}{name}{k}' if several else f'{prefix}{name}'
            if isinstance(item, wanted):
                yield path, item
            if isinstance(item, Layer):
                yield from _walk(item, path + '.', wanted)


def parameters(layer, *, trainable=None, penalised=None):
    """All parameters of a layer and the layers inside it, by name.

    A name is the path of attributes, ``conv1.norm.gamma``; entries of a list are numbered,
    ``hidden0.W``. The order is that of the attributes.

    Parameters
    ----------
    layer : Layer
    trainable, penalised : bool, optional
        Only parameters of which this is true or false.

    Returns
    -------
    dict of str to shared variable
    """
    return {name: p for name, p in _walk(layer, '', pytensor.compile.SharedVariable)
            if trainable in (None, p.tag.trainable) and penalised in (None, p.tag.penalised)}


def sublayers(layer, kind=Layer):
    """All layers of a class (or classes) inside a layer, by name, in the order of the attributes."""
    return dict(_walk(layer, '', kind))


class Phase:
    """One pass through a network.

    Parameters
    ----------
    train : bool
        True: minibatch statistics, dropout masks, noise. False: the network as it is used.
    seed, counter : shared uint32 scalars, optional
        Of the draws of a training pass. The counter grows by one whenever the compiled function runs;
        it is what has to be saved for draws to go on where they stopped.
    share : float32 scalar expression, optional
        Makes this the pass that measures batch norm's population statistics: 1 / k in the k-th
        minibatch, so that the mean over all of them comes out.

    Attributes
    ----------
    updates : dict
        For ``pytensor.function(updates=...)``; layers write into it.
    """

    def __init__(self, train=False, *, seed=None, counter=None, share=None):
        if train and share is not None:
            raise ValueError('a pass either trains or measures statistics')
        self.train, self.share, self.streams, self.updates = bool(train), share, 0, {}
        if train:
            self.seed = pytensor.shared(np.uint32(0)) if seed is None else seed
            self.counter = pytensor.shared(np.uint32(0)) if counter is None else counter
            self.updates[self.counter] = self.counter + np.uint32(1)

    def _draw(self, draw, x):
        if not self.train:
            raise ValueError('only a training pass draws random numbers')
        if None in x.type.shape:
            raise ValueError(f'draws need a static shape, got {x.type}')
        self.streams += 1
        return draw(x.type.shape, self.seed, self.counter, self.streams).astype(x.dtype)

    def uniform(self, x):
        """Draws from [0, 1) of the shape of `x`, each call its own stream."""
        return self._draw(ops.uniform, x)

    def normal(self, x):
        """Draws of mean 0 and variance 1 of the shape of `x`, each call its own stream."""
        return self._draw(ops.normal, x)


def flatten(x):
    """Reshape (n, ...) to (n, product of the rest): from the convolutional part to the connected one."""
    # `x.flatten(2)` would lose the static shape.
    return x.reshape((x.shape[0], int(np.prod(x.type.shape[1:])))) if x.ndim != 2 else x


def mean(x, axis):
    """Mean over `axis`, accumulated in the type of `x` (PyTensor's own asks for float64)."""
    return pt.mean(x, axis=axis, dtype=x.dtype, acc_dtype=x.dtype)
