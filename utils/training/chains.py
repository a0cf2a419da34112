"""Which layers a network applies, to what, and which of them stand in a plain chain from the images on.

==================  ===========================================================================
`calls`             the calls of a network's layers, as they are made
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
    """A layer, by its name in the network, with the expressions that it was given and gave."""

    name: str
    layer: Any
    x: Tensor
    y: Tensor


@contextmanager
def calls(network: Any) -> Iterator[list[Call]]:
    """While the block runs, the calls of the network's layers are written down, in the order in which they end.

    Every layer gets for that time a class of its own, whose `__call__` writes; so it does not matter how the network
    calls its layers, nor of which class they are.
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
    """Whether a layer has what an autoencoder is made of: trained weights W, `linear`, `norm` and `activation`."""
    return (
        all(hasattr(layer, name) for name in ('W', 'norm', 'activation'))
        and callable(getattr(layer, 'linear', None))
        and bool(layer.W.tag.trainable)  # type: ignore[attr-defined]
    )


def chain(network: Any, x: Tensor, phase: Phase) -> list[Call]:
    """The encoders of a network that stand in a plain chain from the images on, from below.

    An encoder is a layer with trained weights W, ``linear(x, W)``, `norm` and `activation`, such as convolutional and
    hidden layers. It belongs to the chain if everything that the logits take from the images goes through its output,
    and what lies between it and the encoder before has no parameter that is trained: reshaping, pooling and response
    normalisation, for example. So a residual block, and branches, end the chain, and the last layer is no encoder.

    Parameters
    ----------
    network : Layer
    x : tensor (n, h, w, 1)
        Images of static shape.
    phase : Phase
        In which the network is called.
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
    """The variables of which an expression is made, not beyond blockers; sizes alone do not count."""
    waiting, seen = [out], set()
    while waiting:
        v = waiting.pop()
        if v not in seen:
            seen.add(v)
            if v.owner and v not in blockers and not isinstance(v.owner.op, (Shape, Shape_i)):
                waiting += v.owner.inputs
    return seen


def only_moves(y: Any, x: Any) -> bool:
    """Whether an expression holds values of another, reshaped or cut out, and nothing else."""
    while y is not x:
        if y.owner is None or not isinstance(y.owner.op, (Reshape, DimShuffle, Subtensor, SpecifyShape)):
            return False
        y = y.owner.inputs[0]
    return True


def _is_trained(variable):
    return isinstance(variable, pytensor.compile.SharedVariable) and getattr(variable.tag, 'trainable', False)
