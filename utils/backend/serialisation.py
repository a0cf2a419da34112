"""Exports a graph as StableHLO, JAX's portable format of programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import pytensor.tensor as pt
from jax import export
from pytensor.compile import SharedVariable
from pytensor.graph import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import graph_inputs
from pytensor.link.jax.dispatch import jax_funcify

from utils.backend.compilation import MODE
from utils.backend.precision import computing_in

if TYPE_CHECKING:
    from utils.annotations import Tensor

PLATFORMS = ('cpu', 'cuda')
# Rewrites that pay on this CPU, not elsewhere.
ONLY_HERE = 'native_convolutions', 'native_layers', 'native_products', 'winograd_convolutions'


def stablehlo(image: Tensor, output: Tensor) -> bytes:
    """Serialise a program for CPU and CUDA GPU by `jax.export`; shared variables become constants.

    JAX promises that later versions can read it for half a year.

    Parameters
    ----------
    image : tensor (1, ...)
        Input of the program, for one image.
    output : tensor (1, ...)
        Output of the program, for one image.

    Returns
    -------
    bytes
        A program from n images to n outputs, for any n.
    """
    shared = [v for v in graph_inputs([output]) if isinstance(v, SharedVariable)]
    (output,) = clone_replace([output], {v: pt.constant(v.get_value()) for v in shared})
    graph = FunctionGraph([image], [output], clone=True)
    MODE.excluding(*ONLY_HERE).optimizer.rewrite(graph)
    function = jax_funcify(graph)

    def one(x):
        with computing_in('float32'):
            return function(x[None])[0][0]

    n = export.symbolic_shape('n')
    shape = jax.ShapeDtypeStruct((*n, *image.type.shape[1:]), image.dtype)
    return bytes(export.export(jax.jit(jax.vmap(one)), platforms=PLATFORMS)(shape).serialize())
