"""Convert a PyTensor graph to ONNX nodes by a dispatch over its Ops.

Images are (n, height, width, channels) in the graph and (n, channels, height, width) in ONNX. A variable of four
dimensions may exist in either order. A transpose is inserted only where the other order is needed, so there is none
from the first convolution to the last pooling.
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

BATCH = 7919  # placeholder for the number of images, which is free in ONNX: a size that no image or layer has
OPSET = 17
PLAIN, IMAGES = 'plain', 'images'  # orders of the axes: that of the graph, and (n, channels, height, width)
TO_IMAGES, TO_PLAIN = (0, 3, 1, 2), (0, 2, 3, 1)
CONVERTERS: dict[type, Callable[[Graph, Apply], None]] = {}


class NotConvertible(ValueError):
    """A part of a graph cannot be converted to ONNX."""


def converter(*ops: type[Op]) -> Callable[..., Any]:
    """Register a function ``convert(graph, node)`` that converts applications of these Ops; a decorator.

    The function gets its inputs from `Graph.get`, adds nodes by `Graph.add` and assigns its outputs by `Graph.set`.
    """

    def register(function):
        for op in ops:
            CONVERTERS[op] = function
        return function

    return register


class Graph:
    """The ONNX nodes and constants of a graph.

    Parameters
    ----------
    x : tensor (BATCH, height, width, channels)
        Input of the graph.
    name : str
        Name of `x` in ONNX, where its axes are in the order of images.
    """

    def __init__(self, x: Tensor, name: str) -> None:
        self.onnx = need('onnx', 'export', 'to export to ONNX')
        self.x, self.nodes, self.constants = x, [], {}
        self.names: dict[Any, dict[str, str]] = {x: {IMAGES: name}}
        self.dynamic, self.unknown, self.count = {x}, {}, 0

    def convert(self, output: Tensor) -> str:
        """Add the nodes for everything that `output` depends on and return its name in ONNX.

        Raises
        ------
        NotConvertible
            An Op has no converter. The message names it and says what to do.
        """
        for node in io_toposort([self.x], [output]):
            if isinstance(node.op, (Shape, Shape_i)):
                continue  # static shapes are known
            if not any(v in self.dynamic or v in self.unknown for v in node.inputs) and not _of_batch(node.outputs[0]):
                continue  # a constant, evaluated when it is needed
            self.dynamic.update(node.outputs)
            try:
                _converter_of(node.op)(self, node)
            except NotConvertible as error:  # raised only if an output of the node is needed
                self.unknown.update(dict.fromkeys(node.outputs, error))
        return self.get(output)

    # ------------------------------------------------------------------ variables

    def get(self, variable: Variable, order: str = PLAIN, dtype: str | None = None) -> str:
        """Return the name in ONNX of a variable with the given order of axes and type."""
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
        """Assign the ONNX value `name` to a variable."""
        self.names[variable] = {order: name}

    def is_images(self, variable: Variable) -> bool:
        """Return whether a variable exists only in the order of images."""
        return variable in self.names and PLAIN not in self.names[variable]

    def constant(self, variable: Variable) -> np.ndarray:
        """Return the value of a variable that does not depend on the images, with float64 as float32.

        Raises
        ------
        NotConvertible
            The variable depends on the images or on their number.
        """
        if variable in self.dynamic or variable in self.unknown:
            raise NotConvertible(f'{variable} depends on the images, but export needs a constant')
        value = _evaluated(variable, BATCH)
        if _asks_for_shapes(variable) and not np.array_equal(value, _evaluated(variable, BATCH + 1)):
            raise NotConvertible(f'{variable} depends on the number of images, which is free in ONNX')
        return value.astype(plain_type(value.dtype.name))

    def sides(self, variable: Variable) -> list[int]:
        """Return the static shape of a variable, with -1 for the number of images."""
        shape = variable.type.shape
        if None in shape or shape.count(BATCH) > 1:
            raise NotConvertible(f'export needs static shapes, got {variable.type}')
        return [-1 if side == BATCH else side for side in shape]

    # ------------------------------------------------------------------ nodes and constants

    def add(self, kind: str, inputs: Sequence[str], n_outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return the name of its first output."""
        outputs = [self._new(kind.lower()) for _ in range(n_outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs[0]

    def initializer(self, value: Any, label: str | None = None) -> str:
        """Return the name of a constant, adding it if no equal constant exists."""
        value = np.ascontiguousarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self.constants:
            taken = {name for name, _ in self.constants.values()}
            self.constants[key] = (label if label and label not in taken else self._new('constant'), value)
        return self.constants[key][0]

    def type_number(self, dtype: str) -> int:
        """Return ONNX's number of a NumPy type."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def _new(self, word):
        self.count += 1
        return f'{word}_{self.count}'


def plain_type(dtype: str) -> str:
    """Return the ONNX type for a type in the graph; float64 becomes float32, which is precise enough."""
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
    """Evaluate, in NumPy and for `n` images, a variable that depends on the images only through their shape."""
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
