"""What a network must be for its graph to train: its outputs, its shared variables, its trainable parameters."""

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
    """The network's class as messages name it."""
    return f'network {type(network.network if isinstance(network, Cropped) else network).__name__}'


def is_ours(network: Any) -> bool:
    """Whether a network consists of layers that are part of symfer, none of a user's own among them."""
    layers = [network, *sublayers(network).values()]
    return {type(layer).__module__.partition('.')[0] for layer in layers} <= {'cnn', 'mlp', 'utils'}


def check_outputs(network: Any, wanted: Sequence[int | None], kind: Any, shape: Sequence, dtype: Any) -> None:
    """Refuse outputs of the network that are not as `wanted`, (batch_size, n_classes); a side of None may be any.

    Raises
    ------
    ValueError
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
    """The network's logits for images x (n, h, w, 1), checked.

    Parameters
    ----------
    known : set of shared variables
        With which the network may compute.
    wanted : (int, int or None)
        Shape of the logits.

    Raises
    ------
    ValueError
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
            f'{network_name(network)} computes with shared variables that are not among its parameters, so that '
            f'they would be neither trained nor saved: {listed([v.name or str(v.type) for v in strange])}. A '
            'parameter must be made by utils.layer.parameter and be an attribute of the network or '
            'of a layer inside it, or stand there in lists, tuples and dicts'
        )
    return out


def gradients(network: Any, cost: Tensor, outputs: Sequence[Tensor]) -> tuple[dict[str, Shared], dict[str, Tensor]]:
    """The trainable parameters and the gradients of the cost with respect to them, by name; each must have one.

    Raises
    ------
    ValueError
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
    # The penalties of L1 and L2 have gradients of weights that the network does not use, too.
    unused = [name for name, p in trainable.items() if p not in used or by_name[name] is None]
    if unused:
        raise ValueError(
            f'{network_name(network)} has trainable parameters on which its cost in training does not depend: '
            f'{listed(unused)}. Use them in __call__, make no layer that is not used, or make what '
            'shall stay as it is by utils.layer.parameter(value, trainable=False)'
        )
    return trainable, by_name
