"""Theano 1.0.5, its last release, on a CPU (needs Python 3.8, NumPy below 1.20 and a BLAS that the compiler finds)."""

import os

import numpy as np

from benchmarks.engines import N_CLASSES, N_HIDDEN, RATE, batches, data, tune_malloc

EPS = 1.1e-5  # 1e-5 is below Theano's minimum in float32


def theano(case):
    tune_malloc()
    os.environ.setdefault('THEANO_FLAGS', 'floatX=float32,openmp=True,blas.ldflags=-lopenblas')
    import theano
    import theano.tensor as T
    from theano.sandbox.rng_mrg import MRG_RandomStreams
    from theano.tensor.nnet.bn import batch_normalization_test, batch_normalization_train
    from theano.tensor.signal.pool import pool_2d

    rng, draws, weights = np.random.RandomState(0), MRG_RandomStreams(1), []
    conv_drop, hidden_drop = case.drops

    def shared(value, trained=True):
        variable = theano.shared(np.asarray(value, 'float32'))
        if trained:
            weights.append(variable)
        return variable

    def convolve(x, n_in, n_out, side):
        W = shared(rng.normal(0, (2 / (n_in * side * side)) ** 0.5, (n_out, n_in, side, side)))
        return T.nnet.conv2d(x, W, border_mode='half')

    def norm(x, n):
        shape, axes = ((1, n, 1, 1), 'spatial') if x.ndim == 4 else ((1, n), 'per-activation')
        if not case.bn:
            b = shared(np.zeros(n))
            return x + (b.dimshuffle('x', 0, 'x', 'x') if x.ndim == 4 else b)
        gamma, beta = shared(np.ones(shape)), shared(np.zeros(shape))
        gamma, beta = (T.addbroadcast(v, *(k for k, s in enumerate(shape) if s == 1)) for v in (gamma, beta))
        if case.train:
            return batch_normalization_train(x, gamma, beta, axes, EPS)[0]
        mean, var = shared(np.zeros(shape), False), shared(np.ones(shape), False)
        mean, var = (T.addbroadcast(v, *(k for k, s in enumerate(shape) if s == 1)) for v in (mean, var))
        return batch_normalization_test(x, gamma, beta, mean, var, axes, EPS)

    def end(x, rate):
        x = T.nnet.relu(x)
        if not rate or not case.train:
            return x
        return x * draws.binomial(x.shape, p=1 - rate, dtype='float32') / np.float32(1 - rate)

    def pool(x, pooled):
        return pool_2d(x, (2, 2), ignore_border=True) if pooled else x

    images, labels = (theano.shared(v, borrow=True) for v in data(case))
    rows = T.ivector()
    x = (images[rows].astype('float32') / np.float32(255)).dimshuffle(0, 'x', 1, 2)
    channels, side = 1, case.side
    for kind, n_out, *rest in case.layers:
        if kind == 'conv':
            x = end(norm(pool(convolve(x, channels, n_out, rest[0]), rest[-1]), n_out), conv_drop)
        else:
            y = end(norm(convolve(x, channels, n_out, 3), n_out), conv_drop)
            y = norm(convolve(y, n_out, n_out, 3), n_out)
            y = T.inc_subtensor(y[:, :channels], x)
            x = end(pool(y, rest[-1]), conv_drop)
        channels, side = n_out, side // 2 if rest[-1] else side
    n_in = channels * side * side
    W = shared(rng.normal(0, (2 / n_in) ** 0.5, (n_in, N_HIDDEN)))
    x = end(norm(T.dot(x.flatten(2), W), N_HIDDEN), hidden_drop)
    V = shared(rng.normal(0, 0.03, (N_HIDDEN, N_CLASSES)))
    logits = norm(T.dot(x, V), N_CLASSES) if not case.bn else T.dot(x, V) + shared(np.zeros(N_CLASSES))
    cost = T.nnet.categorical_crossentropy(T.nnet.softmax(logits), labels[rows].astype('int32')).mean()
    if case.train:
        updates = [(p, p - np.float32(RATE) * g) for p, g in zip(weights, T.grad(cost, weights))]
        function = theano.function([rows], cost, updates=updates)
    else:
        function = theano.function([rows], logits)
    index = batches(case)

    def step():
        np.asarray(function(next(index)))

    return step, f'Theano {theano.__version__}, {theano.config.blas.ldflags or "no BLAS"}'
