"""Make data sets 2 and 4: ``python -m benchmarks.on_gpu.sets FOLDER FILE``.

They are made from FER2013 if it is given. Otherwise set 2 has drawn faces, which can be learned, and set 4 has noise,
with as many images as FER2013, so that an epoch takes the same time.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import loaders
from loaders.synthetic.sample import EMOTIONS, draw_faces

N_TRAINING, N_TEST, SIDE = 28_709, 3_589, 48


def noise(training: int, test: int) -> loaders.Originals:
    """Images of noise with random labels."""
    rng, n = np.random.default_rng(0), training + 2 * test
    return loaders.Originals(
        rng.integers(256, size=(n, SIDE, SIDE), dtype=np.uint8),
        rng.integers(len(EMOTIONS), size=n, dtype=np.uint8),
        np.repeat(np.arange(3, dtype=np.uint8), [training, test, test]),
        np.arange(n, dtype=np.int32),
        EMOTIONS,
        layout='noise',
    )


def drawn(*counts: int) -> loaders.Originals:
    """Drawn faces; `counts` are the numbers of training, public test and private test images."""
    arrays = draw_faces(*counts)
    return loaders.Originals(*arrays, np.arange(len(arrays[0]), dtype=np.int32), layout='drawn faces')


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('file', type=Path, help='JSON file for the figures')
    parser.add_argument('--data', type=Path, help='FER2013 in any layout')
    parser.add_argument('--small', action='store_true', help='a few hundred images, for a rehearsal')
    args = parser.parse_args(arguments)
    args.folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number in (2, 4):
        start = time.perf_counter()
        if args.data and not args.small:
            source = args.data
        elif number == 2:
            source = drawn(210, 70, 70) if args.small else drawn(2000, 300, 300)
        else:
            source = noise(210, 70) if args.small else noise(N_TRAINING, N_TEST)
        loaders.build(source, sets=(number,), out=args.folder)
        kind = source.layout if isinstance(source, loaders.Originals) else str(source)
        found[f'set {number}'] = {'of': kind, 'seconds': round(time.perf_counter() - start, 1)}
        args.file.write_text(json.dumps(found, indent=1), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
