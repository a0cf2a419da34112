"""What a training step computes and what devices exchange in it: ``python -m benchmarks.scaling.counting NAME...``.

Prints a JSON object a network, in lines. A process of its own, for its CPU has to count as two devices; `ENVIRONMENT`
has to be set before it starts.
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

# The CPU as two devices, graphs in the form for a GPU.
ENVIRONMENT = {
    'JAX_PLATFORMS': 'cpu',
    'SYMFER_PLATFORM': 'gpu',
    'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
    'TF_CPP_MIN_LOG_LEVEL': '3',
}
DEVICES, BATCH, SIDE, CLASSES = 2, 16, 48, 7
# Which input of a convolution or of one of its gradients has the shape of the outputs, and which of the filters; None:
# what it gives has.
CONVOLUTIONS = {ops.Conv2d: (None, 1), ops.Conv2dInputGrad: (0, 1), ops.Conv2dFilterGrad: (1, None)}


def operations(function: Any) -> int:
    """Additions and multiplications of all convolutions and matrix products of a PyTensor function.

    Convolutions are counted as they are defined, zeros around the images included. What is done element by element,
    in pooling and in sums is not counted.

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
    """All-reduces of a compiled program, in order: 'bytes', and whether other all-reduces wait for it ('awaited').

    Those of a pass through the layers, as batch norm's sums, are awaited; those of gradients are not.
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
    """Communication between devices that is no all-reduce, by its names."""
    kinds = [kind for kind in reading.COLLECTIVES if kind != 'all-reduce']
    return sorted(kind for one in reading.executed(text) for kind in kinds if one.opcode.startswith(kind))


def compiled_text(function: Any) -> str:
    """A PyTensor function as XLA compiles it for the devices that are there."""
    given = [np.zeros(i.variable.type.shape, i.variable.type.dtype) for i in function.maker.inputs if not i.shared]
    shared = [place[0] for place in function.vm.inputs[len(given) :]]
    return function.vm.jit_fn.lower(*given, *shared).compile().as_text()


def functions_of(network: Any, side: int = SIDE, devices: int = 1) -> Any:
    """The functions of a network, from its class or name, with its defaults and minibatches of `BATCH` images."""
    import cnn
    import mlp
    from utils.training.functions import Functions
    from utils.training.settings import Settings

    make = (getattr(cnn, network, None) or getattr(mlp, network)) if isinstance(network, str) else network
    made = make((side, side), CLASSES, rng=np.random.default_rng(0))
    return Functions(made, (side, side), Settings(BATCH, devices=devices), n_classes=CLASSES)


def count(network: Any, sides: Sequence[int] = (SIDE,)) -> dict[str, Any]:
    """The figures of a network.

    Parameters
    ----------
    network : str or class
        Of cnn or mlp, as its class has it.
    sides : sequence of int
        Heights of square images; what is exchanged is that of the first.

    Returns
    -------
    dict
        'parameters': numbers that training changes; 'statistics': numbers that batch norm keeps; 'operations': of a
        training step an image, by the side of the images; 'exchanges' as in `exchanges`; 'others': see
        `other_exchanges`.
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
