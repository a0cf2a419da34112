"""Compiles graphs, with `function` instead of `pytensor.function`.

==================  ===========================================================================
`function`          compiles a graph for the device
`mode`, `MODE`      PyTensor's mode for a precision; the mode for float32
`Linker`            PyTensor's JAX linker with XLA's options and in-place updates
==================  ===========================================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import pytensor
from pytensor.compile.mode import Mode
from pytensor.graph import RewriteDatabaseQuery
from pytensor.link.jax.linker import JAXLinker

from utils import process
from utils.backend import rewrites
from utils.backend.executables import NAME, Executable, Stored, Storing
from utils.backend.hosts import local, n_hosts
from utils.backend.partition import NONE, Partition, dividing
from utils.backend.platform import platform
from utils.backend.precision import PRECISIONS, computing_in
from utils.ops.convolution import Convolution
from utils.ops.kernels import Kernel
from utils.ops.winograd import BatchedProducts

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor

# Ops of convolutions, before and after the rewrites.
CONVOLUTIONS = Convolution, Kernel, BatchedProducts


@lru_cache
def compiler_options(convolves: bool = True) -> dict[str, str]:
    """XLA's options for the first device; none if the installed XLA does not know them.

    On a CPU, XLA computes convolutions by YNNPACK unless that library is restricted to single matrix products; its own
    (Eigen's) convolutions are about twice as fast. In a graph without convolutions it is restricted to those, because
    Eigen's products are faster too: training steps of an MLP by 8 %, its inference by 17 %. (Training steps of network
    A would be slower by 3 %.) The second option keeps XLA from removing the barriers of `materialised` before it fuses.

    Parameters
    ----------
    convolves : bool
        Whether the graph has convolutions.
    """
    if platform() != 'cpu':
        return {}
    restricted_to = 'DOT' if convolves else 'CONVOLUTION'
    options = {
        'xla_cpu_experimental_ynn_fusion_type': f'LIBRARY_FUSION_TYPE_INDIVIDUAL_{restricted_to}',
        'xla_disable_hlo_passes': 'cse_barrier_expander',
    }
    try:
        jax.jit(lambda x: x + 1, compiler_options=options)(0.0)
    except Exception:  # jaxlib's error for an unknown option has no specific class
        return {}
    return options


def _after_compiling(event, seconds, **kwargs):
    if event.endswith('backend_compile_duration'):
        process.give_back()  # LLVM needs more memory than a training step


jax.monitoring.register_event_duration_secs_listener(_after_compiling)


class Linker(JAXLinker):
    """PyTensor's JAX linker with `compiler_options` and in-place updates.

    A call destroys the old values of the shared variables that it updates: an array from ``get_value(borrow=True)``
    must not be used after the call.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        Precision of convolutions and products, see `mode`.
    partition : Partition
        Division of the work among devices.
    """

    def __init__(self, precision: str = 'float32', partition: Partition = NONE, **kwargs: Any) -> None:
        self.precision, self.partition = precision, partition
        self.updated = self.variables = ()
        self.convolves = True
        self.stored: Stored | None = None
        super().__init__(**kwargs)

    def fgraph_convert(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        self.updated, self.variables = tuple(sorted(set(fgraph.update_mapping.values()))), tuple(fgraph.inputs)
        self.stored = getattr(fgraph, 'stored', None)
        self.convolves = any(isinstance(node.op, CONVOLUTIONS) for node in fgraph.apply_nodes)
        convert = super().fgraph_convert

        def converted():
            function = convert(fgraph, *args, **kwargs)
            Path(function.__code__.co_filename).unlink(missing_ok=True)  # the source that PyTensor leaves
            return function

        if self.stored is None or self.stored.compiled is None:
            return converted()

        def later():  # the executable is in a file; the graph is only rewritten if something needs it
            self.stored.rewriter.rewrite(fgraph)
            kwargs['order'] = fgraph.toposort()
            return converted()

        return later

    def jit_compile(self, fn: Callable[..., Any]) -> Any:
        if self.stored is None or self.scalar_shape_inputs:
            return self._jitted(fn)
        there = self.stored.compiled is not None
        return Executable(self.stored, lambda: self._jitted(fn() if there else fn))

    def _jitted(self, fn):
        def in_precision(*args):
            with computing_in(self.precision), dividing(self.partition):
                return fn(*args)

        in_precision.__name__ = NAME if self.stored else 'step'
        if self.scalar_shape_inputs:
            return super().jit_compile(in_precision)
        options = {'donate_argnums': self.updated, 'compiler_options': compiler_options(self.convolves)}
        if self.partition.devices > 1:
            return self.partition.jit(in_precision, self.variables, **options)
        compiled = jax.jit(in_precision, **options)
        if n_hosts() == 1:
            return compiled

        def on_this_host(*arrays):
            return compiled(*map(local, arrays))

        on_this_host.__wrapped__ = in_precision  # type: ignore[attr-defined]
        return on_this_host


# XLA fuses by itself. Fusion by PyTensor takes longer to rewrite and to trace, and does not run faster.
MODE = Mode(Linker(), RewriteDatabaseQuery(include=['fast_run', 'jax', rewrites.TAG])).excluding(
    'fusion', 'add_mul_fusion', *filter(None, os.environ.get('SYMFER_EXCLUDE', '').split(','))
)


def mode(precision: str = 'float32', partition: Partition = NONE) -> Any:
    """Return PyTensor's mode for a precision of convolutions and products.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        Precision of the operands: float32, or rounded to tf32 (on devices that have it: GPUs since 2020) or bfloat16.
        Sums are in float32 in all three, and so is everything else.
    partition : Partition
        Division of the work among devices.

    Raises
    ------
    ValueError
        If the precision is unknown.
    """
    platform()  # refuses a wrong SYMFER_PLATFORM before anything is compiled
    if precision not in PRECISIONS:
        raise ValueError(f'precision must be one of {", ".join(map(repr, PRECISIONS))}, got {precision!r}')
    if precision == 'float32' and partition == NONE:
        return MODE
    # The kernels are for float32 only. In bf16 the transforms would be rounded too, and they amplify rounding errors.
    exclude = [] if precision == 'float32' else ['native_convolutions', 'native_products']
    exclude += ['winograd_convolutions'] if precision == 'bf16' else []
    return Mode(Linker(precision, partition), MODE.provided_optimizer).excluding(*exclude)


def function(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor] | Tensor,
    precision: str = 'float32',
    devices: int = 1,
    stored: bool = False,
    **kwargs: Any,
) -> Any:
    """Compile a graph for the device, like `pytensor.function`.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        See `mode`.
    devices : int
        Number of devices that compute the function together. A minibatch is divided among them; its size is the
        number of rows of the first input.
    stored : bool
        Load the executable from a file, or write it to one, see `utils.backend.executables`. The graph of a loaded
        function (`maker.fgraph`) is not rewritten.
    """
    partition = Partition(devices, inputs[0].type.shape[0]) if devices > 1 else NONE
    how = mode(precision, partition)
    if stored and devices == n_hosts() == 1:
        query = how.provided_optimizer
        limits = {name: value for name, value in vars(rewrites).items() if name.isupper() and isinstance(value, int)}
        options = precision, compiler_options(), sorted(query.include), sorted(query.exclude), limits
        how = Mode(how.linker, Storing(how.optimizer, options))
    return pytensor.function(inputs, outputs, mode=how, **kwargs)
