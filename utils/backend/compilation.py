"""Compilation of graphs: `function` in place of `pytensor.function`.

==================  ===========================================================================
`function`          compiles a graph for the device
`mode`, `MODE`      PyTensor's mode for a precision; for float32
`Linker`            PyTensor's JAX linker with XLA's options and updates in place
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

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor


@lru_cache
def compiler_options() -> dict[str, str]:
    """XLA's options for the first device, those of them that the installed XLA knows.

    On a CPU, XLA hands convolutions to YNNPACK unless asked to keep that library to single matrix
    products; its own (Eigen's) convolutions are about twice as fast. And it takes the barriers of
    `materialised` out before it fuses, unless asked not to.
    """
    if platform() != 'cpu':
        return {}
    options = {
        'xla_cpu_experimental_ynn_fusion_type': 'LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT',
        'xla_disable_hlo_passes': 'cse_barrier_expander',
    }
    try:
        jax.jit(lambda x: x + 1, compiler_options=options)(0.0)
    except Exception:  # jaxlib's error for an unknown option has no class of its own
        return {}
    return options


def _after_compiling(event, seconds, **kwargs):
    if event.endswith('backend_compile_duration'):
        process.give_back()  # LLVM needs more memory than a training step does


jax.monitoring.register_event_duration_secs_listener(_after_compiling)


class Linker(JAXLinker):
    """PyTensor's JAX linker with `compiler_options`; what a function updates is updated in its place.

    The old value of an updated shared variable is given up to the call: an array got with ``get_value(borrow=True)``
    from before it must not be used after it.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        Of convolutions and products, see `mode`.
    partition : Partition
        How the work is divided among devices.
    """

    def __init__(self, precision: str = 'float32', partition: Partition = NONE, **kwargs: Any) -> None:
        self.precision, self.partition = precision, partition
        self.updated = self.variables = ()
        self.stored: Stored | None = None
        super().__init__(**kwargs)

    def fgraph_convert(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        self.updated, self.variables = tuple(sorted(set(fgraph.update_mapping.values()))), tuple(fgraph.inputs)
        self.stored = getattr(fgraph, 'stored', None)
        convert = super().fgraph_convert

        def converted():
            function = convert(fgraph, *args, **kwargs)
            Path(function.__code__.co_filename).unlink(missing_ok=True)  # PyTensor leaves the source there
            return function

        if self.stored is None or self.stored.compiled is None:
            return converted()

        def later():  # the graph as it was given is in a file, compiled; whoever asks for more gets it
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
        options = {'donate_argnums': self.updated, 'compiler_options': compiler_options()}
        if self.partition.devices > 1:
            return self.partition.jit(in_precision, self.variables, **options)
        compiled = jax.jit(in_precision, **options)
        if n_hosts() == 1:
            return compiled

        def on_this_host(*arrays):
            return compiled(*map(local, arrays))

        on_this_host.__wrapped__ = in_precision  # type: ignore[attr-defined]
        return on_this_host


# XLA fuses by itself. What PyTensor has fused takes longer to rewrite and to trace, and runs no faster.
MODE = Mode(Linker(), RewriteDatabaseQuery(include=['fast_run', 'jax', rewrites.TAG])).excluding(
    'fusion', 'add_mul_fusion', *filter(None, os.environ.get('SYMFER_EXCLUDE', '').split(','))
)


def mode(precision: str = 'float32', partition: Partition = NONE) -> Any:
    """How functions are compiled for a precision of convolutions and products.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        'float32', or operands rounded to tf32 (where the device has it: GPUs since 2020) or to bfloat16, in all
        three with sums in float32. Everything between them is float32.
    partition : Partition
        How the work is divided among devices.
    """
    platform()  # a wrong SYMFER_PLATFORM is refused before anything is compiled
    if precision not in PRECISIONS:
        raise ValueError(f'precision must be one of {", ".join(map(repr, PRECISIONS))}, got {precision!r}')
    if precision == 'float32' and partition == NONE:
        return MODE
    # A call of a kernel is not divided among devices. In bf16 the transforms would be rounded too, and they enlarge
    # what is lost.
    exclude = ['native_convolutions', *(['winograd_convolutions'] if precision == 'bf16' else [])]
    return Mode(Linker(precision, partition), MODE.provided_optimizer).excluding(*exclude)


def function(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor] | Tensor,
    precision: str = 'float32',
    devices: int = 1,
    stored: bool = False,
    **kwargs: Any,
) -> Any:
    """`pytensor.function`, compiled for the device.

    Parameters
    ----------
    precision : {'float32', 'tf32', 'bf16'}
        See `mode`.
    devices : int
        That compute it together: a minibatch, which is what the first input has a row for each image of, is divided
        among them.
    stored : bool
        Look for it compiled in a file, and keep it there, see `utils.backend.executables`. The graph of a function that
        was found (`maker.fgraph`) is not rewritten.
    """
    partition = Partition(devices, inputs[0].type.shape[0]) if devices > 1 else NONE
    how = mode(precision, partition)
    if stored and devices == n_hosts() == 1:
        query = how.provided_optimizer
        limits = {name: value for name, value in vars(rewrites).items() if name.isupper() and isinstance(value, int)}
        options = precision, compiler_options(), sorted(query.include), sorted(query.exclude), limits
        how = Mode(how.linker, Storing(how.optimizer, options))
    return pytensor.function(inputs, outputs, mode=how, **kwargs)
