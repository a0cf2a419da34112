"""Checks of several devices, which run in a separate process whose CPU counts as four devices.

``python -m tests.device_checks NAME`` prints one JSON object; the names are those of the functions in `CHECKS`.
"""

import json
import os
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=4'

import numpy as np  # noqa: E402
import pytensor  # noqa: E402
import pytensor.tensor as pt  # noqa: E402

import utils  # noqa: E402, F401
from loaders import load  # noqa: E402
from tests.host_network import AUGMENT, Smooth, Tiny, apart, data_set, figures, trained  # noqa: E402
from utils import backend, ops  # noqa: E402
from utils.backend import devices as placement  # noqa: E402
from utils.backend import rewrites
from utils.ops.kernels import LayerKernel, ProductKernel  # noqa: E402
from utils.training import optimisers  # noqa: E402
from utils.training.functions import Functions  # noqa: E402
from utils.training.inference import compute_logits, validate  # noqa: E402
from utils.training.settings import Settings  # noqa: E402


def collectives(function, given):
    """Count each kind of communication between devices in a compiled function."""
    shared = [place[0] for place in function.vm.inputs[len(given) :]]
    text = function.vm.jit_fn.lower(*given, *shared).compile().as_text()
    return dict(Counter(re.findall(r' (all-\w+|reduce-scatter|collective-\w+)(?:-start)?\(', text)))


def quick():
    """Check a tiny network: images on the device, streamed images, evaluation, many steps per call."""
    out = {}
    with tempfile.TemporaryDirectory() as folder, load(data_set(folder)) as data:
        t, one = trained(data, 1)
        two, values = trained(data, 2)
        out['resident'], out['figures'] = apart(values, one), [figures(t), figures(two)]
        logits = [{'logits': compute_logits(f.functions, data.test)} for f in (two, t)]
        out['logits'] = apart(*logits)
        rows, weights = np.arange(24, dtype=np.int32), np.ones(24, np.float32)
        out['collectives'] = collectives(two.functions.train, [rows, weights])
        out['lies on'] = len(two.functions.resident.x.container.storage[0].sharding.device_set)
        out['streamed'] = apart(trained(data, 2, trainShared=False)[1], one)
        t.restore(two.state())  # and it continues on one device
        out['resumed'] = [validate(t.functions, data.validation), validate(two.functions, data.validation)]
    return out


def layers():
    """Check gradients of layers that XLA would not divide, or not without moving images.

    Convolutions in two groups and depthwise ones with a stride of two pixels; overlapping maxima, response
    normalisation and a large hidden layer, which have kernels.
    """
    out, rng = {}, np.random.default_rng(0)
    images = rng.normal(size=(32, 24, 24, 4)).astype(np.float32)
    filters = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 3, 2, 16), (3, 3, 1, 16), (576, 512))]
    for form in ('cpu', 'gpu'):
        os.environ['SYMFER_PLATFORM'] = form
        found = {}
        for n in (1, 2):
            x = pt.tensor('x', dtype='float32', shape=images.shape)
            W, V, U = weights = [pytensor.shared(values, shape=values.shape) for values in filters]
            backend.assign(weights, n)
            y = ops.local_response_norm(ops.max_pool(ops.conv2d(x, W, groups=2), 3, 2, False), alpha=0.1)
            y = ops.conv2d(y, V, stride=2, groups=16)
            y = y.reshape((len(images), 576)) @ U
            f = backend.function([x], pt.grad((y**2).sum(), weights), devices=n)
            found[n] = dict(zip('WVU', f(images)))
        out[form], out[f'{form}, collectives'] = apart(found[2], found[1]), collectives(f, [images])
        out[f'{form}, kernels'] = sum(
            isinstance(node.op, LayerKernel | ProductKernel) for node in f.maker.fgraph.toposort()
        )
    return out


def members_and_steps():
    """Check many steps per call, images divided among the devices, and networks side by side."""
    out = {}
    with tempfile.TemporaryDirectory() as folder, load(data_set(folder)) as data:
        one = trained(data, 1)[1]
        out['many steps'] = apart(trained(data, 4, many=True)[1], one)
        placement.MOST_BYTES = backend.MOST_BYTES = 1000
        t, values = trained(data, 4)
        out['images divided'] = apart(values, one)
        out['share'] = [s.data.shape[0] for s in t.functions.resident.x.container.storage[0].addressable_shards]
        placement.MOST_BYTES = backend.MOST_BYTES = 1 << 31
        members = trained(data, 1, 4)[1]
        out['members, networks divided'] = apart(trained(data, 2, 4)[1], members)
        out['members, many steps'] = apart(trained(data, 4, 4, many=True)[1], members)
        three = trained(data, 1, 3)[1]
        out['members, minibatches divided'] = apart(trained(data, 2, 3)[1], three)
        os.environ['SYMFER_PLATFORM'] = 'gpu'
        out['GPU form'] = apart(trained(data, 4, many=True)[1], one)
        out['GPU form, members'] = apart(trained(data, 2, 4, many=True)[1], members)
        out['GPU form, default'] = Functions(
            Tiny((12, 12), 3, rng=np.random.default_rng(0)), (12, 12), Settings(90)
        ).devices
    return out


def network_a():
    """Check 20 steps of network A, narrowed, on 1, 2 and 4 devices, with all rewrites of a CPU.

    If a maximum or the sign of an output depends on the last bit, rounding changes the step, and 20 consecutive steps
    diverge as they do from weights that differ by a rounding error. So each step starts from the state of one device,
    and is repeated there from weights that differ by rounding errors: what these change, devices may change, too.
    """
    import cnn

    rewrites.LEAST_CHANNELS, rewrites.LEAST_PIXELS, rewrites.LEAST_SUMMED = 16, 0, 64
    rng, out = np.random.default_rng(0), {}
    x, y = rng.integers(0, 255, (20, 24, 24, 24), dtype=np.uint8), rng.integers(0, 7, (20, 24)).astype(np.uint8)
    weights = (np.arange(24) < 21).astype(np.float32)
    made = {}
    for n in (1, 2, 4):
        network = cnn.A((24, 24), 7, width=0.25, n_hidden=[32], p_dropConv=[0.2] * 4, rng=np.random.default_rng(1))
        settings = Settings(24, learning_rate=0.05, augment=AUGMENT, devices=n, optimiser=optimisers.momentum)
        made[n] = Functions(network, (24, 24), settings, n_classes=7)
        out[f'{n} devices'], out[f'{n} devices, each array'] = [], []
    out['rounding'], out['rounding, each array'] = [], []

    def compared(f, start, batch, base=None):
        """Differences after a step from `start`, of all parameters and of the array that differs most."""
        for name, p in all_of(f).items():
            backend.to_device(p, start[name])
        f.train(*batch, weights)
        after = values_of(f)
        base = base or after
        each = [apart({k: after[k]}, {k: base[k]}) for k in base if base[k].any()]
        return apart(*({k: v[k] for k in f.parameters} for v in (after, base))), max(each), after

    for batch in zip(x, y):
        before, one = values_of(made[1]), None
        found = []
        for n, f in made.items():
            whole, most, after = compared(f, before, batch, one)
            one = one or after
            out[f'{n} devices'].append(whole)
            out[f'{n} devices, each array'].append(most)
        for _ in range(8):
            close = {
                k: (v * (1 + 4e-7 * rng.choice([-1, 1], v.shape))).astype(v.dtype) if k in made[1].parameters else v
                for k, v in before.items()
            }
            found.append(compared(made[1], close, batch, one)[:2])
        out['rounding'].append(max(whole for whole, _ in found))
        out['rounding, each array'].append(max(most for _, most in found))
        for name, p in all_of(made[1]).items():
            backend.to_device(p, one[name])
    for n in (2, 4):
        out[f'{n} devices, collectives'] = collectives(made[n].train, [x[0], y[0], weights])
    return out


def smooth_in_a_row():
    """Check 20 consecutive steps on 1, 2 and 4 devices, for a network in which no step depends on the last bit."""
    rewrites.LEAST_CHANNELS, rewrites.LEAST_PIXELS, rewrites.LEAST_SUMMED = 16, 0, 64
    rng, out, ended = np.random.default_rng(0), {}, {}
    x, y = rng.integers(0, 255, (20, 24, 24, 24), dtype=np.uint8), rng.integers(0, 7, (20, 24)).astype(np.uint8)
    weights = (np.arange(24) < 21).astype(np.float32)
    for n in (1, 2, 4):
        settings = Settings(24, learning_rate=0.01, augment=AUGMENT, devices=n, optimiser=optimisers.momentum)
        f = Functions(Smooth((24, 24), 7, rng=np.random.default_rng(1)), (24, 24), settings, n_classes=7)
        start = {k: values_of(f)[k] for k in f.parameters}
        for images, labels in zip(x, y):
            f.train(images, labels, weights)
        ended[n] = {k: values_of(f)[k] for k in f.parameters}
        out[str(n)] = apart(ended[n], ended[1])
    out['moved'] = apart(ended[1], start)
    return out


def all_of(f):
    return {**f.parameters, **{f'state/{name}': p for name, p in f.state.items()}, 'draws': f.counter}


def values_of(f):
    return {name: np.array(p.get_value(borrow=True)) for name, p in all_of(f).items()}


def experiment():
    """Check `test` on two devices, and resumed on four and on one."""
    import launch

    out = {}
    with tempfile.TemporaryDirectory() as folder:
        options = dict(dataset=data_set(folder), network='MLP', n_hidden=[8], batch_size=48, statistics_images=48)
        options |= dict(anneal_epochs=1, verbose=0, report=False, learning_rate=0.02)
        for name, first, then in (('one', 1, 1), ('several', 2, 4)):
            path = Path(folder) / f'{name}.h5'
            launch.test(**options, n_epochs=1, savename=path, devices=first)
            result = launch.test(resume=path, n_epochs=2, devices=then, verbose=0, report=False)
            environment = [json.loads((Path(folder) / name / f'run-00{k}' / 'run.json').read_text()) for k in (1, 2)]
            out[name] = {
                'cross-entropy': [row['train_cross_entropy'] for row in result.history],
                'devices': [run['environment']['devices'] for run in environment],
            }
        errors = []
        for wrong in (
            {'devices': 8},
            {'devices': 0},
            {'devices': 4, 'batch_size': 50},
            {'devices': 4, 'batch_size': 2},
        ):
            try:
                launch.test(**{**options, 'savename': Path(folder) / 'wrong.h5', 'n_epochs': 1, **wrong})
            except ValueError as error:
                errors.append(str(error))
        out['errors'] = errors
        out['written'] = sorted(p.name for p in Path(folder).glob('wrong*'))
    return out


CHECKS = {f.__name__: f for f in (quick, layers, members_and_steps, network_a, smooth_in_a_row, experiment)}

if __name__ == '__main__':
    print(json.dumps(CHECKS[sys.argv[1]]()))
