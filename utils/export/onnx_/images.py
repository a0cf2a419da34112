"""Convert convolution, pooling and response normalisation to ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils import ops
from utils.export.onnx_.conversion import IMAGES, Graph, converter

if TYPE_CHECKING:
    from pytensor.graph.basic import Apply


@converter(ops.Conv2d)
def convolution(graph: Graph, node: Apply) -> None:
    x, W = node.inputs
    filters = graph.initializer(graph.constant(W).transpose(3, 2, 0, 1), W.name)  # (out, in, height, width)
    name = graph.add(
        'Conv',
        [graph.get(x, IMAGES), filters],
        kernel_shape=list(W.type.shape[:2]),
        pads=[*node.op.pad, *node.op.pad],
        strides=list(node.op.stride),
        group=node.op.groups,
    )
    graph.set(node.outputs[0], name, IMAGES)


def _pooling(graph, node, kind, **attributes):
    op, x = node.op, node.inputs[0]
    height, width = (max(0, more) for more in op.padding(*x.type.shape[1:3]))
    name = graph.add(
        kind,
        [graph.get(x, IMAGES)],
        kernel_shape=list(op.window),
        strides=list(op.stride),
        pads=[0, 0, height, width],
        **attributes,
    )
    graph.set(node.outputs[0], name, IMAGES)


@converter(ops.MaxPool)
def max_pool(graph: Graph, node: Apply) -> None:
    """Convert the maxima; their positions, the second output, are needed only by the gradient."""
    _pooling(graph, node, 'MaxPool')


@converter(ops.AvgPool)
def avg_pool(graph: Graph, node: Apply) -> None:
    _pooling(graph, node, 'AveragePool', count_include_pad=0)


@converter(ops.LocalResponseNorm)
def response_normalisation(graph: Graph, node: Apply) -> None:
    op = node.op
    name = graph.add(
        'LRN',
        [graph.get(node.inputs[0], IMAGES)],
        size=op.size,
        alpha=op.alpha * op.size,  # ONNX divides it by the size
        beta=op.beta,
        bias=op.k,
    )
    graph.set(node.outputs[0], name, IMAGES)
