"""Finds the layers that a network applies, their inputs, and those that form a plain chain from the images on.

==================  ===========================================================================
`calls`             records the calls of a network's layers
`chain`             the encoders of a plain chain, with their inputs and outputs
==================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytensor
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor

from utils.layer import Layer, parameters, sublayers

if TYPE_CHECKING:
    from utils.annotations import Tensor
    from utils.layer import Phase


class Call(NamedTuple):
    """A call of a layer: its name in the network, the layer, its input and its output."""

    name: str
    layer: Any
    x: Tensor
    y: Tensor


@contextmanager
def calls(network: Any) -> Iterator[list[Call]]:
    """Block in which the calls of the network's layers are recorded, in the order in which they end.

    Meanwhile the class of each layer is replaced by a subclass whose `__call__` records. This works for layers of any
    class, however the network calls them.
    """
    seen: list[Call] = []
    classes: dict[int, Any] = {}

    def watched(name, cls):
        def call(self, x, phase):
            y = cls.__call__(self, x, phase)
            seen.append(Call(name, self, x, y))
            return y

        return type(cls.__name__, (cls,), {'__call__': call})

    layers = sublayers(network)
    try:
        for name, layer in layers.items():
            if id(layer) not in classes:
                classes[id(layer)] = layer, type(layer)
                layer.__class__ = watched(name, type(layer))  # type: ignore[assignment]
        yield seen
    finally:
        for layer, cls in classes.values():
            layer.__class__ = cls


def is_encoder(layer: Layer) -> bool:
    """Whether a layer has the parts of an encoder: trained weights W, `linear`, `norm` and `activation`."""
    return (
        all(hasattr(layer, name) for name in ('W', 'norm', 'activation'))
        and callable(getattr(layer, 'linear', None))
        and bool(layer.W.tag.trainable)  # type: ignore[attr-defined]
    )


def chain(network: Any, x: Tensor, phase: Phase) -> list[Call]:
    """Find the encoders of a network that form a plain chain from the images on, from the lowest up.

    An encoder is a layer with trained weights W, ``linear(x, W)``, `norm` and `activation`, such as convolutional and
    hidden layers. It belongs to the chain if the logits depend on the images only through its output, and there is no
    trained parameter between it and the previous encoder (only reshaping, pooling or response normalisation, for
    example). So a residual block or a branch ends the chain, and the last layer is no encoder.

    Parameters
    ----------
    network : Layer
    x : tensor (n, h, w, 1)
        Images of static shape.
    phase : Phase
        Pass in which the network is called.
    """
    with calls(network) as seen:
        logits = network(x, phase)
    found: list[Call] = []
    for call in seen:
        if not is_encoder(call.layer):
            continue
        way = ancestors(logits, [call.y])
        between = ancestors(call.x, [found[-1].y if found else x])
        below = ancestors(call.x, [x])
        own = parameters(call.layer).values()
        if x in way or call.y not in way or any(map(_is_trained, between)) or any(p in below for p in own):
            break
        found.append(call)
    return found


def ancestors(out: Any, blockers: Collection[Any] = ()) -> set[Any]:
    """The variables that an expression depends on, not beyond `blockers`; dependence on shapes does not count."""
    waiting, seen = [out], set()
    while waiting:
        v = waiting.pop()
        if v not in seen:
            seen.add(v)
            if v.owner and v not in blockers and not isinstance(v.owner.op, (Shape, Shape_i)):
                waiting += v.owner.inputs
    return seen


def only_moves(y: Any, x: Any) -> bool:
    """Whether an expression y only reshapes or slices another expression x."""
    while y is not x:
        if y.owner is None or not isinstance(y.owner.op, (Reshape, DimShuffle, Subtensor, SpecifyShape)):
            return False
        y = y.owner.inputs[0]
    return True


def _is_trained(variable):
    return isinstance(variable, pytensor.compile.SharedVariable) and getattr(variable.tag, 'trainable', False)
