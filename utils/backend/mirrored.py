"""Convolutions with mirrored filters, which are gradients of other convolutions with respect to their images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.subtensor import Subtensor

from utils import ops

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply

    from utils.annotations import Tensor


def as_input_grad(node: Apply) -> tuple[Any, Tensor] | None:
    """The `ops.Conv2dInputGrad` and filters of a convolution with mirrored filters; None if it is not one."""
    mirrored = node.inputs[1]
    W = unflipped(mirrored) if isinstance(node.op, ops.Conv2d) and node.op.plain else None
    image, size = node.outputs[0].type.shape[1:3], mirrored.type.shape[:2]
    if W is None or None in (*image, *size):
        return None
    pad = tuple(k - 1 - p for k, p in zip(size, node.op.pad))
    return (ops.Conv2d(pad).adjoint(image), W) if min(pad) >= 0 else None


def unflipped(W):
    """The filters whose mirror image with exchanged channels is `W`; None if `W` does not have this form."""
    if not (W.owner and isinstance(W.owner.op, DimShuffle) and W.owner.op.new_order == (0, 1, 3, 2)):
        return None
    mirror = W.owner.inputs[0]
    if not (mirror.owner and isinstance(mirror.owner.op, Subtensor)):
        return None
    base, *steps = mirror.owner.inputs
    whole = all(s.start is None and s.stop is None and s.step is not None for s in mirror.owner.op.idx_list)
    if not whole or [getattr(v, 'data', None) for v in steps] != [-1, -1]:
        return None
    return base
