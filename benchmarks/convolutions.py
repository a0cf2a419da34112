"""Compare strided and grouped convolutions with PyTorch's: `python -m benchmarks.convolutions [--torch PYTHON]`.

A step is the convolution and both of its gradients. PyTorch runs in another environment, in both memory formats. The
two take turns, each with some steps to fill the caches again before those that count, and symfer after a pause: for a
while after a step, the threads of PyTorch wait actively. The result is the ratio of their median times (above 1: symfer
is faster).
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

STEPS, SECONDS, PAUSE = 7, 0.2, 0.3  # of a turn: steps and seconds at least; seconds before a turn of symfer

# name: (batch, side, channels, filters, size, pad, stride, groups)
CASES = {
    'first layer, 7x7, stride 2': (100, 48, 1, 64, 7, 3, 2, 1),
    'first layer, 5x5, stride 2': (100, 48, 1, 64, 5, 2, 2, 1),
    'first layer, 11x11, stride 4': (50, 96, 1, 96, 11, 2, 4, 1),
    '3x3, stride 2': (100, 24, 64, 128, 3, 1, 2, 1),
    '1x1, stride 2': (100, 24, 64, 128, 1, 0, 2, 1),
    '5x5, 2 groups': (100, 12, 96, 256, 5, 2, 1, 2),
    '3x3, 2 groups': (100, 12, 128, 192, 3, 1, 1, 2),
    '3x3, 32 groups': (100, 12, 128, 128, 3, 1, 1, 32),
    '3x3, depthwise': (100, 24, 64, 64, 3, 1, 1, 64),
}
TORCH = """
import json, sys, time, torch
torch.set_num_threads(2)
n, side, c, o, size, pad, stride, groups = json.loads(sys.argv[1])
best = []
for form in (torch.contiguous_format, torch.channels_last):
    torch.manual_seed(0)
    x = torch.randn(n, c, side, side).contiguous(memory_format=form).requires_grad_()
    conv = torch.nn.Conv2d(c, o, size, stride, pad, groups=groups, bias=False).to(memory_format=form)
    y = conv(x)
    g = torch.randn_like(y).contiguous(memory_format=form)
    best.append((x, conv, g))
def step(x, conv, g):
    x.grad = conv.weight.grad = None
    conv(x).backward(g)
for one in best:
    for _ in range(3): step(*one)
while sys.stdin.readline().strip():
    out = []
    for one in best:
        times, end = [], time.perf_counter() + float(sys.argv[2])
        for _ in range(3): step(*one)
        while len(times) < int(sys.argv[3]) or time.perf_counter() < end:
            t = time.perf_counter(); step(*one); times.append(time.perf_counter() - t)
        out.append(sorted(times)[len(times) // 2])
    print(min(out), flush=True)
"""


def ours(n, side, c, o, size, pad, stride, groups):
    import pytensor

    from utils import backend, ops
    from utils.process import tune_malloc

    tune_malloc()
    rng = np.random.default_rng(0)
    x = pytensor.shared(rng.normal(size=(n, side, side, c)).astype('float32'), shape=(n, side, side, c))
    W = pytensor.shared(
        rng.normal(size=(size, size, c // groups, o)).astype('float32'), shape=(size, size, c // groups, o)
    )
    y = ops.conv2d(x, W, pad, stride, groups)
    g = pytensor.shared(rng.normal(size=y.type.shape).astype('float32'), shape=y.type.shape)
    for v in (x, W, g):
        backend.to_device(v, v.get_value())
    dx, dW = pytensor.grad(None, [x, W], known_grads={y: g})
    f = backend.function([], [y, dx, dW])

    def step():  # like PyTorch's, it frees its results before the next one
        for result in f():
            result.block_until_ready()

    return step


def turn(step):
    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + SECONDS
    while len(times) < STEPS or time.perf_counter() < end:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return np.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch', default=sys.executable, help='a Python interpreter with PyTorch')
    parser.add_argument('--only', help='run only the cases whose names contain this text')
    parser.add_argument('--rounds', type=int, default=7)
    args = parser.parse_args()
    print(f'{"case":30} {"symfer ms":>10} {"PyTorch ms":>10} {"ratio":>6}')
    for name, case in CASES.items():
        if args.only and args.only not in name:
            continue
        peer = subprocess.Popen(
            [args.torch, '-c', TORCH, json.dumps(case), str(SECONDS), str(STEPS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        step, mine, theirs = ours(*case), [], []
        for _ in range(args.rounds):
            time.sleep(PAUSE)
            mine.append(turn(step))
            peer.stdin.write('go\n')
            peer.stdin.flush()
            theirs.append(float(peer.stdout.readline()))
        peer.stdin.close()
        peer.wait()
        a, b = 1000 * np.median(mine), 1000 * np.median(theirs)
        print(f'{name:30} {a:10.2f} {b:10.2f} {b / a:6.2f}', flush=True)


if __name__ == '__main__':
    main()
