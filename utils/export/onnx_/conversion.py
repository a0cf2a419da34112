"""A graph of PyTensor turned into the nodes of ONNX, by a dispatch over its Ops.

Images are (n, height, width, channels) in the graph and (n, channels, height, width) in ONNX. A variable of four
dimensions may be there in either order; a transpose is made only where the other one is asked for, so that from the
first convolution to the last pooling there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor.compile import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors, graph_inputs, io_toposort
from pytensor.tensor.shape import Shape, Shape_i

from utils.files.extras import need

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply, Variable
    from pytensor.graph.op import Op

    from utils.annotations import Tensor

BATCH = 7919  # stands for the number of images, which is free in ONNX: a side that no image and no layer has
OPSET = 17
PLAIN, IMAGES = 'plain', 'images'  # orders of the axes: as in the graph; (n, channels, height, width)
TO_IMAGES, TO_PLAIN = (0, 3, 1, 2), (0, 2, 3, 1)
CONVERTERS: dict[type, Callable[[Graph, Apply], None]] = {}


class NotConvertible(ValueError):
    """A part of a graph that ONNX export does not know."""


def converter(*ops: type[Op]) -> Callable[..., Any]:
    """Decorator: the function ``convert(graph, node)`` gives the nodes of ONNX for an application of these Ops.

    It asks for its inputs by `Graph.get`, makes nodes by `Graph.add` and says by `Graph.set` what its outputs are.
    """

    def register(function):
        for op in ops:
            CONVERTERS[op] = function
        return function

    return register


class Graph:
    """The nodes and constants of ONNX that stand for a graph.

    Parameters
    ----------
    x : tensor (BATCH, height, width, channels)
        The input of the graph.
    name : str
        Of `x` in ONNX, where its order is that of images.
    """

    def __init__(self, x: Tensor, name: str) -> None:
        self.onnx = need('onnx', 'export', 'to export to ONNX')
        self.x, self.nodes, self.constants = x, [], {}
        self.names: dict[Any, dict[str, str]] = {x: {IMAGES: name}}
        self.dynamic, self.unknown, self.count = {x}, {}, 0

    def convert(self, output: Tensor) -> str:
        """Make the nodes of all that `output` needs; returns its name in ONNX.

        Raises
        ------
        NotConvertible
            Names an Op that has no converter, and what to do.
        """
        for node in io_toposort([self.x], [output]):
            if isinstance(node.op, (Shape, Shape_i)):
                continue  # static shapes are known
            if not any(v in self.dynamic or v in self.unknown for v in node.inputs) and not _of_batch(node.outputs[0]):
                continue  # a constant, taken when it is asked for
            self.dynamic.update(node.outputs)
            try:
                _converter_of(node.op)(self, node)
            except NotConvertible as error:  # it matters only if what comes out is asked for
                self.unknown.update(dict.fromkeys(node.outputs, error))
        return self.get(output)

    # ------------------------------------------------------------------ variables

    def get(self, variable: Variable, order: str = PLAIN, dtype: str | None = None) -> str:
        """The name in ONNX of a variable, in an order of its axes and in a type."""
        if variable in self.unknown:
            raise self.unknown[variable]
        if variable not in self.dynamic:
            value = self.constant(variable)
            value = value.transpose(TO_IMAGES) if order == IMAGES else value
            label = variable.name if order == PLAIN and dtype is None else None
            return self.initializer(value if dtype is None else value.astype(dtype), label)
        known = self.names[variable]
        if order not in known:
            known[order] = self.add('Transpose', [*known.values()][:1], perm=TO_IMAGES if order == IMAGES else TO_PLAIN)
        if dtype is not None and plain_type(variable.dtype) != dtype:
            return self.add('Cast', [known[order]], to=self.type_number(dtype))
        return known[order]

    def set(self, variable: Variable, name: str, order: str = PLAIN) -> None:
        """Say which value of ONNX a variable is."""
        self.names[variable] = {order: name}

    def is_images(self, variable: Variable) -> bool:
        """Whether a variable is there in the order of images alone."""
        return variable in self.names and PLAIN not in self.names[variable]

    def constant(self, variable: Variable) -> np.ndarray:
        """The value of a variable that does not depend on the images, float64 as float32.

        Raises
        ------
        NotConvertible
            It does depend on them, or on how many there are.
        """
        if variable in self.dynamic or variable in self.unknown:
            raise NotConvertible(f'{variable} depends on the images, where export needs a constant')
        value = _evaluated(variable, BATCH)
        if _asks_for_shapes(variable) and not np.array_equal(value, _evaluated(variable, BATCH + 1)):
            raise NotConvertible(f'{variable} depends on the number of images, which is free in ONNX')
        return value.astype(plain_type(value.dtype.name))

    def sides(self, variable: Variable) -> list[int]:
        """The static shape of a variable, -1 for the number of images."""
        shape = variable.type.shape
        if None in shape or shape.count(BATCH) > 1:
            raise NotConvertible(f'export needs static shapes, got {variable.type}')
        return [-1 if side == BATCH else side for side in shape]

    # ------------------------------------------------------------------ what ONNX is made of

    def add(self, kind: str, inputs: Sequence[str], n_outputs: int = 1, **attributes: Any) -> str:
        """A node; returns the name of its first output."""
        outputs = [self._new(kind.lower()) for _ in range(n_outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs[0]

    def initializer(self, value: Any, label: str | None = None) -> str:
        """The name of a constant of ONNX; the same for the same value."""
        value = np.ascontiguousarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.constants:
            taken = {name for name, _ in self.constants.values()}
            self.constants[key] = (label if label and label not in taken else self._new('constant'), value)
        return self.constants[key][0]

    def type_number(self, dtype: str) -> int:
        """ONNX's number of a NumPy type."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def _new(self, word):
        self.count += 1
        return f'{word}_{self.count}'


def plain_type(dtype: str) -> str:
    """The type in ONNX of one in the graph: what is float64 there needs no more than float32."""
    return 'float32' if dtype == 'float64' else dtype


def _of_batch(variable):
    return BATCH in (getattr(variable.type, 'shape', None) or ())


def _converter_of(op):
    for kind in type(op).__mro__:
        if kind in CONVERTERS:
            return CONVERTERS[kind]
    raise NotConvertible(
        f'the network computes with {op} (an Op of class {type(op).__module__}.{type(op).__name__}), for which export '
        'to ONNX has no converter: register one with utils.export.onnx_.conversion.converter'
    )


def _asks_for_shapes(variable):
    return any(isinstance(getattr(v.owner, 'op', None), (Shape, Shape_i)) for v in ancestors([variable]))


def _evaluated(variable, n):
    """The value of a variable that depends on the images by their shape alone, for `n` of them, by NumPy."""
    values = {}

    def value_of(v):
        if isinstance(v, Constant):
            return v.data
        if isinstance(v, SharedVariable):
            return np.asarray(v.get_value(borrow=True))
        return values[v]

    for node in io_toposort([v for v in graph_inputs([variable]) if v.owner is None], [variable]):
        if isinstance(node.op, (Shape, Shape_i)):
            shape = node.inputs[0].type.shape
            if None in shape:
                raise NotConvertible(f'export needs static shapes, got {node.inputs[0].type}')
            sides = np.array([n if side == BATCH else side for side in shape], np.int64)
            values[node.outputs[0]] = sides if isinstance(node.op, Shape) else sides[node.op.i]
        elif all(isinstance(v, (Constant, SharedVariable)) or v in values for v in node.inputs):
            storage = [[None] for _ in node.outputs]
            node.op.prepare_node(node, None, None, 'py')
            node.op.perform(node, [value_of(v) for v in node.inputs], storage)
            values.update((v, cell[0]) for v, cell in zip(node.outputs, storage))
    return np.asarray(value_of(variable))
