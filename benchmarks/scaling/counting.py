"""Count operations and exchanges of a training step: ``python -m benchmarks.scaling.counting NAME...``.

It prints one line with a JSON object per network. It is a separate process, because its CPU must act as two devices.
`ENVIRONMENT` must be set before it starts.
"""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from pytensor.tensor.math import Dot

from benchmarks.gpu_compile import reading
from utils import ops

# The CPU acts as two devices, and graphs take the GPU form.
ENVIRONMENT = {
    'JAX_PLATFORMS': 'cpu',
    'SYMFER_PLATFORM': 'gpu',
    'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
    'TF_CPP_MIN_LOG_LEVEL': '3',
}
DEVICES, BATCH, SIDE, CLASSES = 2, 16, 48, 7
# For a convolution and its gradients: index of the input with the shape of the outputs, and of that with the shape of
# the filters; None: the result has that shape.
CONVOLUTIONS = {ops.Conv2d: (None, 1), ops.Conv2dInputGrad: (0, 1), ops.Conv2dFilterGrad: (1, None)}


def operations(function: Any) -> int:
    """Count additions and multiplications of all convolutions and matrix products of a PyTensor function.

    Convolutions are counted by their definition, including the zero padding. Elementwise operations, pooling and sums
    are not counted.

    Raises
    ------
    ValueError
        The shapes of a convolution or product are not known.
    """
    total = 0
    for node in function.maker.fgraph.toposort():
        shapes = [v.type.shape if hasattr(v.type, 'shape') else () for v in (*node.inputs, node.outputs[0])]
        if type(node.op) in CONVOLUTIONS:
            image, filters = (shapes[-1 if k is None else k] for k in CONVOLUTIONS[type(node.op)])
            sides = [*image, *filters[:3]]
        elif isinstance(node.op, Dot):
            sides = [*shapes[-1], shapes[0][-1]]
        else:
            continue
        if None in sides:
            raise ValueError(f'expected convolutions and products of known shapes, got {node.op} of {shapes}')
        total += 2 * math.prod(sides)
    return total


def exchanges(text: str) -> list[dict[str, Any]]:
    """All-reduces of a compiled program in order, with 'bytes' and 'awaited' (whether other all-reduces depend on it).

    Those of a pass through the layers, such as the sums of batch norm, are awaited; those of gradients are not.
    """
    every = reading.executed(text)
    needs = {one.name: one.operands for one in every}
    sums = [one for one in every if one.opcode in ('all-reduce', 'all-reduce-start')]
    awaited: set[str] = set()
    for one in sums:
        todo, seen = list(one.operands), set()
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += needs.get(name, [])
        awaited |= seen
    return [{'bytes': reading.size(one.type), 'awaited': one.name in awaited} for one in sums]


def other_exchanges(text: str) -> list[str]:
    """Names of the communication between devices other than all-reduces."""
    kinds = [kind for kind in reading.COLLECTIVES if kind != 'all-reduce']
    return sorted(kind for one in reading.executed(text) for kind in kinds if one.opcode.startswith(kind))


def compiled_text(function: Any) -> str:
    """Text of a PyTensor function compiled by XLA for the available devices."""
    given = [np.zeros(i.variable.type.shape, i.variable.type.dtype) for i in function.maker.inputs if not i.shared]
    shared = [place[0] for place in function.vm.inputs[len(given) :]]
    return function.vm.jit_fn.lower(*given, *shared).compile().as_text()


def functions_of(network: Any, side: int = SIDE, devices: int = 1) -> Any:
    """Functions of a network, given by class or name, with its defaults and minibatches of `BATCH` images."""
    import cnn
    import mlp
    from utils.training.functions import Functions
    from utils.training.settings import Settings

    make = (getattr(cnn, network, None) or getattr(mlp, network)) if isinstance(network, str) else network
    made = make((side, side), CLASSES, rng=np.random.default_rng(0))
    return Functions(made, (side, side), Settings(BATCH, devices=devices), n_classes=CLASSES)


def count(network: Any, sides: Sequence[int] = (SIDE,)) -> dict[str, Any]:
    """Count the figures of a network.

    Parameters
    ----------
    network : str or class
        Name in cnn or mlp, or a class; its defaults are used.
    sides : sequence of int
        Sides of square images in pixels; exchanges are counted for the first.

    Returns
    -------
    dict
        'parameters': number of trained parameters; 'statistics': number of population statistics of batch norm;
        'operations': operations of a training step per image, by the side of the images; 'exchanges': see
        `exchanges`; 'others': see `other_exchanges`.
    """
    from utils.layer import parameters

    f = functions_of(network, sides[0], DEVICES)
    trainable = parameters(f.network, trainable=True)
    sizes = {name: p.get_value(borrow=True).size for name, p in f.parameters.items()}
    done = {sides[0]: operations(f.train)} | {s: operations(functions_of(network, s).train) for s in sides[1:]}
    text = compiled_text(f.train)
    return {
        'parameters': sum(size for name, size in sizes.items() if name in trainable),
        'statistics': sum(size for name, size in sizes.items() if name not in trainable),
        'operations': {str(side): total // BATCH for side, total in done.items()},
        'exchanges': exchanges(text),
        'others': other_exchanges(text),
    }


def main():
    for order in sys.argv[1:]:
        name, _, sides = order.partition(':')
        print(json.dumps({name: count(name, [int(s) for s in sides.split(',')] if sides else (SIDE,))}), flush=True)


if __name__ == '__main__':
    main()
