"""Shows what excites a feature map: projects a single activation down to the pixels, through the graph.

==================  ===========================================================================
`Deconvolution`     compiled: the strongest activations of maps, and their projections
`strongest`         the images that most excite the strongest maps of each layer
`Excited`           result of `strongest` for one layer
`projected`         a network's graph with the backward pass of the projection
`Undefined`         raised for a graph with unknown layers
==================  ===========================================================================

The deconvolution of Zeiler and Fergus [1]_ goes back from a single activation by unpooling at the positions of the
maxima, rectification, and the transposed filters. This equals the network's backward pass with a rectified gradient of
the rectifier, ``max(0, g)`` instead of ``g (a > 0)``: the gradient of max pooling unpools, and that of a convolution
uses the transposed filters. Outside training, batch norm and dropout are affine. Response normalisation is treated as a
division by its value for this image. The paper does not define deconvolution for summed or joined maps; there the
guided backpropagation of Springenberg et al. [2]_ is used, ``max(0, g) (a > 0)``.

.. [1] Zeiler and Fergus (2014), Visualizing and Understanding Convolutional Networks, ECCV, arXiv 1311.2901,
   section 2.1.
.. [2] Springenberg, Dosovitskiy, Brox and Riedmiller (2015), Striving for Simplicity: The All Convolutional Net, ICLR
   workshop, arXiv 1412.6806, section 3.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytensor
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import io_toposort
from pytensor.tensor.basic import Join, get_underlying_scalar_constant_value
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Reshape
from pytensor.tensor.subtensor import Subtensor

from utils import backend, ops
from utils.layer import sublayers
from utils.results.inspection import image_layers, outputs_of_layers
from utils.training.functions import pixels

if TYPE_CHECKING:
    from utils.annotations import Tensor


LAYERS, UNITS, IMAGES = 5, 8, 9  # most layers of a network, maps of a layer, images for a map
SAMPLE, BATCH = 1000, 24  # images that are searched, and images per call
KNOWN = (ops.Conv2d, ops.MaxPool, ops.AvgPool, ops.LocalResponseNorm, DimShuffle, Reshape, Subtensor, Join)
DECONVOLUTION, GUIDED = 'deconvolution', 'guided backpropagation'


class Undefined(ValueError):
    """Raised for a graph through which activations cannot be projected; the message says why."""


def _rectified(node):
    """Index of the input that a node rectifies, ``max(0, a)``; None if it is no rectifier."""
    if isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, ps.Maximum):
        for k, v in enumerate(node.inputs):
            constant = get_underlying_scalar_constant_value(v, raise_not_constant=False)
            if not isinstance(constant, Variable) and constant == 0:
                return 1 - k
    return None


def _ways(node, depends):
    """The inputs of a node through which an activation is projected; `Undefined` for an unknown kind of node."""
    given = [v for v in node.inputs if v in depends]
    if isinstance(node.op, KNOWN):
        return given
    if isinstance(node.op, Elemwise):
        kind = node.op.scalar_op
        if isinstance(kind, (ps.Add, ps.Sub, ps.Cast, ps.Neg, ps.Identity)) or _rectified(node) is not None:
            return given
        if isinstance(kind, ps.Mul) and len(given) == 1:
            return given
        if isinstance(kind, ps.TrueDiv) and node.inputs[0] in depends:
            return given[:1]  # the divisor is treated as a constant
        raise Undefined(f'the projection is only defined for rectifiers, and the network has {type(kind).__name__}')
    raise Undefined(f'no projection through {node.op} is known')


def projection_method(x: Tensor, maps: Sequence[Tensor]) -> str:
    """Choose how to project activations of `maps` to `x`: deconvolution, or guided backpropagation for branches.

    Raises
    ------
    Undefined
        If there is an activation that is no rectifier, or another unknown operation.
    """
    depends, readers, seen, waiting = {x}, Counter(), set(), [*maps]
    for node in io_toposort([x], maps):
        if depends.intersection(node.inputs):
            depends.update(node.outputs)
    while waiting:
        v = waiting.pop()
        if v is x or v in seen:
            continue
        seen.add(v)
        if v not in depends:
            raise Undefined('a map does not depend on the image')
        ways = _ways(v.owner, depends)
        readers.update(ways)
        waiting += ways
    return GUIDED if any(count > 1 for count in readers.values()) else DECONVOLUTION


def projected(x: Tensor, maps: Sequence[Tensor], method: str) -> list[Tensor]:
    """Copy the graph of the maps, with the same values, but with the projection as gradient with respect to `x`.

    Parameters
    ----------
    x : tensor (n, h, w, 1)
    maps : sequence of tensor (n, h', w', channels)
    method : {'deconvolution', 'guided backpropagation'}
    """
    new: dict[Any, Any] = {x: x}
    for node in io_toposort([x], maps):
        if not any(v in new for v in node.inputs):
            continue
        inputs = [new.get(v, v) for v in node.inputs]
        if _rectified(node) is not None:
            a = pytensor.gradient.grad_clip(inputs[_rectified(node)], 0, np.inf)
            y = pt.maximum(a, np.asarray(0, a.dtype))
            if method == DECONVOLUTION:  # the value of y with the gradient of a
                y = a + pytensor.gradient.disconnected_grad(y - a)
            outputs = [y]
        elif isinstance(node.op, ops.LocalResponseNorm):
            outputs = [inputs[0] / pytensor.gradient.disconnected_grad(node.op.divisor(pt, inputs[0]))]
        else:
            if isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, ps.TrueDiv):
                inputs[1] = pytensor.gradient.disconnected_grad(inputs[1])
            outputs = node.clone_with_new_inputs(inputs).outputs
        new.update(zip(node.outputs, outputs))
    return [new[v] for v in maps]


def chosen_layers(network: Any, seen: dict[str, Tensor]) -> dict[str, Tensor]:
    """Choose at most `LAYERS` recorded outputs of a network: of convolutions and blocks that end in an activation.

    Blocks are preferred to the layers inside them, unless that leaves fewer than three. The choice is evenly spread and
    includes the first and the last.
    """
    layers = sublayers(network)
    images = image_layers(network, seen)
    names = [name for name in images if getattr(layers[name], 'activation', True) is not None]
    outer = [name for name in names if not any(name.startswith(f'{other}.') for other in images)]
    names = outer if len(outer) > 2 else names
    places = sorted({round(k) for k in np.linspace(0, len(names) - 1, min(LAYERS, len(names)))})
    return {names[k]: images[names[k]] for k in places}


class Deconvolution:
    """Projects single activations of a network's feature maps down to the pixels.

    Parameters
    ----------
    network : Layer
    im_dim : (int, int)
        Height and width of the images, in pixels.
    n : int
        Number of images per call.

    Attributes
    ----------
    layers : tuple of str
        Names of the layers with feature maps to project; empty for a network without convolutions.
    method : {'deconvolution', 'guided backpropagation'}

    Raises
    ------
    Undefined
        If the network has an activation that is no rectifier, or an unknown layer.
    """

    def __init__(self, network: Any, im_dim: tuple[int, int], n: int = BATCH) -> None:
        self.n, x = n, pt.tensor('x', dtype='uint8', shape=(n, *im_dim))
        given = pixels(x)
        _, seen = outputs_of_layers(network, given)
        maps = chosen_layers(network, seen)
        self.layers, self.channels = tuple(maps), [y.type.shape[3] for y in maps.values()]
        self.method = projection_method(given, list(maps.values()))
        if not maps:
            return
        flat = [y.reshape((n, int(np.prod(y.type.shape[1:3])), y.type.shape[3])) for y in maps.values()]
        found = [f for y in flat for f in (pt.max(y, axis=1), pt.argmax(y, axis=1))]
        self._maxima = backend.function([x], found, name='strongest activations')
        layer = pt.tensor('layer', dtype='int32', shape=())
        place = pt.tensor('place', dtype='int32', shape=(n,))  # index in the flattened maps of that layer
        score = np.float32(0)
        for k, y in enumerate(projected(given, list(maps.values()), self.method)):
            size = int(np.prod(y.type.shape[1:]))
            a = y.reshape((n, size))[pt.arange(n), place % np.int32(size)]
            score = score + pt.eq(layer, k).astype('float32') * (pytensor.gradient.disconnected_grad(a) * a).sum()
        # The gradient of this sum: images do not mix, and the pass starts from the activation itself, all others 0.
        self._project = backend.function([x, layer, place], pytensor.grad(score, given)[..., 0], name='projection')

    def _calls(self, images, *values):
        """Yield the arguments of each call and the number of images that count; the last call is filled up."""
        for first in range(0, len(images), self.n):
            rows = np.arange(first, first + self.n) % len(images)
            yield min(self.n, len(images) - first), images[rows], [v[rows] for v in values]

    def maxima(self, images: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Largest activation of each map and its place, (n, maps) each, for each layer and uint8 images (n, h, w).

        A place is the index of a pixel in its map, by rows.
        """
        if not self.layers:
            return []
        parts = [[np.asarray(v)[:count] for v in self._maxima(given)] for count, given, _ in self._calls(images)]
        joined = [np.concatenate(values) for values in zip(*parts)]
        return list(zip(joined[::2], joined[1::2]))

    def project(self, images: np.ndarray, layer: str, unit: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Projections (n, h, w) of the activation of map `unit` (n,) at `place` (n,) of a layer."""
        k = self.layers.index(layer)
        channels = self.channels[k]
        flat = (np.asarray(place) * channels + unit).astype(np.int32)
        parts = [
            np.asarray(self._project(given, np.int32(k), at))[:count]
            for count, given, (at,) in self._calls(images, flat)
        ]
        return np.concatenate(parts)


class Excited(NamedTuple):
    """The images that most excite the strongest maps of a layer.

    Attributes
    ----------
    layer : str
    units : int array (k,)
        Numbers of the maps, strongest first.
    images : uint8 array (k, IMAGES, h, w)
    projections : float32 array (k, IMAGES, h, w)
    patches : tuple of arrays
        Parts of the images and of the projections where the projections are visible, (k, IMAGES, h', w') each.
    """

    layer: str
    units: np.ndarray
    images: np.ndarray
    projections: np.ndarray
    patches: tuple[np.ndarray, np.ndarray]


def strongest(deconvolution: Deconvolution, images: np.ndarray) -> Iterator[Excited]:
    """Find the strongest maps of each layer, and the images that excite them most.

    A map is ranked by the mean of its `IMAGES` largest activations, one per image.

    Parameters
    ----------
    deconvolution : Deconvolution
    images : uint8 array (n, height, width)
        At least `IMAGES` images.
    """
    for layer, (values, places) in zip(deconvolution.layers, deconvolution.maxima(images)):
        best = np.argsort(-values, axis=0, kind='stable')[:IMAGES]  # (IMAGES, maps): row numbers of images
        means = np.take_along_axis(values, best, axis=0).mean(axis=0)
        units = np.argsort(-means, kind='stable')[:UNITS]
        units = units[means[units] > 0]
        if not len(units):
            continue
        rows = best[:, units].T
        unit = np.repeat(units, rows.shape[1])
        found = deconvolution.project(images[rows.ravel()], layer, unit, places[rows.ravel(), unit])
        shape = (*rows.shape, *images.shape[1:])
        shown, found = images[rows], found.reshape(shape)
        yield Excited(layer, units, shown, found, _patches(shown, found))


def _patches(images, projections):
    """Cut out the parts of images and projections (k, m, h, w) where the projections are visible, all of one size."""
    visible = abs(projections) > 0.01 * abs(projections).max(axis=(2, 3), keepdims=True)
    spans = []
    for axis in (3, 2):
        along = visible.any(axis=axis)
        first, last = along.argmax(axis=2), along.shape[2] - 1 - along[..., ::-1].argmax(axis=2)
        side = int((last - first).max()) + 1
        first = np.clip((first + last + 1 - side) // 2, 0, along.shape[2] - side)
        spans.append(first[..., None] + np.arange(side))
    k, m = (np.arange(n) for n in images.shape[:2])
    where = k[:, None, None, None], m[None, :, None, None], spans[0][..., None], spans[1][:, :, None]
    return images[where], projections[where]
