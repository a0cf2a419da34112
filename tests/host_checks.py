"""Checks that tests of several hosts run on each host: ``python -m tests.host_checks NAME FOLDER [ADDRESS K N]``.

They write ``NAME-K.json`` or ``NAME-K.npz`` to the folder, where K is the number of the host. Without an address, a
check runs in a single process.
"""

import json
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np

import launch
from loaders import load
from tests.host_network import AUGMENT, Smooth, apart, figures, trained
from utils import backend
from utils.backend import devices as placement
from utils.backend import rewrites
from utils.experiment import hosts
from utils.training import optimisers
from utils.training.functions import Functions
from utils.training.inference import compute_logits
from utils.training.settings import Settings

BATCH = 24


def quick(folder, here):
    """Check that a tiny network learns with minibatches read by several hosts; hosts that differ are refused."""
    out = {'errors': []}
    with load(folder / 'set2.h5') as data:
        read = []
        images = type(data.reduced_training).images
        type(data.reduced_training).images = lambda self, rows=None: [images(self, rows), read.append(rows)][0]
        try:
            t, streamed = trained(data, None, trainShared=False)
        finally:
            type(data.reduced_training).images = images
        out['rows read'] = [sum(rows is not None and len(rows) == n for rows in read) for n in (BATCH, BATCH // 2)]
        out['figures'], out['logits'] = figures(t), compute_logits(t.functions, data.test).tolist()
        out['lies on'] = len(t.functions.parameters['conv.W'].container.storage[0].sharding.device_set)
        np.savez(folder / f'quick-{here.get("host_index", "alone")}.npz', **streamed)
    k = here.get('host_index')
    if k is None:
        return out
    options = {'dataset': folder / 'set2.h5', 'network': 'MLP', 'n_epochs': 1, 'batch_size': 48, 'verbose': 0, **here}
    options['savename'] = folder / 'wrong.h5'
    other = {
        'arguments': {'n_hidden': [8] if k else [16]},
        'set': {'dataset': folder / ('other/set2.h5' if k else 'set2.h5')},
        'no set': {'dataset': folder / ('nowhere.h5' if k else 'set2.h5')},
        'batch_size': {'batch_size': 47},
        'members': {'members': 2},
    }
    for name, values in other.items():
        out['errors'].append([name, error_of({**options, **values})])
    known, hosts.source_digest = hosts.source_digest, lambda: f'code {k}'
    out['errors'].append(['code', error_of(options)])
    hosts.source_digest = known
    out['written'] = sorted(path.name for path in folder.glob('wrong*'))
    return out


def many_steps(folder, here):
    """Check many steps per call, in the form for a GPU, with images on every device and divided among the hosts."""
    out = {}
    with load(folder / 'set2.h5') as data:
        streamed = trained(data, None, trainShared=False)[1]
        for name, limit in (('resident', 1 << 31), ('divided', 1000)):
            placement.MOST_BYTES = backend.MOST_BYTES = limit
            for form in ('cpu', 'gpu'):
                os.environ['SYMFER_PLATFORM'] = form
                out[f'{name}, {form}'] = apart(trained(data, None, many=True)[1], streamed)
    return out


def error_of(options):
    try:
        launch.test(**options)
    except (ValueError, OSError) as error:
        return f'{type(error).__name__}: {error}'


def in_a_row(make, rate, folder, here):
    """Measure the distances after each of 20 steps from a single process, which saves its arrays in a file."""
    rewrites.LEAST_CHANNELS, rewrites.LEAST_PIXELS, rewrites.LEAST_SUMMED = 16, 0, 64
    rng, alone = np.random.default_rng(0), not here
    x, y = rng.integers(0, 255, (20, BATCH, 24, 24), dtype=np.uint8), rng.integers(0, 7, (20, BATCH)).astype(np.uint8)
    weights = (np.arange(BATCH) < 21).astype(np.float32)
    settings = Settings(BATCH, learning_rate=rate, augment=AUGMENT, optimiser=optimisers.momentum)
    settings = replace(settings, devices=jax.device_count() if alone else None)
    f = Functions(make(rng=np.random.default_rng(1)), (24, 24), settings, n_classes=7)
    known, steps, out = None if alone else np.load(folder / 'alone.npz'), {}, []
    for step, (images, labels) in enumerate(zip(x, y)):
        f.train(images, labels, weights)
        now = {name: np.array(p.get_value(borrow=True)) for name, p in f.parameters.items()}
        steps |= {f'{step} {name}': value for name, value in now.items()}
        if known:
            out.append(apart(now, {name: known[f'{step} {name}'] for name in now}))
    if alone:
        np.savez(folder / 'alone.npz', **steps)
    return out


def network_a(folder, here):
    """Check 20 steps of network A, narrowed."""
    import cnn

    return in_a_row(partial(cnn.A, (24, 24), 7, width=0.25, n_hidden=[32], p_dropConv=[0.2] * 4), 0.05, folder, here)


def smooth(folder, here):
    """Check 20 steps of a similar network in which no step depends on the last bit."""
    return in_a_row(partial(Smooth, (24, 24), 7), 0.01, folder, here)


if __name__ == '__main__':
    name, folder, *place = sys.argv[1:]
    here = {}
    if place:
        here = {'hosts': place[0], 'host_index': int(place[1]), 'n_hosts': int(place[2])}
        backend.join(*here.values())
    found = {'quick': quick, 'many_steps': many_steps, 'network_a': network_a, 'smooth': smooth}[name](
        Path(folder), here
    )
    path = Path(folder) / f'{name}-{here.get("host_index", "alone")}.json'
    path.write_text(json.dumps(found))
    sys.stdout.flush()
    if os.environ.get('SYMFER_TEST_SHOW'):
        print(json.dumps(found)[:2000])
