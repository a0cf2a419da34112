"""Plain JAX."""

import numpy as np

from benchmarks.engines import N_CLASSES, N_HIDDEN, RATE, batches, data, tune_malloc


def jax(case, products=False):
    """The same network in straightforward JAX, NHWC, with gradients by `jax.grad`.

    With `products` it instead computes square matrix products, with the same number of operations and the same
    precision as the case, as a measure of the device.
    """
    tune_malloc()
    import jax
    import jax.numpy as jnp
    from jax import lax

    about = f'JAX {jax.__version__}, {jax.devices()[0].device_kind}'
    if products:
        side = 8192 if jax.default_backend() == 'gpu' else 2048
        a = jnp.ones((side, side), 'bfloat16' if case.precision == 'bf16' else 'float32')
        with jax.default_matmul_precision('float32' if case.precision == 'float32' else 'tensorfloat32'):
            product = jax.jit(lambda a, b: jnp.dot(a, b, preferred_element_type='float32').astype(a.dtype))
            n = max(1, round(case.operations / (2 * side**3)))

            def multiply():
                b = a
                for _ in range(n):
                    b = product(a, b)
                b.block_until_ready()

            multiply()
        multiply.minibatches = n * 2 * side**3 / case.operations
        return multiply, about
    conv_drop, hidden_drop = case.drops
    rng = np.random.default_rng(0)

    def weights(*shape):
        return jnp.asarray(rng.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape), 'float32')

    def norm(n):
        return {'gamma': jnp.ones(n), 'beta': jnp.zeros(n)} if case.bn else {'beta': jnp.zeros(n)}

    parameters, channels, side = [], 1, case.side
    for kind, n_out, *rest in case.layers:
        size = rest[0] if kind == 'conv' else 3
        parameters.append([{'W': weights(size, size, channels, n_out), **norm(n_out)}])
        if kind == 'residual':
            parameters[-1].append({'W': weights(3, 3, n_out, n_out), **norm(n_out)})
        channels, side = n_out, side // 2 if rest[-1] else side
    parameters += [
        [{'W': weights(channels * side * side, N_HIDDEN), **norm(N_HIDDEN)}],
        [{'W': weights(N_HIDDEN, N_CLASSES), 'beta': jnp.zeros(N_CLASSES)}],
    ]

    def normalise(x, p):
        if 'gamma' in p:
            axes = tuple(range(x.ndim - 1))
            x = (x - x.mean(axes)) * (p['gamma'] * lax.rsqrt(x.var(axes) + 1e-5))
        return x + p['beta']

    def pool(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID')

    def convolve(x, p):
        return lax.conv_general_dilated(x, p['W'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))

    def drop(x, rate, key):
        if not rate or not case.train:
            return x
        return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)

    def logits(parameters, x, key):
        keys = iter(jax.random.split(key, 2 * len(parameters)))
        for (kind, n_out, *rest), layer in zip(case.layers, parameters):
            if kind == 'conv':
                y = convolve(x, layer[0])
                x = jax.nn.relu(normalise(pool(y) if rest[-1] else y, layer[0]))
            else:
                y = drop(jax.nn.relu(normalise(convolve(x, layer[0]), layer[0])), conv_drop, next(keys))
                y = normalise(convolve(y, layer[1]), layer[1])
                y = y + jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, n_out - x.shape[3])))
                x = jax.nn.relu(pool(y) if rest[-1] else y)
            x = drop(x, conv_drop, next(keys))
        (hidden,), (last,) = parameters[-2:]
        x = drop(jax.nn.relu(normalise(x.reshape(x.shape[0], -1) @ hidden['W'], hidden)), hidden_drop, next(keys))
        return x @ last['W'] + last['beta']

    images, labels = map(jnp.asarray, data(case))

    def pixels(rows):
        return images[rows].astype('float32')[..., None] / 255

    def cost(parameters, rows, key):
        log_p = jax.nn.log_softmax(logits(parameters, pixels(rows), key))
        return -jnp.take_along_axis(log_p, labels[rows].astype('int32')[:, None], 1).mean()

    @jax.jit
    def update(parameters, rows, key):
        value, gradients = jax.value_and_grad(cost)(parameters, rows, key)
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients), value

    predicted = jax.jit(lambda parameters, rows: logits(parameters, pixels(rows), jax.random.key(0)))
    rows, state = batches(case), {'parameters': parameters, 'n': 0}

    def train():
        state['n'] += 1
        state['parameters'], value = update(state['parameters'], next(rows), jax.random.key(state['n']))
        float(value)

    def predict():
        np.asarray(predicted(state['parameters'], next(rows)))

    return train if case.train else predict, about
