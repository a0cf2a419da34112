"""Time from the start of a process to the end of its first training step: `python -m benchmarks.start_up SET.h5`.

`launch.test` trains network A with dropout and batch norm in minibatches of 100. Each figure is the median of several
processes: "cold" with an empty cache of compiled functions, "warm" with the cache of the run before. The peak memory is
that of a process that continues for some steps, without its resident images.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent


def child(dataset, folder, steps):
    """Train for a number of steps, print when the first ended, and exit."""
    import resource

    import launch
    from utils.training.functions import Functions

    make, done = Functions.__dict__['train'].func, []

    def train(self):
        function = make(self)

        def step(*given):
            outcome = function(*given)
            cost = float(outcome[0])
            done.append(time.time())
            if len(done) == steps:
                images = self.resident.x.container.storage[0].nbytes if self.resident else 0
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - images
                print(json.dumps({'first': done[0], 'peak': peak, 'images': images, 'cost': cost}), flush=True)
                os._exit(0)
            return outcome

        return step

    Functions.train = property(train)
    launch.test(dataset=dataset, batch_size=100, n_epochs=1, savename=Path(folder) / 'm.h5', report=False, verbose=0)


def measured(dataset, cache, steps=1):
    """Seconds to the first step of a new process, and its peak memory in bytes without the images."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        done = subprocess.run(
            [sys.executable, '-m', 'benchmarks.start_up', dataset, '--child', folder, '--steps', str(steps)],
            cwd=ROOT,
            env={**os.environ, 'JAX_COMPILATION_CACHE_DIR': cache},
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        return found['first'] - start, found['peak']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', metavar='SET.h5')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--steps', type=int, default=30, help='steps for the peak memory (default: %(default)s)')
    parser.add_argument('--child', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not Path(args.dataset).is_file():
        parser.error(f'expected a data set, but {args.dataset} does not exist')
    if args.child:
        return child(args.dataset, args.child, args.steps)
    cold, warm = [], []
    dataset = str(Path(args.dataset).resolve())
    for _ in range(args.repeats):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(measured(dataset, cache)[0])
            warm.append(measured(dataset, cache)[0])
            peak = [measured(dataset, cache, args.steps)[1]]
    with tempfile.TemporaryDirectory() as cache:
        peak.append(measured(dataset, cache, args.steps)[1])
    print(f'cold {median(cold):.1f} s ({min(cold):.1f} to {max(cold):.1f}), warm {median(warm):.1f} s ', end='')
    print(f'({min(warm):.1f} to {max(warm):.1f}); peak memory above the images ', end='')
    print(f'{peak[1] / 2**30:.2f} GiB cold, {peak[0] / 2**30:.2f} GiB warm')


if __name__ == '__main__':
    main()
