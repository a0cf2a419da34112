"""Many steps of a compiled function per call, also for several networks side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from utils.backend.compilation import compiler_options
from utils.backend.devices import AXIS, mesh, put, sharding
from utils.backend.platform import platform

if TYPE_CHECKING:
    from utils.annotations import Shared


class StepsPerExecution:
    """Runs a compiled function of `utils.backend` many times per call: on a GPU by a loop on the device.

    ``many(a, b)`` with stacked arrays has the effect of ``[function(*v) for v in zip(a, b)]``, including updates, and
    returns its outputs stacked. One compilation serves any number of runs up to `most`.

    With `members`, each run trains k networks, and inputs and outputs have a second axis (k,). A GPU computes the
    networks as one batch, so that small networks use all of it. A CPU, which one network can keep busy, computes them
    one after another, by calls of the function: in a loop, XLA takes fifteen times as long there for a step of a
    convolutional network. With several devices, the networks are divided among the devices if k allows it, otherwise
    each minibatch is.

    Parameters
    ----------
    function : compiled function
        Result of `function`, with inputs and outputs of static shapes.
    most : int
        Largest number of runs per call.
    members : dict of shared variable to list of shared variables, optional
        For each shared variable of the function that is not common to the networks, those of the k networks.
    """

    def __init__(self, function: Any, most: int, members: Mapping[Shared, Sequence[Shared]] | None = None) -> None:
        fgraph, members = function.maker.fgraph, members or {}
        changed = fgraph.update_mapping  # {output: shared input}
        self.most, self.n_given = most, sum(not i.shared for i in function.maker.inputs)
        self.outputs, self.changed = dict(changed), list(changed.values())
        self.results = results = [k for k in range(len(fgraph.outputs)) if k not in changed]
        self.n_members = n = len(next(iter(members.values()))) if members else 0
        # The storage of each shared input: one for all networks, or one for each.
        self.places = {
            k: [v.container.storage for v in members[i.variable]] if i.variable in members else [place]
            for k, (i, place) in enumerate(zip(function.maker.inputs, function.vm.inputs))
            if k >= self.n_given
        }
        partition, variables = function.maker.linker.partition, fgraph.inputs
        devices = partition.devices
        self.in_turn = platform() == 'cpu' and devices == 1
        if self.in_turn:
            self.step = function.vm.jit_fn
            return
        step = function.vm.jit_fn.__wrapped__
        own = {k for k, places in self.places.items() if len(places) == n} if n else set()
        by_member = n > 0 and n % devices == 0

        def one(given, shared):
            outputs = step(*given, *(shared[k] for k in sorted(shared)))
            return [outputs[k] for k in changed], [outputs[k] for k in results]

        def of_all(given, shared):
            """`one` for every network; all update their common variables in the same way."""
            apart, common = ({k: v for k, v in shared.items() if (k in own) is which} for which in (True, False))
            mapped = lax.map if platform() == 'cpu' else lambda f, xs: jax.vmap(f)(xs)
            state, found = mapped(lambda xs: one(xs[0], {**xs[1], **common}), (given, apart))
            return [v if k in own else v[0] for k, v in zip(self.changed, state)], found

        def divided(given, shared):
            """`of_all` with the networks divided among the devices."""
            parted, whole = PartitionSpec(AXIS), PartitionSpec()
            return jax.shard_map(
                of_all,
                mesh=mesh(devices),
                in_specs=(parted, {k: parted if k in own else whole for k in shared}),
                out_specs=([parted if k in own else whole for k in self.changed], parted),
                check_vma=False,
            )(given, shared)

        run_once = one if not n else divided if by_member and devices > 1 else of_all

        def loop(count, given, state, constant):
            def gathered(k, values):
                return jnp.stack(values) if k in own else values[0]

            state = [gathered(k, v) for k, v in zip(self.changed, state)]
            constant = {k: gathered(k, v) for k, v in constant.items()}

            def run(k, carry):
                state, collected = carry
                shared = {**dict(zip(self.changed, state)), **constant}
                state, found = run_once([v[k] for v in given], shared)
                return state, [v.at[k].set(value) for v, value in zip(collected, found)]

            shape = (most, n) if n else (most,)
            empty = [jnp.zeros((*shape, *fgraph.outputs[r].type.shape), fgraph.outputs[r].dtype) for r in results]
            state, collected = lax.fori_loop(0, count, run, (state, empty))
            return [list(v) if k in own else [v] for k, v in zip(self.changed, state)], collected

        self.where = partition.inputs(variables, 1 + (n > 0 and not by_member)) if devices > 1 else None
        options = {'donate_argnums': 2, 'compiler_options': compiler_options()}
        if devices > 1:
            whole, given = sharding(devices), self.where[: self.n_given]
            constant = {k: self.where[k] for k in self.places if k not in self.changed}
            options |= {'in_shardings': (whole, given, whole, constant), 'out_shardings': whole}
        self.loop = jax.jit(loop, **options)

    def values(self) -> tuple[list[Any], dict[int, Any]]:
        """The values of shared variables for `loop`: those that it updates, and the others."""
        shared = {k: [self._lying(place[0], k) for place in places] for k, places in self.places.items()}
        return [shared.pop(k) for k in self.changed], shared

    def __call__(self, *given: Any) -> list[Any]:
        count = len(given[0])
        if not 1 <= count <= self.most:
            raise ValueError(f'1 to {self.most} runs are possible in one call, got {count}')
        if self.in_turn:
            runs = [self._run(one) for one in zip(*given)]
            return [np.stack(list(map(np.asarray, values))) for values in zip(*runs)]
        padded = [np.concatenate([v, np.zeros((self.most - count, *v.shape[1:]), v.dtype)]) for v in given]
        if self.where:
            padded = [self._lying(v, k) for k, v in enumerate(padded)]
        state, collected = self.loop(np.int32(count), padded, *self.values())
        for k, values in zip(self.changed, state):
            for place, value in zip(self.places[k], values):
                place[0] = value
        return [v[:count] for v in collected]

    def _run(self, given):
        """One run, with a call of the function for each network."""
        n, found, common = self.n_members or 1, [], {}
        for m in range(n):
            values = []
            for k, places in sorted(self.places.items()):
                value = places[m % len(places)][0]
                # All networks update a common variable in the same way; each gets a copy of its old value.
                copied = n > 1 and len(places) == 1 and k in self.changed
                values.append(jnp.array(value, copy=True) if copied else value)
            outputs = self.step(*([v[m] for v in given] if self.n_members else given), *values)
            for k_out, k_in in self.outputs.items():
                if len(self.places[k_in]) == n:
                    self.places[k_in][m][0] = outputs[k_out]
                else:
                    common[k_in] = outputs[k_out]
            found.append([outputs[k] for k in self.results])
        for k_in, value in common.items():
            self.places[k_in][0][0] = value
        return [np.stack(list(map(np.asarray, each))) for each in zip(*found)] if self.n_members else found[0]

    def _lying(self, value, k):
        """The value of input k, placed for the computation."""
        return put(value, self.where[k]) if self.where else jnp.asarray(value)
