"""Convert reshapes, transposes, slices, joins, reductions and products to ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pytensor.tensor.basic import Alloc, Join
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.special import Softmax
from pytensor.tensor.subtensor import Subtensor, indices_from_subtensor

from utils.export.onnx_.conversion import (
    BATCH,
    IMAGES,
    PLAIN,
    TO_IMAGES,
    TO_PLAIN,
    Graph,
    NotConvertible,
    converter,
    plain_type,
)

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply

REDUCTIONS = {'Add': 'ReduceSum', 'Mul': 'ReduceProd', 'Maximum': 'ReduceMax', 'Minimum': 'ReduceMin'}
PLACE_IN_IMAGES = {0: 0, 1: 2, 2: 3, 3: 1}  # positions of the graph's axes in the order of images


def _order(graph, node):
    """Return the order in which the first input exists, and a function from its axes to those of that order."""
    if graph.is_images(node.inputs[0]):
        return IMAGES, PLACE_IN_IMAGES.__getitem__
    return PLAIN, int


@converter(DimShuffle)
def dimshuffle(graph: Graph, node: Apply) -> None:
    """Convert to Squeeze, Transpose and Unsqueeze, as far as they are needed."""
    (x,), (out,) = node.inputs, node.outputs
    new_order = tuple(node.op.new_order)
    if graph.is_images(x) and new_order in (TO_IMAGES, (0, 1, 2, 3)):
        graph.set(out, graph.get(x, IMAGES), PLAIN if new_order == TO_IMAGES else IMAGES)
        return
    if new_order == TO_PLAIN and not graph.is_images(x):  # the user's own images first: (n, c, h, w)
        graph.set(out, graph.get(x), IMAGES)
        return
    name, axes = graph.get(x), list(range(x.type.ndim))
    kept = [axis for axis in new_order if axis != 'x']
    dropped = [axis for axis in axes if axis not in kept]
    if dropped:
        name = graph.add('Squeeze', [name, graph.initializer(np.array(dropped, np.int64))])
    left = [axis for axis in axes if axis in kept]
    if kept != left:
        name = graph.add('Transpose', [name], perm=[left.index(axis) for axis in kept])
    new = [k for k, axis in enumerate(new_order) if axis == 'x']
    if new:
        name = graph.add('Unsqueeze', [name, graph.initializer(np.array(new, np.int64))])
    graph.set(out, name)


@converter(Reshape)
def reshape(graph: Graph, node: Apply) -> None:
    sides = graph.initializer(np.array(graph.sides(node.outputs[0]), np.int64))
    graph.set(node.outputs[0], graph.add('Reshape', [graph.get(node.inputs[0]), sides]))


@converter(SpecifyShape)
def specify_shape(graph: Graph, node: Apply) -> None:
    order, _ = _order(graph, node)
    graph.set(node.outputs[0], graph.get(node.inputs[0], order), order)


@converter(Subtensor)
def subtensor(graph: Graph, node: Apply) -> None:
    """Convert slices with constant bounds; an integer index becomes a slice of length one that is squeezed."""
    x, out = node.inputs[0], node.outputs[0]
    order, place = _order(graph, node)
    starts, ends, axes, steps, dropped = [], [], [], [], []
    far = np.iinfo(np.int64).max
    for axis, index in enumerate(indices_from_subtensor(node.inputs[1:], node.op.idx_list)):
        if not isinstance(index, slice):
            k = int(graph.constant(index))
            starts, ends, steps = [*starts, k], [*ends, k + 1 if k != -1 else far], [*steps, 1]
            axes.append(place(axis))
            dropped.append(axis)
        elif any(part is not None for part in (index.start, index.stop, index.step)):
            start, stop, step = (
                None if part is None else int(graph.constant(part)) if hasattr(part, 'type') else int(part)
                for part in (index.start, index.stop, index.step)
            )
            step = step or 1
            starts.append(start if start is not None else 0 if step > 0 else far)
            ends.append(stop if stop is not None else far if step > 0 else -far)
            axes.append(place(axis))
            steps.append(step)
    if 0 in axes:
        raise NotConvertible('the network selects some of its images, whose number is free in ONNX')
    name = graph.get(x, order)
    if axes:
        name = graph.add(
            'Slice', [name, *(graph.initializer(np.array(v, np.int64)) for v in (starts, ends, axes, steps))]
        )
    if dropped and order == IMAGES:
        name, order = graph.add('Transpose', [name], perm=TO_PLAIN), PLAIN
    if dropped:
        name = graph.add('Squeeze', [name, graph.initializer(np.array(dropped, np.int64))])
    graph.set(out, name, order)


@converter(Alloc)
def alloc(graph: Graph, node: Apply) -> None:
    """Convert an array that repeats a value for each image, unless `join` has used it as padding."""
    sides = graph.sides(node.outputs[0])
    if sides[0] != -1:
        raise NotConvertible(f'{node.outputs[0]} has the number of images on an axis other than the first')
    images = next(iter(graph.names[graph.x].values()))
    one = [graph.initializer(np.array([k], np.int64)) for k in (0, 1)]
    n = graph.add('Slice', [graph.add('Shape', [images]), *one])
    shape = graph.add('Concat', [n, graph.initializer(np.array(sides[1:], np.int64))], axis=0)
    graph.set(node.outputs[0], graph.add('Expand', [graph.get(node.inputs[0]), shape]))


@converter(Join)
def join(graph: Graph, node: Apply) -> None:
    """Convert a concatenation; constant parts at its ends, such as channels of zeros, become padding."""
    axis, parts, out = int(graph.constant(node.inputs[0])), list(node.inputs[1:]), node.outputs[0]
    axis %= out.type.ndim
    before = after = 0
    fill = None
    while len(parts) > 1 and (value := _filled(graph, parts[-1])) is not None and fill in (None, value):
        fill, after = value, after + parts.pop().type.shape[axis]
    while len(parts) > 1 and (value := _filled(graph, parts[0])) is not None and fill in (None, value):
        fill, before = value, before + parts.pop(0).type.shape[axis]
    images = any(graph.is_images(v) for v in parts)
    order, place = (IMAGES, PLACE_IN_IMAGES[axis]) if images else (PLAIN, axis)
    names = [graph.get(v, order, plain_type(out.dtype)) for v in parts]
    name = names[0] if len(names) == 1 else graph.add('Concat', names, axis=place)
    if fill is not None:
        pads = np.zeros(2 * out.type.ndim, np.int64)
        pads[place], pads[out.type.ndim + place] = before, after
        value = graph.initializer(np.asarray(fill, plain_type(out.dtype)))
        name = graph.add('Pad', [name, graph.initializer(pads), value], mode='constant')
    graph.set(out, name, order)


def _filled(graph, variable):
    """Return the number with which an array is filled; None if it is not such an array."""
    owner = variable.owner
    if owner is None or not isinstance(owner.op, Alloc) or BATCH not in variable.type.shape:
        return None
    value = owner.inputs[0]
    return float(graph.constant(value)) if value not in graph.dynamic and not value.type.ndim else None


@converter(CAReduce)
def reduction(graph: Graph, node: Apply) -> None:
    kind = next((REDUCTIONS[c.__name__] for c in type(node.op.scalar_op).__mro__ if c.__name__ in REDUCTIONS), None)
    x, out = node.inputs[0], node.outputs[0]
    if kind is None:
        raise NotConvertible(f'export to ONNX has no converter for the reduction {node.op}')
    axes = [*range(x.type.ndim)] if node.op.axis is None else [*node.op.axis]
    if 0 in axes and BATCH in x.type.shape:
        raise NotConvertible('the network reduces over its images, whose number is free in ONNX')
    order, place = _order(graph, node)
    name, places = graph.get(x, order, plain_type(out.dtype)), [place(axis) for axis in axes]
    if kind == 'ReduceSum':
        name = graph.add(kind, [name, graph.initializer(np.array(places, np.int64))], keepdims=0)
    else:
        name = graph.add(kind, [name], axes=places, keepdims=0)
    if order == IMAGES:  # the remaining axes are in another order: channels before height and width
        left = [axis for axis in (0, 3, 1, 2) if axis not in axes]
        if left != sorted(left):
            name = graph.add('Transpose', [name], perm=[left.index(axis) for axis in sorted(left)])
    graph.set(out, name)


@converter(Dot)
def dot(graph: Graph, node: Apply) -> None:
    dtype = plain_type(node.outputs[0].dtype)
    graph.set(node.outputs[0], graph.add('MatMul', [graph.get(v, PLAIN, dtype) for v in node.inputs]))


@converter(Blockwise)
def blockwise(graph: Graph, node: Apply) -> None:
    """Convert products of stacks of matrices."""
    if not isinstance(node.op.core_op, Dot):
        raise NotConvertible(f'export to ONNX has no converter for {node.op}')
    dot(graph, node)


@converter(Softmax)
def softmax(graph: Graph, node: Apply) -> None:
    axes = np.atleast_1d(node.op.axis)
    if node.op.axis is None or len(axes) != 1:
        raise NotConvertible(f'export to ONNX supports a softmax over one axis, got {node.op}')
    graph.set(node.outputs[0], graph.add('Softmax', [graph.get(node.inputs[0])], axis=int(axes[0])))
