"""Measure time, memory and disk space of the data sets: `python -m benchmarks.data SOURCE [-o FOLDER]`.

SOURCE is FER2013 in any layout, preferably fer2013.csv. Every measurement runs in a separate process, so that peaks of
memory are separate. "Cold" means that the system was asked to drop the file from its cache before.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from loaders import build, load, read, views
from loaders.audit.findings import audit
from utils.training.settings import Settings

BATCH = 128  # images of a minibatch
N_BATCHES = 400  # minibatches timed


def forget(path):
    """Ask the system to drop a file from its cache, if it supports that."""
    if hasattr(os, 'posix_fadvise'):
        with open(path, 'rb') as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(function):
    """Duration of a call in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def building(source, number, out):
    """Make one set."""
    seconds = timed(lambda: build(source, (int(number),), out, info=lambda line: None))
    size = os.path.getsize(Path(out) / f'set{number}.h5')
    return dict(seconds=seconds, disk=size / 2**20)


def opening(path, cold):
    """Open a set and read the first minibatch of shuffled training images."""
    if cold == 'cold':
        forget(path)
    rows = np.random.default_rng(0).integers(0, 28709, BATCH)

    def first():
        with load(path) as data:
            data.training.images(rows)

    return dict(seconds=timed(first))


def minibatches(path, when):
    """Read shuffled minibatches of a set: 'cold', 'warm', or 'before' (the same ones were read before)."""
    with load(path) as data:
        subset = data.reduced_training
        rows = np.random.default_rng(0).permutation(len(subset))[: BATCH * N_BATCHES]

        def epoch():
            for k in range(0, len(rows), BATCH):
                subset.images(rows[k : k + BATCH])

        if when == 'cold':
            forget(path)
        if when == 'before':
            epoch()
        seconds = timed(epoch)
    return dict(seconds=seconds, rate=len(rows) / seconds)


def views_on_loading(set1, set4):
    """Read the same minibatches, with the views of set 4 made from the images of set 1 on the fly."""
    with load(set1) as data, load(set4) as model:
        names, size = model.transforms, model.shape
        rows = np.random.default_rng(0).permutation(len(model.training))[: BATCH * N_BATCHES // 4]

        def minibatch(rows):
            view, images = rows % len(names), data.training.images(rows // len(names))
            x = np.empty((len(rows), *size), np.uint8)
            for v in np.unique(view):
                x[view == v] = views(images[view == v], (names[v],), size)[:, 0]
            return x

        np.testing.assert_array_equal(minibatch(rows[:BATCH]), model.training.images(rows[:BATCH]))

        def epoch():
            for k in range(0, len(rows), BATCH):
                minibatch(rows[k : k + BATCH])

        epoch()
        seconds = timed(epoch)
    return dict(seconds=seconds, rate=len(rows) / seconds)


def auditing(path, near):
    """Find exact duplicates, or near duplicates too."""
    originals = read(path)
    return dict(seconds=timed(lambda: audit(originals, 0.9 if near == 'near' else None)))


def training(path, n_steps=12):
    """Time steps of network A (dropout and batch norm, minibatches of 100), with and without augmentation.

    The two take turns, so that other load affects both equally. The results are medians of `n_steps` steps.
    """
    import cnn
    from utils.training.augmentation import Augment
    from utils.training.functions import Functions

    everything = Augment(shift=0.1, rotation=10, zoom=0.1, brightness=0.1, contrast=0.1, erase=0.3, mixup=0.2)
    times = {None: [], everything: []}
    with load(path) as data:
        steps = {}
        for augment in times:
            network = cnn.A(data.shape, len(data.classes), batch_norm=True, rng=np.random.default_rng(0))
            steps[augment] = Functions(network, data.shape, Settings(100, augment=augment)).train
        for step in range(n_steps + 2):
            rows = np.arange(100 * step, 100 * step + 100)
            batch = data.training.images(rows), data.training.y[rows], np.ones(100, np.float32)
            for augment, train in steps.items():
                times[augment].append(timed(lambda: float(train(*batch)[0])))  # noqa: B023
    plain, augmented = (float(np.median(t[2:])) for t in times.values())
    return dict(seconds=plain, rate=100 / plain, augmented=augmented, ratio=augmented / plain)


def streaming(path, n_steps=12, turns=4):
    """Time steps of network A with images on the device and with images read from the file, in turn."""
    import cnn
    from utils.training.batches import minibatches as cut
    from utils.training.batches import to_device
    from utils.training.functions import Functions

    times = {True: [], False: []}
    with load(path) as data:
        order = np.random.default_rng(0).permutation(len(data.training))
        steps = {
            resident: Functions(
                cnn.A(data.shape, len(data.classes), batch_norm=True, rng=np.random.default_rng(0)),
                data.shape,
                Settings(100),
                resident=to_device(data.training) if resident else None,
            ).train
            for resident in times
        }
        for turn in range(-1, turns):
            rows = order[100 * n_steps * (turn + 1) : 100 * n_steps * (turn + 2)]
            for resident, train in steps.items():
                times[resident].append(
                    timed(
                        lambda: [
                            float(train(*batch, weights)[0])
                            for batch, weights, _ in cut(data.training, rows, 100, resident)
                        ]
                    )
                )  # noqa: B023
    resident, streamed = (float(np.median(t[1:])) / n_steps for t in times.values())
    return dict(seconds=resident, rate=100 / resident, streamed=streamed, ratio=resident / streamed)


MEASUREMENTS = {
    f.__name__: f for f in (building, opening, minibatches, views_on_loading, auditing, training, streaming)
}


def measure(title, name, *arguments):
    """Run one measurement in a separate process and print it as a row of the table."""
    command = [sys.executable, '-m', 'benchmarks.data', '--measure', name, *map(str, arguments)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(answer.stdout)
    rate = f'{result["rate"]:,.0f}' if 'rate' in result else ''
    disk = f'{result["disk"]:,.0f}' if 'disk' in result else ''
    print(f'{title:44s}{result["seconds"]:9.3f}{rate:>12s}{result["peak"]:10,.0f}{disk:>10s}', flush=True)
    return result


def table(source, out):
    """Run and print all measurements; the sets are written to the folder `out`."""
    import cv2
    import h5py

    print(
        f'{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, '
        f'NumPy {np.__version__}, OpenCV {cv2.__version__}, h5py {h5py.__version__}'
    )
    print(f'{source}, {os.path.getsize(source) / 1e6:,.0f} MB\n')
    print(f'{"":44s}{"s":>9s}{"images/s":>12s}{"peak MiB":>10s}{"disk MiB":>10s}')
    sets = {number: Path(out) / f'set{number}.h5' for number in (1, 2, 3, 4)}
    measure('source to set 1', 'building', source, 1, out)
    for number in (2, 3, 4):
        measure(f'set 1 to set {number}', 'building', sets[1], number, out)
    for cold in ('warm', 'cold'):
        for number, path in sets.items():
            measure(f'open set {number}, first minibatch, {cold}', 'opening', path, cold)
    for when in ('cold', 'warm', 'before'):
        for number in (2, 4):
            title = f'shuffled minibatches of set {number}, {when.replace("before", "read before")}'
            measure(title, 'minibatches', sets[number], when)
    measure('the same for set 4, views made from set 1', 'views_on_loading', sets[1], sets[4])
    measure('audit of set 1, exact duplicates', 'auditing', sets[1], 'exact')
    measure('audit of set 1, near duplicates too', 'auditing', sets[1], 'near')
    step = measure('a training step of network A, set 2', 'training', sets[2])
    print(
        f'{"the same with all augmentations":44s}{step["augmented"]:9.3f}{100 / step["augmented"]:>12,.0f}'
        f'{"":10s}{step["ratio"]:9.2f}x'
    )
    step = measure('a training step of network A, set 4, on device', 'streaming', sets[4])
    print(
        f'{"the same, read from the file":44s}{step["streamed"]:9.3f}{100 / step["streamed"]:>12,.0f}'
        f'{"":10s}{step["ratio"]:9.2f}x'
    )


def main():
    if sys.argv[1:2] == ['--measure']:
        result = MEASUREMENTS[sys.argv[2]](*sys.argv[3:])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result['peak'] = peak / (2**20 if sys.platform == 'darwin' else 2**10)
        print(json.dumps(result))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', help='FER2013 in any layout, preferably fer2013.csv')
    parser.add_argument(
        '-o', '--out', help='folder for the sets, 1.8 GB (default: a temporary one, removed at the end)'
    )
    args = parser.parse_args()
    if args.out:
        table(args.source, args.out)
    else:
        with tempfile.TemporaryDirectory() as folder:
            table(args.source, folder)


if __name__ == '__main__':
    main()
