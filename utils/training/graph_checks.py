"""Checks that the graph of a network can be trained: its outputs, shared variables and trainable parameters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import pytensor
import pytensor.tensor as pt
from pytensor.graph.traversal import graph_inputs

from utils.layer import listed, parameters, sublayers
from utils.training.warping import Cropped

if TYPE_CHECKING:
    from utils.annotations import Shared, Tensor
    from utils.layer import Phase


def network_name(network: Any) -> str:
    """Name of the network's class in messages."""
    return f'network {type(network.network if isinstance(network, Cropped) else network).__name__}'


def is_ours(network: Any) -> bool:
    """Whether all layers of a network are symfer's, none the user's own."""
    layers = [network, *sublayers(network).values()]
    return {type(layer).__module__.partition('.')[0] for layer in layers} <= {'cnn', 'mlp', 'utils'}


def check_outputs(network: Any, wanted: Sequence[int | None], kind: Any, shape: Sequence, dtype: Any) -> None:
    """Refuse outputs of the network that do not have the shape `wanted`, (batch_size, n_classes), and a float type.

    None in `wanted` matches any size.

    Raises
    ------
    ValueError
        If shape or type are wrong.
    """
    if (
        len(shape) == 2
        and all(a == b or None in (a, b) for a, b in zip(shape, wanted))
        and str(dtype).startswith('float')
    ):
        return
    raise ValueError(
        f'{network_name(network)} must return logits of shape (batch_size, n_classes), here '
        f'({wanted[0]}, {wanted[1] or "n_classes"}), and of a float type, got {kind} of '
        f'shape {tuple(shape)} and type {dtype}'
    )


def logits(network: Any, x: Tensor, phase: Phase, known: Collection[Shared], wanted: Sequence[int | None]) -> Tensor:
    """Compute and check the network's logits for images x (n, h, w, 1).

    Parameters
    ----------
    known : set of shared variables
        Shared variables that the network may use.
    wanted : (int, int or None)
        Shape of the logits.

    Raises
    ------
    ValueError
        If the outputs are no logits, or other shared variables are used.
    """
    out = network(x, phase)
    if not isinstance(getattr(out, 'type', None), pt.TensorType):
        raise ValueError(
            f'{network_name(network)} must return logits, one expression of shape (batch_size, n_classes), got {out!r}'
        )
    check_outputs(network, wanted, 'an expression', out.type.shape, out.dtype)
    graphs = [out, *phase.updates, *map(pt.as_tensor_variable, phase.updates.values())]
    strange = [
        v for v in graph_inputs(graphs, [x]) if isinstance(v, pytensor.compile.SharedVariable) and v not in known
    ]
    if strange:
        raise ValueError(
            f'{network_name(network)} uses shared variables that are not among its parameters and would be '
            f'neither trained nor saved: {listed([v.name or str(v.type) for v in strange])}. A '
            'parameter must be made by utils.layer.parameter and be an attribute of the network or '
            'of a layer inside it, or be in lists, tuples and dicts there'
        )
    return out


def gradients(network: Any, cost: Tensor, outputs: Sequence[Tensor]) -> tuple[dict[str, Shared], dict[str, Tensor]]:
    """Return the trainable parameters and the gradients of the cost with respect to them, by name.

    Raises
    ------
    ValueError
        If there are no trainable parameters, or the cost does not depend on one of them.
    """
    trainable = parameters(network, trainable=True)
    if not trainable:
        raise ValueError(
            f'{network_name(network)} has no trainable parameters: make them by utils.layer.parameter, as '
            'attributes of the network or of a layer inside it'
        )
    used = set(graph_inputs(outputs))
    by_name = dict(
        zip(
            trainable,
            pytensor.grad(cost, list(trainable.values()), disconnected_inputs='ignore', return_disconnected='none'),
        )
    )
    # The L1 and L2 penalties have gradients even for weights that the network does not use.
    unused = [name for name, p in trainable.items() if p not in used or by_name[name] is None]
    if unused:
        raise ValueError(
            f'{network_name(network)} has trainable parameters on which its cost in training does not depend: '
            f'{listed(unused)}. Use them in __call__, remove unused layers, or make constant '
            'parameters by utils.layer.parameter(value, trainable=False)'
        )
    return trainable, by_name
