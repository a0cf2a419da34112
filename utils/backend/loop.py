"""Many steps of a compiled function in one call of the device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from utils.backend.compilation import compiler_options


class StepsPerExecution:
    """A compiled function of `utils.backend`, run many times in one call: a loop on the device.

    ``many(a, b)`` with stacked arrays does what ``[function(*v) for v in zip(a, b)]`` does, updates included, and
    returns its outputs stacked. One compilation serves any number of runs up to `most`.

    Parameters
    ----------
    function : compiled function
        Of `function`, with inputs and outputs of fixed shapes.
    most : int
        Runs in one call.
    """

    def __init__(self, function: Any, most: int) -> None:
        fgraph = function.maker.fgraph
        step, changed = function.vm.jit_fn.__wrapped__, fgraph.update_mapping  # {output: shared input}
        self.most, self.storage = most, function.vm.inputs
        self.n_given = sum(not i.shared for i in function.maker.inputs)
        self.changed = list(changed.values())
        results = [k for k in range(len(fgraph.outputs)) if k not in changed]

        def loop(count, given, state, constant):
            def run(k, carry):
                state, collected = carry
                shared = {**dict(zip(self.changed, state)), **constant}
                outputs = step(*(v[k] for v in given), *(shared[n] for n in sorted(shared)))
                state = [outputs[k_out] for k_out in changed]
                return state, [v.at[k].set(outputs[r]) for v, r in zip(collected, results)]

            empty = [jnp.zeros((most, *fgraph.outputs[r].type.shape), fgraph.outputs[r].dtype) for r in results]
            return lax.fori_loop(0, count, run, (state, empty))

        self.loop = jax.jit(loop, donate_argnums=2, compiler_options=compiler_options())

    def __call__(self, *given: Any) -> list[Any]:
        count = len(given[0])
        if not 1 <= count <= self.most:
            raise ValueError(f'1 to {self.most} runs are possible in one call, got {count}')
        padded = [np.concatenate([v, np.zeros((self.most - count, *v.shape[1:]), v.dtype)]) for v in given]
        shared = {k: jnp.asarray(self.storage[k][0]) for k in range(self.n_given, len(self.storage))}
        state = [shared.pop(k) for k in self.changed]
        state, collected = self.loop(np.int32(count), padded, state, shared)
        for k, value in zip(self.changed, state):
            self.storage[k][0] = value
        return [v[:count] for v in collected]
