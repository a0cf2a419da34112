"""Slow, plain implementations in NumPy and float64, against which the fast ones are tested."""

import numpy as np


def conv2d(x, W, pad):
    """Cross-correlation by its definition, one output at a time."""
    (ph, pw), (kh, kw, _, n_out) = pad, W.shape
    n, height, width, c = x.shape
    xp = np.zeros((n, height + 2 * ph, width + 2 * pw, c))
    xp[:, ph : ph + height, pw : pw + width] = x
    y = np.zeros((n, height + 2 * ph - kh + 1, width + 2 * pw - kw + 1, n_out))
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            for o in range(n_out):
                y[:, i, j, o] = (xp[:, i : i + kh, j : j + kw] * W[..., o]).sum(axis=(1, 2, 3))
    return y


def conv2d_filter_grad(x, g, pad, size):
    """Gradient of the sum of conv2d(x, W) * g with respect to W, one pixel of the filters at a time."""
    (ph, pw), (kh, kw) = pad, size
    n, height, width, c = x.shape
    xp = np.zeros((n, height + 2 * ph, width + 2 * pw, c))
    xp[:, ph : ph + height, pw : pw + width] = x
    dW = np.zeros((kh, kw, c, g.shape[3]))
    for a in range(kh):
        for b in range(kw):
            for k in range(c):
                for o in range(g.shape[3]):
                    dW[a, b, k, o] = (xp[:, a : a + g.shape[1], b : b + g.shape[2], k] * g[..., o]).sum()
    return dW


def _starts(length, window, step, ignore_border):
    if ignore_border:
        return [s for s in range(0, length, step) if s + window <= length]
    starts = []
    for s in range(0, length, step):
        starts.append(s)
        if s + window >= length:  # this window reaches the end: nothing is left for another
            break
    return starts


def pool(x, window, stride, ignore_border, how):
    """Pooling by its definition; `how` reduces the pixels of a window that lie in the image."""
    n, height, width, c = x.shape
    rows, columns = (_starts(length, k, s, ignore_border) for length, k, s in zip((height, width), window, stride))
    y = np.zeros((n, len(rows), len(columns), c))
    for i, r in enumerate(rows):
        for j, s in enumerate(columns):
            part = x[:, r : r + window[0], s : s + window[1]].reshape(n, -1, c)
            y[:, i, j] = how(part, axis=1)
    return y


def max_pool_grad(x, g, window, stride, ignore_border):
    """Gradient of max pooling: each g goes to the first largest pixel of its window."""
    n, height, width, c = x.shape
    rows, columns = (_starts(length, k, s, ignore_border) for length, k, s in zip((height, width), window, stride))
    dx = np.zeros(x.shape)
    for m in range(n):
        for k in range(c):
            for i, r in enumerate(rows):
                for j, s in enumerate(columns):
                    best = None
                    for a in range(r, min(r + window[0], height)):
                        for b in range(s, min(s + window[1], width)):
                            if best is None or x[m, a, b, k] > x[m, best[0], best[1], k]:
                                best = a, b
                    dx[m, best[0], best[1], k] += g[m, i, j, k]
    return dx


def batch_norm(x, gamma, beta, mean=None, var=None, eps=1e-5):
    """Batch normalization over all axes but the last, with the batch's statistics unless others are given."""
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes) if mean is None else mean
    var = ((x - mean) ** 2).mean(axis=axes) if var is None else var
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def log_softmax(a):
    a = a - a.max(axis=1, keepdims=True)
    return a - np.log(np.exp(a).sum(axis=1, keepdims=True))


def numerical_gradient(f, x, step=1e-5):
    """Central differences of a scalar function of a float64 array."""
    g = np.zeros_like(x)
    for k in np.ndindex(x.shape):
        kept = x[k]
        x[k] = kept + step
        above = f(x)
        x[k] = kept - step
        below = f(x)
        x[k] = kept
        g[k] = (above - below) / (2 * step)
    return g


def optimise(rule, start, gradients, rates, decay=0.0, clip=0.0, **options):
    """Parameters after each step of an optimiser; weights, those of two axes, decay.

    Parameters
    ----------
    rule : {'sgd', 'momentum', 'nesterov', 'rmsprop', 'adam', 'adamw'}
    start : list of array
    gradients : list of list of array
        One list per step.
    rates : list of float
    """
    values, steps = [np.array(v, dtype=float) for v in start], []
    first, second = ([np.zeros_like(v) for v in values] for _ in range(2))
    mu, rho = options.get('mu', 0.9), options.get('rho', 0.99)
    b1, b2, eps = options.get('beta1', 0.9), options.get('beta2', 0.999), options.get('epsilon', 1e-8)
    for t, (given, rate) in enumerate(zip(gradients, rates), start=1):
        norm = np.sqrt(sum((g.astype(float) ** 2).sum() for g in given))
        for k, p in enumerate(values):
            g = given[k] * (clip / norm if clip and norm > clip else 1)
            shrinks = decay if p.ndim == 2 else 0.0
            if rule == 'adamw':
                p = p * (1 - rate * shrinks)
            else:
                g = g + shrinks * values[k]
            if rule in ('momentum', 'nesterov'):
                first[k] = mu * first[k] - rate * g
                p = p + first[k] if rule == 'momentum' else p + mu * first[k] - rate * g
            elif rule == 'rmsprop':
                second[k] = rho * second[k] + (1 - rho) * g**2
                p = p - rate * g / (np.sqrt(second[k]) + eps)
            elif rule in ('adam', 'adamw'):
                first[k], second[k] = b1 * first[k] + (1 - b1) * g, b2 * second[k] + (1 - b2) * g**2
                p = p - rate * (first[k] / (1 - b1**t)) / (np.sqrt(second[k] / (1 - b2**t)) + eps)
            else:
                p = p - rate * g
            values[k] = p
        steps.append([v.copy() for v in values])
    return steps
