"""The structure of a network: its layers in the order of computation, with shapes, parameters and operations.

=============  ================================================================
`structure`    makes the `Structure` from a network's graph, without compiling
`Structure`    the layers and the totals; ``str()`` makes a table
`Row`          a layer
=============  ================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.math import Dot

from utils.layer import Layer, Phase, parameters, sublayers
from utils.ops import Conv2d, Pooling
from utils.results.tables import as_text
from utils.training.chains import calls

KIB, MIB = 2**10, 2**20


@dataclass(frozen=True)
class Row:
    """A layer of a network.

    Attributes
    ----------
    name : str
        Name, as in the names of its parameters; empty for the network itself.
    kind : str
        Name of its class.
    shape : tuple of int
        Output shape for one image: (height, width, channels) or (n,); empty if the layer is only used in training.
    parameters : int
        Number of trained parameters, including those of layers inside it. If a layer is applied several times, they are
        counted the first time.
    operations : int
        Multiply-add operations of convolutions and matrix products for one image, outside training.
    kept : int
        Approximate number of bytes for one image that its gradient needs: its outputs, and its linear outputs if they
        are different.
    inputs : tuple of int
        Rows whose outputs are its inputs; -1 is the image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    operations: int
    kept: int
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Structure:
    """The layers of a network; ``str()`` makes a table of it.

    Attributes
    ----------
    name : str
        Name of the network's class.
    im_dim : (int, int)
        Height and width of the images.
    rows : tuple of Row
        The layers, in the order of computation.
    ends : tuple of int
        Rows whose outputs the logits are computed from.
    parameters, statistics : int
        Number of trained parameters, and of measured ones such as batch norm's statistics.
    operations : int
        Multiply-add operations for one image outside training, including those outside layers.
    """

    name: str
    im_dim: tuple[int, int]
    rows: tuple[Row, ...]
    ends: tuple[int, ...]
    parameters: int
    statistics: int
    operations: int

    @property
    def kept(self) -> int:
        """Approximate number of bytes for one image that training keeps for the gradients."""
        return sum(row.kept for row in self.rows)

    def __str__(self) -> str:
        head = ('layer', 'class', 'output', 'parameters', 'operations')
        cells = [
            (row.name, row.kind, sides(row.shape), f'{row.parameters:,}', f'{row.operations:,}') for row in self.rows
        ]
        image = ('images', '', sides((*self.im_dim, 1)), '', '')
        size = 4 * (self.parameters + self.statistics)
        return '\n'.join(
            [
                f'network {self.name}',
                as_text(head, [image, *cells]),
                '',
                f'parameters   {self.parameters:,} trained'
                + (f', {self.statistics:,} measured (batch norm)' if self.statistics else ''),
                f'operations   {self.operations / 1e6:,.1f} million multiply-adds per image',
                f'memory       parameters {size / MIB:.1f} MiB; in training about {self.kept / KIB:,.0f} KiB per image',
            ]
        )


def sides(shape: Iterable[int]) -> str:
    """Format a shape: ``24x24x64``."""
    return 'x'.join(map(str, shape))


def _between(inputs, outputs):
    """The nodes that compute the outputs from the inputs, without those before the inputs."""
    stop, found, waiting = set(inputs), [], list(outputs)
    seen = set(waiting)
    while waiting:
        variable = waiting.pop()
        node = variable.owner
        if node is None or variable in stop:
            continue
        if node not in seen:
            seen.add(node)
            found.append(node)
            waiting += [i for i in node.inputs if i not in seen]
            seen.update(node.inputs)
    return found


def _size(variable):
    return int(np.prod(variable.type.shape))


def _operations(nodes):
    """Number of multiply-add operations of convolutions and matrix products."""
    count = 0
    for node in nodes:
        if isinstance(node.op, Conv2d):
            kh, kw, n_in, _ = node.inputs[1].type.shape
            count += _size(node.outputs[0]) * kh * kw * n_in
        elif isinstance(node.op, Dot):
            count += _size(node.outputs[0]) * node.inputs[0].type.shape[-1]
    return count


def _kept(nodes, y):
    """Bytes of the outputs of a layer, of its linear outputs and of the positions of its maxima."""
    kept = {y, *(node.outputs[0] for node in nodes if isinstance(node.op, (Conv2d, Dot, Pooling)))}
    return sum(_size(v) * np.dtype(v.dtype).itemsize for v in kept)


def _shown(network, seen):
    """Select the calls of layers that have parameters themselves, and of layers that call no other layer."""
    layers = sublayers(network)
    own = {name for name, layer in layers.items() if any('.' not in path for path in parameters(layer))}
    called = {call.name for call in seen}

    def inside(name, others):
        return any(name.startswith(f'{other}.') for other in others)

    whole = {name for name in called & own if not inside(name, called & own)}
    leaves = {n for n in called if not inside(n, whole) and not any(c.startswith(f'{n}.') for c in called)}
    return [call for call in seen if call.name in whole | leaves and call.y is not call.x]  # y is x: the layer is off


def _sources(variable, made):
    """The rows whose outputs a variable is computed from directly, not through another row."""
    found, waiting, seen = set(), [variable], set()
    while waiting:
        v = waiting.pop()
        if v in seen:
            continue
        seen.add(v)
        if v in made:
            found.add(made[v])
        elif v.owner is not None:
            waiting += v.owner.inputs
    return tuple(sorted(found))


def structure(network: Layer, im_dim: tuple[int, int], name: str | None = None) -> Structure:
    """Read the layers, shapes, parameters and operations of a network from the graph of its call on one image.

    Each layer that has parameters itself is a row, with everything inside it (a convolution with its batch norm,
    pooling and activation). Layers that only contain others are expanded. Layers that are off (dropout with probability
    0) are left out.

    Parameters
    ----------
    network : Layer
        Network that gives logits for images (n, height, width, 1).
    im_dim : (int, int)
        Height and width of the images, in pixels.
    name : str, optional
        Name of the network; by default that of its class.

    Raises
    ------
    ValueError
        If the images are too small for the network.
    """
    x = pt.tensor('images', dtype=pytensor.config.floatX, shape=(1, *im_dim, 1))
    with calls(network) as seen:
        logits = network(x, Phase())
    rows, made, counted = [], {x: -1}, set()
    for call in _shown(network, seen):
        nodes = _between([call.x], [call.y])
        inside = {p for p in parameters(call.layer, trainable=True).values() if p not in counted}
        counted |= inside
        rows.append(
            Row(
                call.name,
                type(call.layer).__name__,
                tuple(call.y.type.shape[1:]),
                sum(map(_size, inside)),
                _operations(nodes),
                _kept(nodes, call.y),
                _sources(call.x, made),
            )
        )
        made[call.y] = len(rows) - 1
    rest = _rest(network, counted, {call.name for call in seen})
    trained = sum(_size(p) for p in parameters(network, trainable=True).values())
    measured = sum(_size(p) for p in parameters(network, trainable=False).values())
    total = _operations(_between([x], [logits]))
    ends = _sources(logits, made)
    return Structure(
        name or type(network).__name__, (int(im_dim[0]), int(im_dim[1])), (*rows, *rest), ends, trained, measured, total
    )


def _rest(network, counted, called) -> Sequence[Any]:
    """Rows of the remaining parameters: of the network itself, and of layers that are only used in training."""
    layers = sublayers(network)
    unused = [name for name in layers if not any(f'{other}.'.startswith(f'{name}.') for other in called)]
    groups: dict[str, int] = {}
    for path, p in parameters(network, trainable=True).items():
        if p not in counted:
            owner = next((name for name in unused if path.startswith(f'{name}.')), '')  # outermost first
            groups[owner] = groups.get(owner, 0) + _size(p)
    return [
        Row(name, f'{type(layers[name]).__name__}, in training' if name else type(network).__name__, (), n, 0, 0)
        for name, n in groups.items()
    ]
