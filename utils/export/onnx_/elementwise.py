"""Convert element-wise operations to ONNX, by a dispatch over PyTensor's scalar operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from pytensor import scalar
from pytensor.scalar import math as special
from pytensor.tensor.elemwise import Elemwise

from utils.export.onnx_.conversion import IMAGES, PLAIN, Graph, NotConvertible, converter, plain_type

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply

# Operations that become ONNX nodes of this kind; operations of several inputs become a chain of pairs.
NAMES = {
    scalar.Add: 'Add',
    scalar.Mul: 'Mul',
    scalar.Sub: 'Sub',
    scalar.TrueDiv: 'Div',
    scalar.Pow: 'Pow',
    scalar.Maximum: 'Max',
    scalar.Minimum: 'Min',
    scalar.Neg: 'Neg',
    scalar.Abs: 'Abs',
    scalar.Sign: 'Sign',
    scalar.Ceil: 'Ceil',
    scalar.Floor: 'Floor',
    scalar.RoundHalfToEven: 'Round',
    scalar.Reciprocal: 'Reciprocal',
    scalar.Exp: 'Exp',
    scalar.Log: 'Log',
    scalar.Sqrt: 'Sqrt',
    scalar.Sin: 'Sin',
    scalar.Cos: 'Cos',
    scalar.Tan: 'Tan',
    scalar.Tanh: 'Tanh',
    scalar.Sinh: 'Sinh',
    scalar.Cosh: 'Cosh',
    scalar.ArcTan: 'Atan',
    scalar.Identity: 'Identity',
    special.Sigmoid: 'Sigmoid',
    special.Softplus: 'Softplus',
    special.Erf: 'Erf',
}
COMPARISONS = {
    scalar.LT: 'Less',
    scalar.GT: 'Greater',
    scalar.LE: 'LessOrEqual',
    scalar.GE: 'GreaterOrEqual',
    scalar.EQ: 'Equal',
}
LOGIC = {scalar.AND: 'And', scalar.OR: 'Or', scalar.XOR: 'Xor', scalar.Invert: 'Not'}
SCALARS: dict[type, Callable[[Graph, list[str], str], str]] = {}


def scalar_converter(*ops: type) -> Callable[..., Any]:
    """Register ``convert(graph, inputs, dtype)``, which maps names of inputs of `dtype` to an output; a decorator."""

    def register(function):
        for op in ops:
            SCALARS[op] = function
        return function

    return register


@converter(Elemwise)
def elementwise(graph: Graph, node: Apply) -> None:
    """Convert to one or more nodes, in the order of images if an input exists only in this order."""
    op, (out,) = node.op.scalar_op, node.outputs
    order = IMAGES if any(graph.is_images(v) for v in node.inputs) else PLAIN
    kind = _kind(op)
    if kind is scalar.Cast:
        graph.set(out, graph.get(node.inputs[0], order, plain_type(out.dtype)), order)
        return
    if kind is scalar.Switch:
        condition = graph.get(node.inputs[0], order, 'bool')
        rest = [graph.get(v, order, plain_type(out.dtype)) for v in node.inputs[1:]]
        graph.set(out, graph.add('Where', [condition, *rest]), order)
        return
    dtype = plain_type(out.dtype)
    if kind in COMPARISONS or kind is scalar.NEQ:
        dtype = plain_type(np.result_type(*(v.dtype for v in node.inputs)).name)
    if kind is scalar.Maximum and (other := _rectified(graph, node)) is not None:
        graph.set(out, graph.add('Relu', [graph.get(other, order, dtype)]), order)
        return
    inputs = [graph.get(v, order, dtype) for v in node.inputs]
    if kind in SCALARS:
        name = SCALARS[kind](graph, inputs, dtype)
    elif kind in NAMES and len(inputs) > 1:
        name = inputs[0]
        for other_name in inputs[1:]:
            name = graph.add(NAMES[kind], [name, other_name])
    else:
        name = graph.add(NAMES.get(kind) or COMPARISONS.get(kind) or LOGIC[kind], inputs)
    graph.set(out, name, order)


def _kind(op):
    """Return the convertible class of a scalar operation; raise NotConvertible if there is none."""
    known = {*NAMES, *COMPARISONS, *LOGIC, *SCALARS, scalar.Cast, scalar.Switch}
    for kind in type(op).__mro__:
        if kind in known:
            return kind
    raise NotConvertible(
        f'the network computes with {op}, element by element, for which export to ONNX has no converter: register one '
        'with utils.export.onnx_.elementwise.scalar_converter'
    )


def _rectified(graph, node):
    """Return x if the node is max(x, 0), or None."""
    for one, other in (node.inputs, node.inputs[::-1]) if len(node.inputs) == 2 else ():
        if one not in graph.dynamic and other in graph.dynamic and not np.any(graph.constant(one)):
            return other
    return None


def _number(graph, value, dtype):
    return graph.initializer(np.asarray(value, dtype))


@scalar_converter(scalar.Sqr)
def sqr(graph: Graph, inputs: list[str], dtype: str) -> str:
    return graph.add('Mul', [*inputs, *inputs])


@scalar_converter(scalar.Log1p)
def log1p(graph: Graph, inputs: list[str], dtype: str) -> str:
    return graph.add('Log', [graph.add('Add', [*inputs, _number(graph, 1, dtype)])])


@scalar_converter(scalar.Expm1)
def expm1(graph: Graph, inputs: list[str], dtype: str) -> str:
    return graph.add('Sub', [graph.add('Exp', inputs), _number(graph, 1, dtype)])


@scalar_converter(scalar.Second)
def second(graph: Graph, inputs: list[str], dtype: str) -> str:
    return graph.add('Expand', [inputs[1], graph.add('Shape', inputs[:1])])


@scalar_converter(scalar.NEQ)
def not_equal(graph: Graph, inputs: list[str], dtype: str) -> str:
    return graph.add('Not', [graph.add('Equal', inputs)])


@scalar_converter(scalar.Clip)
def clip(graph: Graph, inputs: list[str], dtype: str) -> str:
    x, low, high = inputs
    return graph.add('Min', [graph.add('Max', [x, low]), high])
